"""What every ``AccountStore`` promises: the same cases on the store in memory, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shoal.accounts.account import AccountState, Observation
from shoal.accounts.item_setting import ItemSetting
from shoal.accounts.store import AccountStore
from shoal.errors import AccountBeingDeleted, AccountExists, DuplicateUnb, StaleGeneration, UnknownAccount
from shoal.rules.rule import MatchMode, Part, Rule, WordMode
from shoal.rules.schedule import Span
from support.databases.store_steps import (
    an_account,
    an_op,
    assert_fold_equals_rows,
    committed,
    created,
    creation,
    deletion,
    edit,
    living,
    refusal,
    stored,
    unchanged,
)

FULL: dict[str, Any] = {
    "remark": "春天 🌱 'quoted'",
    "auto_confirm": True,
    "enabled": False,
    "pause_duration": 7,
    "debounce_seconds": 1.5,
    "paid_message": "谢谢",
    "free_shipping": True,
    "default_reply_enabled": True,
    "default_reply": "在的",
    "default_reply_once": True,
    "ai_mode": "draft",
    "ai_provider_id": 4,
    "ai_persona": "亲切",
    "ai_facts": '[["包邮吗","包邮"]]',
    "ai_hours": "1-5 18:00-23:00",
    "ai_turns_per_chat": 2,
    "ai_tokens_per_day": 5_000,
    "ai_disclosure": False,
    "restart_nonce": 3,
    "created_at_ms": 1_700_000_000_123,
    "keywords": (
        Rule.simple(id="r1", keyword="价格", reply="10", position=0),
        Rule(
            id="r2",
            words=("图", "照片"),
            word_mode=WordMode.ALL,
            match_mode=MatchMode.WHOLE_WORD,
            item_ids=("99", "100"),
            priority=-5,
            schedule=(Span(weekdays=(1, 7), start="22:00", end="06:30"), Span()),
            parts=(Part(image_url="https://example.com/a.png", width=4, height=3), Part(text="好看吗")),
            delay_seconds=(0.5, 3.0),
            cooldown_seconds=90,
            active=False,
            position=1,
        ),
    ),
    "timezone": "Europe/Paris",
    "items": (
        ItemSetting(item_id="98", facts="全新"),
        ItemSetting(item_id="99", reply="x", paid_message="y", nothing_to_send=True, facts="九成新", floor_fen=0),
    ),
}


async def test_a_created_account_is_read_back_as_it_was_given(store: AccountStore) -> None:
    draft = an_account(**FULL)
    (entry,) = await committed(store, creation(draft))
    assert entry.generation == 1
    stored = await living(store, "shop")
    assert stored == draft.evolve(rev=entry.rev)
    contents = await store.load()
    assert contents.accounts == {"shop": stored}
    assert contents.newest_rev == entry.rev
    assert await store.journal() == [entry]
    await assert_fold_equals_rows(store)


async def test_a_new_store_is_empty(store: AccountStore) -> None:
    contents = await store.load()
    assert (dict(contents.accounts), dict(contents.observations), dict(contents.tombstones)) == ({}, {}, {})
    assert contents.newest_rev == 0
    assert await store.journal() == []
    assert await stored(store, "shop") is None


async def test_a_taken_id_is_refused(store: AccountStore) -> None:
    await created(store, an_account())
    assert isinstance(await refusal(store, creation(an_account())), AccountExists)
    assert len(await store.journal()) == 1


async def test_a_seller_stands_under_one_id_only(store: AccountStore) -> None:
    (first,) = await created(store, an_account("first"))
    error = await refusal(store, creation(an_account("second", unb=first.unb)))
    assert isinstance(error, DuplicateUnb)
    assert error.params["id"] == "first"
    (other,) = await created(store, an_account("other"))
    assert isinstance(await refusal(store, edit(other, unb=first.unb)), DuplicateUnb)
    await assert_fold_equals_rows(store)


async def test_a_deleted_sellers_place_is_free(store: AccountStore) -> None:
    (first,) = await created(store, an_account("first"))
    await committed(store, deletion(first))
    await created(store, an_account("second", unb=first.unb))


async def test_a_seller_moves_to_another_id_in_one_set(store: AccountStore) -> None:
    (first,) = await created(store, an_account("z-first"))
    await committed(store, creation(an_account("a-second", unb=first.unb)), deletion(first))
    assert list((await store.load()).accounts) == ["a-second"]
    await assert_fold_equals_rows(store)


async def test_an_update_raises_the_generation_by_one(store: AccountStore) -> None:
    (first,) = await created(store, an_account())
    (entry,) = await committed(store, edit(first, enabled=False, remark="x"))
    second = await living(store, "shop")
    assert second == first.evolve(enabled=False, remark="x", generation=2, rev=entry.rev)
    assert entry.changes == {"enabled": [True, False], "remark": ["", "x"]}
    assert entry.rev > first.rev
    await assert_fold_equals_rows(store)


async def test_a_new_cookie_is_stored_and_the_journal_knows_its_fingerprint_only(store: AccountStore) -> None:
    (first,) = await created(store, an_account())
    (entry,) = await committed(store, edit(first, cookie="cookie2=canary", cookie_version=2))
    second = await living(store, "shop")
    assert second.cookie == "cookie2=canary"
    assert entry.changes == {"cookie": [first.fingerprint, second.fingerprint], "cookie_version": [1, 2]}
    assert "canary" not in str(await store.journal())
    await assert_fold_equals_rows(store)


async def test_a_change_of_an_old_snapshot_is_refused(store: AccountStore) -> None:
    (first,) = await created(store, an_account())
    await committed(store, edit(first, remark="new"))
    late = edit(first, remark="late")
    assert isinstance(await refusal(store, late), StaleGeneration)
    assert await store.op(late.op.op_id) is None
    assert isinstance(await refusal(store, unchanged(first)), StaleGeneration)
    assert isinstance(await refusal(store, deletion(first)), StaleGeneration)
    assert (await living(store, "shop")).remark == "new"
    assert isinstance(await refusal(store, edit(an_account("nobody"), remark="x")), StaleGeneration)


async def test_an_unchanged_value_stores_the_op_only(store: AccountStore) -> None:
    (first,) = await created(store, an_account())
    op = an_op()
    assert await committed(store, unchanged(first, op)) == ()
    record = await store.op(op.op_id)
    assert record is not None
    assert (record.changed, record.generation, record.rev) == (False, 1, first.rev)
    assert len(await store.journal()) == 1
    assert await living(store, "shop") == first


async def test_an_op_can_be_looked_up(store: AccountStore) -> None:
    op = an_op()
    (entry,) = await committed(store, creation(an_account(), op))
    record = await store.op(op.op_id)
    assert record is not None
    assert (record.op_id, record.actor, record.account_id, record.at_ms) == (op.op_id, op.actor, "shop", op.at_ms)
    assert (record.changed, record.generation, record.rev) == (True, 1, entry.rev)
    assert await store.op("never") is None


async def test_the_first_change_of_an_op_speaks_for_it(store: AccountStore) -> None:
    op = an_op()
    first, _ = await committed(store, creation(an_account("one"), op), creation(an_account("two"), op))
    record = await store.op(op.op_id)
    assert record is not None
    assert (record.account_id, record.rev) == ("one", first.rev)


async def test_a_deleted_account_leaves_a_tombstone_and_goes_on_counting(store: AccountStore) -> None:
    (first,) = await created(store, an_account(**FULL))
    await store.observe({"shop": Observation(state=AccountState.RUNNING)})
    (entry,) = await committed(store, deletion(first))
    assert (entry.generation, entry.changes) == (2, {"deleted": [False, True]})
    contents = await store.load()
    assert dict(contents.accounts) == {}
    tombstone = contents.tombstones["shop"]
    assert (tombstone.generation, tombstone.purged) == (2, False)
    assert await stored(store, "shop") is None
    assert isinstance(await refusal(store, creation(an_account())), AccountBeingDeleted)

    await store.purge("shop")
    await store.purge("shop")
    assert (await store.load()).tombstones["shop"].purged
    (again,) = await committed(store, creation(an_account()))
    assert again.generation == 3
    account = await living(store, "shop")
    assert (account.generation, account.keywords, account.items, account.remark) == (3, (), (), "")
    contents = await store.load()
    assert dict(contents.tombstones) == {}
    assert "shop" not in contents.observations
    await assert_fold_equals_rows(store)


async def test_only_a_deleted_account_can_be_purged(store: AccountStore) -> None:
    await created(store, an_account())
    for name in ("shop", "nobody"):
        with pytest.raises(UnknownAccount):
            await store.purge(name)
    assert await stored(store, "shop") is not None


async def test_rules_are_written_as_deltas(store: AccountStore) -> None:
    rules = tuple(Rule.simple(id=f"r{number}", keyword=f"k{number}", position=number) for number in range(4))
    (first,) = await created(store, an_account(keywords=rules))
    edited = Rule.simple(id="r1", keyword="k1", reply="new", position=1)
    added = Rule.simple(id="r9", keyword="k9", item_id="5", position=9)
    (entry,) = await committed(store, edit(first, keywords=(rules[0], edited, rules[3], added)))
    assert set(entry.changes) == {"keywords"}
    assert {kind: len(rows) for kind, rows in entry.changes["keywords"].items()} == {
        "added": 1, "removed": 1, "edited": 1,
    }  # fmt: skip
    assert (await living(store, "shop")).keywords == (rules[0], edited, rules[3], added)
    items = (ItemSetting(item_id="a"), ItemSetting(item_id="b", reply="x"))
    await committed(store, edit(await living(store, "shop"), items=items))
    await committed(store, edit(await living(store, "shop"), items=(ItemSetting(item_id="b", reply="y"),)))
    assert (await living(store, "shop")).items == (ItemSetting(item_id="b", reply="y"),)
    await assert_fold_equals_rows(store)


async def test_observations_are_kept_for_accounts_that_exist(store: AccountStore) -> None:
    await created(store, an_account("one"), an_account("two"))
    parked = Observation(
        seller_name="小鱼杂货铺",
        seller_picture="https://gw.example.test/face.jpg",
        state=AccountState.PARKED, reason="risk_control", detail="滑块", since_ms=1, observed_generation=1,
        parked_reason="risk_control", parked_for=(1, 0), parked_since_ms=2, action_url="https://example.com/x",
        crash_loop=True, next_attempt_at_ms=3, connected_at_ms=4, last_heartbeat_at_ms=5, last_message_at_ms=6,
    )  # fmt: skip
    await store.observe({"one": Observation(state=AccountState.RUNNING), "two": parked, "nobody": parked})
    await store.observe({"one": parked, "two": Observation()})
    await store.observe({})
    assert dict((await store.load()).observations) == {"one": parked, "two": Observation()}


async def test_an_observation_moves_no_generation(store: AccountStore) -> None:
    (first,) = await created(store, an_account())
    await store.observe({"shop": Observation(state=AccountState.RUNNING)})
    assert await living(store, "shop") == first
    assert len(await store.journal()) == 1


async def test_the_journal_is_read_in_pages_in_both_directions(store: AccountStore) -> None:
    one, two = await created(store, an_account("one"), an_account("two"))
    for number in range(3):
        await committed(store, edit(one, remark=str(number)))
        one = await living(store, "one")
    await committed(store, edit(two, remark="x"))
    every = await store.journal()
    revs = [entry.rev for entry in every]
    assert revs == sorted(revs)
    assert await store.journal(after_rev=revs[1], limit=2) == every[2:4]
    assert await store.journal(newest_first=True, limit=2) == every[:-3:-1]
    assert await store.journal(newest_first=True, after_rev=revs[2]) == [every[1], every[0]]
    assert [entry.account_id for entry in await store.journal(account_id="two")] == ["two", "two"]
    assert await store.journal(owner_id=every[0].owner_id) == every
    assert await store.journal(owner_id=every[0].owner_id + 1) == []
    assert await store.journal(after_rev=revs[-1]) == []
    ones = [entry for entry in reversed(every) if entry.account_id == "one"]
    for place in range(len(ones)):
        after = ones[place].rev
        assert await store.journal(account_id="one", newest_first=True, after_rev=after) == ones[place + 1 :]
    assert await store.journal(account_id="one", newest_first=True, after_rev=revs[-1], limit=2) == ones[:2]
    for moment in (0, every[2].at_ms, every[-1].at_ms + 1):
        earlier = [entry for entry in every if entry.at_ms < moment]
        assert await store.journal(before_ms=moment) == earlier
        assert await store.journal(before_ms=moment, newest_first=True) == earlier[::-1]


async def test_f8_two_owners_may_name_one_number_and_one_of_them_holds_it(store: AccountStore) -> None:
    (first,) = await created(store, an_account("first"))
    (second,) = await created(store, an_account("second", owner_id=2, unb=first.unb))
    assert isinstance(await refusal(store, creation(an_account("third", owner_id=2, unb=first.unb))), DuplicateUnb)
    assert await store.number_holders() == {}
    claims = await asyncio.gather(
        store.hold_number(first.unb, "second", 1), store.hold_number(first.unb, "first", 2),
        store.hold_number(first.unb, "nobody", 3),
    )  # fmt: skip
    holder = claims[0]
    assert holder in {"first", "second"}
    assert claims[1] == holder, "told alike to both"
    assert await store.number_holders() == {first.unb: holder}
    await store.free_number(first.unb, {"first": "second", "second": "first"}[holder])
    assert await store.number_holders() == {first.unb: holder}, "it is another's by now"
    await store.free_number(first.unb, holder)
    await store.free_number(first.unb, holder)
    assert await store.hold_number(first.unb, "first", 4) == "first"
    await committed(store, deletion(first))
    assert await store.hold_number(first.unb, "second", 5) == "first", "until its connection has ended"
    await store.purge("first")
    assert await store.hold_number(first.unb, "first", 6) is None, "who is gone holds nothing"
    assert await store.hold_number(first.unb, "second", 7) == "second"
    assert await store.hold_number("2200000000999", "second", 8) == "second", "with another seller's cookie"
    assert await store.number_holders() == {"2200000000999": "second"}, "it leaves the number that it held"
    await assert_fold_equals_rows(store)
    assert second.unb == first.unb
