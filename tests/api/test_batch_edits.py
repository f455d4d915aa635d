"""The same settings, tags and rules for many shops at once, what would change, and the undo of it all."""

from __future__ import annotations

from typing import Any

import pytest

from shoal.accounts import shared_edits
from shoal.auth.permission import Permission
from shoal.clock import now_ms
from shoal.errors import InvalidInput, StoreError
from shoal.messages.message_log import IncomingMessage
from support.databases.store_steps import an_account
from support.servers.doors import Door, another_person

BATCH = "/cookies/batch"


async def _two_more(door: Door) -> None:
    await door.add("two", 2)
    await door.add("three", 3)


def _of(rows: list[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in rows]


async def test_settings_of_many_are_previewed_changed_and_undone_in_one_request_each(door: Door) -> None:
    await _two_more(door)
    await door.call("PATCH", "/cookies/two/settings", json={"pause_duration": 3, "remark": "mine #old"})
    names = ["shop", "two", "three", "nobodys"]
    settings = {"pause_duration": 3, "default_reply_enabled": True, "default_reply": "在的" * 100}
    sent = {"accounts": names, "settings": settings, "add_tags": ["phones"], "remove_tags": ["old"]}
    before = dict(door.server.manager.accounts)
    looked = (await door.call("PUT", f"{BATCH}?dry_run=1", 207, json=sent))["results"]
    assert dict(door.server.manager.accounts) == before
    assert _of(looked, "id", "outcome") == [
        ("shop", "would_change"), ("two", "would_change"), ("three", "would_change"), ("nobodys", "failed"),
    ]  # fmt: skip
    assert looked[0]["changes"]["pause_duration"] == [10, 3]
    assert looked[1]["changes"]["remark"] == ["mine #old", "mine #phones"]
    assert "pause_duration" not in looked[1]["changes"]
    assert looked[0]["changes"]["default_reply"][1].endswith("…")
    made = (await door.call("PUT", BATCH, 207, json=sent))["results"]
    assert [row["outcome"] for row in made] == ["changed"] * 3 + ["failed"]
    assert [door.account(name).remark for name in names[:3]] == ["#phones", "mine #phones", "#phones"]
    assert door.account("three").default_reply == "在的" * 100
    again = (await door.call("PUT", BATCH, 207, json=sent))["results"]
    assert [row["outcome"] for row in again] == ["unchanged"] * 3 + ["failed"]
    await door.call("PATCH", "/cookies/three/settings", json={"pause_duration": 7})
    back = {"revs": [row["rev"] for row in made[:3]]}
    looked = (await door.call("POST", "/history/undo?dry_run=1", 207, json=back))["results"]
    assert [row["outcome"] for row in looked] == ["would_change", "would_change", "failed"]
    assert door.account("shop").pause_duration == 3
    undone = await door.call("POST", "/history/undo", 207, json=back)
    assert _of(undone["results"], "id", "outcome", "code") == [
        ("shop", "changed", ""), ("two", "changed", ""), ("three", "failed", "undo_conflict"),
    ]  # fmt: skip
    assert [door.account(name).pause_duration for name in names[:3]] == [10, 3, 7]
    assert door.account("two").remark == "mine #old"


async def test_a_repeated_request_changes_nothing_twice(door: Door) -> None:
    await _two_more(door)
    sent = {"accounts": ["shop", "two"], "rules": {"account": "three"}, "settings": {"replies": False}}
    await door.call("POST", "/cookies/three/rules", json={"words": ["在吗"], "parts": [{"text": "在的"}]})
    key = {"Idempotency-Key": "once"}
    first = await door.call("PUT", BATCH, json=sent, headers=key)
    rev = door.server.manager.newest_rev
    assert await door.call("PUT", BATCH, json=sent, headers=key) == first
    assert door.server.manager.newest_rev == rev
    back = {"revs": [row["rev"] for row in first["results"]]}
    await door.call("POST", "/history/undo", json=back, headers={"Idempotency-Key": "back"})
    assert door.account("shop").replies
    assert door.account("shop").keywords == ()
    rev = door.server.manager.newest_rev
    assert _of((await door.call("POST", "/history/undo", json=back))["results"], "outcome") == [("unchanged",)] * 2
    assert door.server.manager.newest_rev == rev


async def test_rules_and_deliveries_are_copied_and_those_of_the_shop_stay_or_go(door: Door) -> None:
    await _two_more(door)
    for word in ("在吗", "包邮"):
        rule = {"words": [word], "parts": [{"text": "好的"}], "schedule": [{"start": "09:00", "end": "18:00"}]}
        await door.call("POST", "/cookies/shop/rules", json=rule)
    await door.call("POST", "/cookies/two/rules", json={"words": ["自己的"], "parts": [{"text": "嗯"}]})
    await door.call("PUT", "/cookies/shop/deliveries", json={"rules": [{"parts": [{"text": "感谢"}]}]})
    sent = {"accounts": ["two", "three"], "rules": {"account": "shop"}, "deliveries": {"account": "shop"}}
    looked = (await door.call("PUT", f"{BATCH}?dry_run=1", json=sent))["results"]
    assert [row["changes"]["keywords"] for row in looked] == [{"added": 2}] * 2
    await door.call("PUT", BATCH, json=sent)
    assert [rule.words for rule in door.account("two").keywords] == [("自己的",), ("在吗",), ("包邮",)]
    assert [part.text for rule in door.account("three").deliveries for part in rule.parts] == ["感谢"]
    assert door.account("two").keywords[1].schedule == door.account("shop").keywords[0].schedule
    sent["rules"] = {"account": "shop", "mode": "replace"}
    looked = (await door.call("PUT", f"{BATCH}?dry_run=1", json=sent))["results"]
    assert _of(looked, "outcome") == [("would_change",), ("unchanged",)]
    assert looked[0]["changes"] == {"keywords": {"removed": 1}}


async def test_all_or_none_and_who_may_not(door: Door) -> None:
    await _two_more(door)
    async with another_person(door) as bob:
        await bob.add("bobs", 9)
        await door.server.authorization.give(door.account(), 2, Permission.REPLY, given_by="user:admin")
        await door.server.authorization.give(door.account("two"), 2, Permission.OPERATE, given_by="user:admin")
        sent = {"accounts": ["bobs", "two", "shop", "three"], "settings": {"replies": False}}
        refused = await bob.call("PUT", f"{BATCH}?mode=atomic", 404, json=sent)
        assert refused["params"] == {"ids": ["three"]}
        assert bob.account("bobs").replies
        rows = (await bob.call("PUT", BATCH, 207, json=sent))["results"]
        assert _of(rows, "outcome", "code") == [
            ("changed", ""), ("changed", ""), ("failed", "right_missing"), ("failed", "unknown_account"),
        ]  # fmt: skip
        copied = {"accounts": ["bobs"], "rules": {"account": "three"}}
        assert (await bob.call("PUT", BATCH, 404, json=copied))["code"] == "unknown_account"
        undone = await bob.call("POST", "/history/undo", 207, json={"revs": [door.account("three").rev, 999]})
        assert _of(undone["results"], "code") == [("unknown_entry",)] * 2
    done = await door.call(
        "PUT", f"{BATCH}?mode=atomic", json={"accounts": ["two", "three"], "settings": {"replies": False}}
    )
    assert _of(done["results"], "outcome") == [("unchanged",), ("changed",)]


async def test_bad_input_changes_nothing(door: Door) -> None:
    for body, status, code in (
        ({"accounts": ["shop"]}, 400, "nothing_given"),
        ({"accounts": ["shop"], "settings": {}}, 400, "nothing_given"),
        ({"accounts": ["shop"], "settings": {"proxy": "http://x.example:1"}}, 422, "invalid_body"),
        ({"accounts": ["shop"], "settings": {"timezone": "Nowhere"}}, 422, "bad_timezone"),
        ({"accounts": ["shop"], "add_tags": ["two words"]}, 422, "bad_tag"),
        ({"accounts": []}, 422, "invalid_body"),
    ):
        answer = await door.client.put(BATCH, json=body)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    answer = await door.client.put(BATCH, json={"accounts": ["shop"], "add_tags": ["x"]}, headers={"If-Match": '"g1"'})
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_if_match")
    long = {"accounts": ["shop"], "add_tags": ["x" * 60, "y" * 60, "z" * 60, "w" * 60]}
    (row,) = (await door.call("PUT", BATCH, 207, json=long))["results"]
    assert row["code"] == "text_too_long"
    assert door.account().generation == 1


@pytest.mark.parametrize(
    ("remark", "add", "remove", "after"),
    [
        ("", ["a"], [], "#a"),
        ("手机壳 #a #b", [], ["a"], "手机壳 #b"),
        ("#a", ["a"], [], "#a"),
        ("#ab x", [], ["a"], "#ab x"),
        ("one  two #a", ["b"], ["a"], "one two #b"),
        ("#a#b", ["b"], [], "#a#b #b"),
    ],
)
def test_tags_are_words_of_the_remark(remark: str, add: list[str], remove: list[str], after: str) -> None:
    account = an_account(remark=remark)
    changed = shared_edits.tagged(add, remove)(account)
    assert changed.remark == after
    assert (changed is account) == (after == remark)


async def test_too_many_rules_for_too_many_shops_are_refused(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    await _two_more(door)
    await door.call("POST", "/cookies/shop/rules", json={"words": ["在吗"], "parts": [{"text": "在的"}]})
    monkeypatch.setattr("shoal.api.routes.batch_edits.MOST_RULES", 1)
    sent = {"accounts": ["two", "three"], "rules": {"account": "shop"}}
    answer = await door.call("PUT", BATCH, 422, json=sent)
    assert (answer["code"], answer["params"]) == ("batch_too_large", {"limit": 1})
    with pytest.raises(InvalidInput):
        shared_edits.tagged(["#x"], [])


async def test_messages_and_replies_of_each_shop_are_counted(door: Door) -> None:
    await _two_more(door)
    now = now_ms()
    for account_id, number in (("shop", 2), ("two", 1)):
        said = [
            IncomingMessage(message_id=f"{account_id}{one}", chat_id="c", text="在吗", created_at_ms=now - one)
            for one in range(number)
        ]
        await door.server.message_log.store_incoming(account_id, said)
    old = IncomingMessage(message_id="old", chat_id="c", text="在吗", created_at_ms=now - 2 * 86_400_000)
    await door.server.message_log.store_incoming("three", [old])
    rows = (await door.call("GET", "/activity/shops"))["items"]
    assert rows == [
        {"account": "shop", "messages": 2, "replies": 0}, {"account": "two", "messages": 1, "replies": 0},
    ]  # fmt: skip
    async with another_person(door) as bob:
        assert (await bob.call("GET", "/activity/shops"))["items"] == []
    for since in ("2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"):
        answer = await door.call("GET", "/activity/shops", 422, params={"since": since})
        assert answer["code"] == "bad_count_start"


@pytest.mark.parametrize("rev", [0, -(2**63), 2**63, 2**64])
async def test_a_number_that_no_change_can_have_is_refused(door: Door, rev: int) -> None:
    assert (await door.call("POST", "/history/undo", 422, json={"revs": [1, rev]}))["code"] == "invalid_body"


async def test_a_repeated_request_looks_at_the_goods_that_the_first_try_could_not_look_at(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    goods = await door.call("POST", "/goods", json={"name": "月卡", "kind": "stock"})
    rules = {"rules": [{"goods_id": goods["id"], "parts": [{"text": "{codes}"}]}]}
    await door.call("PUT", "/cookies/shop/deliveries", json=rules)

    async def silent(*_: object) -> None:
        raise StoreError("the database does not answer")

    async with another_person(door) as bob:
        await bob.add("bobs", 9)
        await door.server.authorization.give(door.account(), 2, Permission.READ, given_by="user:admin")
        for path, sent, status in (
            (BATCH, {"accounts": ["bobs"], "deliveries": {"account": "shop"}}, 207),
            ("/cookies/bobs/deliveries", rules, 422),
        ):
            key = {"Idempotency-Key": path.replace("/", "-")}
            with monkeypatch.context() as patch:
                patch.setattr("shoal.api.http.rule_goods.stock_of_rules", silent)
                await bob.call("PUT", path, 503, json=sent, headers=key)
            answer = await bob.call("PUT", path, status, json=sent, headers=key)
            assert (answer.get("code") or answer["results"][0]["code"]) == "delivery_goods_unknown"
        assert bob.account("bobs").deliveries == ()
