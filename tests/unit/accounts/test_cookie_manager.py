"""The manager keeps wish, memory, store and task the same. Rows of the known defects are named by their number."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from memory_store import MemoryStore
from shoal.accounts.account import Account, AccountState, Observation, StateMove, check_account_id
from shoal.accounts.account_task import Link
from shoal.accounts.change_path import Caller
from shoal.accounts.cookie_manager import CookieManager
from shoal.accounts.events import AccountChanged, AccountStateChanged, Subscription
from shoal.accounts.journal import fold, projection
from shoal.accounts.status_batch import BATCH_AT_ONCE
from shoal.accounts.store import Change, Glimpse, Refused, Settle, Settlement
from shoal.errors import (
    AccountExists,
    AccountVanishing,
    ActionRequired,
    DuplicateUnb,
    InvalidInput,
    LockTimeout,
    NotApplied,
    OtherUnb,
    StaleGeneration,
    TemporaryFailure,
    UnknownAccount,
)
from shoal.rules.keywords import KeywordRow
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager, open_vault
from standins import ANN, HOURS, FakeSite, cookie_of, managing, until


class RefusingStore(MemoryStore):
    """Refuses as many writes as it is told to."""

    refusals = 0

    def submit(self, changes: Sequence[Change], settle: Settle) -> None:
        if self.refusals:
            self.refusals -= 1
            asyncio.get_running_loop().call_soon(settle, Refused(NotApplied("database is locked")))
        else:
            super().submit(changes, settle)


class LateStore(MemoryStore):
    """Answers while the loop is busy, for longer than the database deadline: answer and deadline come in one turn."""

    busy_seconds = 0.0

    def submit(self, changes: Sequence[Change], settle: Settle) -> None:
        def late(settlement: Settlement) -> None:
            time.sleep(self.busy_seconds)
            settle(settlement)

        super().submit(changes, late)


async def in_step(store: MemoryStore, manager: CookieManager) -> None:
    """Published, stored and folded are the same for every account."""
    contents = await store.load()
    assert dict(manager.accounts) == dict(contents.accounts)
    assert fold(await store.journal()) == {name: projection(account) for name, account in manager.accounts.items()}
    assert not manager.pending
    assert len(manager.locks) == 0


async def test_a_new_account_is_enabled_runs_and_does_not_confirm_by_itself() -> None:
    site, store = FakeSite(), MemoryStore()
    async with managing(site, store) as manager:
        outcome = await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        assert outcome.changed
        assert outcome.account.generation == 1
        assert outcome.observation.state is AccountState.RUNNING
        assert not outcome.account.auto_confirm
        await in_step(store, manager)


class PromptStore(MemoryStore):
    """Writes the real changes at once: such a one is published before the caller before it has gone on."""

    def submit(self, changes: Sequence[Change], settle: Settle) -> None:
        if any(change.is_noop for change in changes):
            super().submit(changes, settle)
        else:
            self._apply(tuple(changes), settle)


async def test_a_wish_that_changes_nothing_is_answered_with_the_generation_that_it_found() -> None:
    """Not with that of the next change, at which the wish may hold no more."""
    async with managing(FakeSite(), PromptStore()) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        same, other = await asyncio.gather(
            manager.update_cookie_status("shop", True, caller=ANN),
            manager.update_cookie_status("shop", False, caller=ANN),
        )
        assert (same.changed, same.generation, same.rev) == (False, 1, 1)
        assert (other.changed, other.generation, other.rev) == (True, 2, 2)


async def test_a1_a_refused_write_leaves_every_side_old_and_the_repeat_makes_every_side_new() -> None:
    site, store = FakeSite(), RefusingStore()
    async with managing(site, store) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        store.refusals = 1
        with pytest.raises(NotApplied):
            await manager.update_cookie_status("shop", False, caller=ANN)
        assert manager.get_cookie_status("shop")
        assert site.live["shop"] == 1
        await in_step(store, manager)
        outcome = await manager.update_cookie_status("shop", False, caller=ANN)
        assert outcome.observation.state is AccountState.STOPPED
        assert site.live["shop"] == 0
        await in_step(store, manager)


class Crashing:
    """A site whose connections end as soon as they begin, until it is mended."""

    def __init__(self) -> None:
        self.site = FakeSite()
        self.site.behave = self._behave
        self.mended = False

    async def _behave(self, account: Account, link: Link) -> None:
        if not self.mended:
            raise RuntimeError("boom")
        link.running()
        await asyncio.Event().wait()


@asynccontextmanager
async def crashed(store: MemoryStore | None = None) -> AsyncIterator[tuple[Crashing, CookieManager]]:
    """A shop whose connection has ended and would connect by itself only hours later; the site is well again."""
    world = Crashing()
    async with managing(world.site, store, backoff=HOURS) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        await until(lambda: manager.observation("shop").state is AccountState.RETRYING)
        assert world.site.live == {"shop": 0}
        world.mended = True
        yield world, manager


async def test_a2_a3_saying_enabled_again_revives_an_ended_connection() -> None:
    async with crashed() as (world, manager):
        outcome = await manager.update_cookie_status("shop", True, caller=ANN)
        assert not outcome.changed
        await until(lambda: manager.observation("shop").state is AccountState.RUNNING)
        assert (world.site.live["shop"], world.site.ever["shop"]) == (1, 2)


async def test_a2_switching_off_and_on_an_ended_connection_starts_a_live_one() -> None:
    async with crashed() as (world, manager):
        await manager.update_cookie_status("shop", False, caller=ANN)
        await manager.update_cookie_status("shop", True, caller=ANN)
        await until(lambda: manager.observation("shop").state is AccountState.RUNNING)
        assert (world.site.live["shop"], world.site.ever["shop"]) == (1, 2)


async def test_f4_a_new_cookie_does_not_sit_out_the_back_off_of_the_old_one() -> None:
    async with crashed() as (world, manager):
        await manager.update_cookie("shop", cookie_of(1, secret="s2"), caller=ANN)
        await until(lambda: manager.observation("shop").state is AccountState.RUNNING)
        assert world.site.cookies[-1] == ("shop", cookie_of(1, secret="s2"))


async def test_f4_a_change_that_has_nothing_to_do_with_the_connection_leaves_the_back_off_alone() -> None:
    async with crashed() as (world, manager):
        await manager.update_settings("shop", {"remark": "r"}, caller=ANN)
        await manager.reload_from_db()
        for _ in range(10):
            await asyncio.sleep(0)
        assert (manager.observation("shop").state, world.site.ever["shop"]) == (AccountState.RETRYING, 1)


async def test_a3_a_crashed_connection_is_started_again_by_itself() -> None:
    site = FakeSite()
    crashes = 3

    async def behave(account: Account, link: Link) -> None:
        nonlocal crashes
        if crashes:
            crashes -= 1
            raise RuntimeError("boom")
        link.running()
        await asyncio.Event().wait()

    site.behave = behave
    async with managing(site) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        await until(lambda: manager.observation("shop").state is AccountState.RUNNING)
        assert site.ever["shop"] == 4
        assert manager.get_cookie_status("shop"), "a failure never edits a wish"


async def test_a4_a_new_cookie_on_a_disabled_account_connects_only_once_it_is_enabled() -> None:
    site = FakeSite()
    async with managing(site) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        await manager.update_cookie_status("shop", False, caller=ANN)
        await manager.update_cookie("shop", cookie_of(1, secret="new"), caller=ANN)
        await asyncio.sleep(0.05)
        assert site.ever["shop"] == 1
        await manager.update_cookie_status("shop", True, caller=ANN)
        assert site.cookies[-1] == ("shop", cookie_of(1, secret="new"))


async def test_a8_a9_off_and_on_leaves_every_other_setting_alone() -> None:
    site, store = FakeSite(), MemoryStore()
    async with managing(site, store) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        await manager.update_settings("shop", {"remark": "mine", "pause_duration": 3}, caller=ANN)
        await manager.update_auto_confirm_setting("shop", True, caller=ANN)
        await manager.update_cookie_status("shop", False, caller=ANN)
        await manager.update_cookie_status("shop", True, caller=ANN)
        account = manager.account("shop")
        assert (account.remark, account.pause_duration, account.auto_confirm) == ("mine", 3, True)
        assert manager.auto_confirm_settings["shop"]
        await in_step(store, manager)


async def test_a10_a12_flapping_ends_where_the_owner_wants_it_with_one_connection_at_most() -> None:
    site, store = FakeSite(), MemoryStore()
    site.farewell_seconds = 0.05
    async with managing(site, store) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        quick = Caller(actor="user:ann", wait_seconds=0)
        flaps = [manager.update_cookie_status("shop", bool(turn % 2), caller=quick) for turn in range(60)]
        await asyncio.gather(*flaps)
        await until(lambda: manager.observation("shop").state is AccountState.RUNNING)
        assert site.live["shop"] == 1
        assert site.most_at_once["shop"] == 1
        await in_step(store, manager)


async def test_a12_a_slow_farewell_is_reported_as_stopping_and_never_doubled() -> None:
    site = FakeSite()
    async with managing(site, stop_wait_seconds=0.05) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        site.farewell_seconds = 0.4
        outcome = await manager.update_cookie_status("shop", False, caller=ANN)
        assert outcome.observation.state is AccountState.STOPPING
        outcome = await manager.update_cookie_status("shop", True, caller=ANN)
        await until(lambda: manager.observation("shop").state is AccountState.RUNNING)
        assert site.most_at_once["shop"] == 1
        site.farewell_seconds = 0.0


async def test_a11_add_remove_add_at_once_never_makes_two_connections() -> None:
    site, store = FakeSite(), MemoryStore()
    async with managing(site, store) as manager:

        async def add() -> None:
            with contextlib.suppress(AccountExists, AccountVanishing, DuplicateUnb):
                await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)

        async def remove() -> None:
            with contextlib.suppress(UnknownAccount):
                await manager.remove_cookie("shop", caller=ANN)

        await asyncio.gather(*(step() for _ in range(20) for step in (add, remove, add)))
        await until(lambda: site.live["shop"] == ("shop" in manager.accounts))
        assert site.most_at_once["shop"] == 1
        await in_step(store, manager)


async def test_a14_a_refused_keyword_write_leaves_both_sides_old() -> None:
    site, store = FakeSite(), RefusingStore()
    async with managing(site, store) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        await manager.update_keywords("shop", [("hi", "hello")], caller=ANN)
        store.refusals = 1
        with pytest.raises(NotApplied):
            await manager.update_keywords("shop", [("hi", "changed")], caller=ANN)
        assert [rule.reply for rule in manager.keywords["shop"]] == ["hello"]
        await in_step(store, manager)


async def test_a15_replacing_general_keywords_keeps_item_rules() -> None:
    site, store = FakeSite(), MemoryStore()
    async with managing(site, store) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        rows = [
            KeywordRow(keyword="size", reply="L", item_id="800000000001"),
            KeywordRow(keyword="old", reply="1"),
        ]
        await manager.update_text_keywords("shop", rows, caller=ANN)
        await manager.update_keywords("shop", [("new", "2")], caller=ANN)
        kept = [(rule.keyword, rule.item_id) for rule in manager.keywords["shop"]]
        assert kept == [("size", "800000000001"), ("new", None)]
        await in_step(store, manager)


async def test_a20_a_deleted_id_comes_back_as_a_new_account() -> None:
    site, store = FakeSite(), MemoryStore()
    async with managing(site, store) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        await manager.update_cookie_status("shop", False, caller=ANN)
        await manager.remove_cookie("shop", caller=ANN)
        await until(lambda: "shop" not in manager.tasks)
        outcome = await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        assert outcome.account.enabled
        assert outcome.observation.state is AccountState.RUNNING
        assert outcome.account.generation == 4
        await in_step(store, manager)


async def test_a21_a_refused_creation_or_deletion_is_an_error_and_changes_nothing() -> None:
    site, store = FakeSite(), RefusingStore()
    async with managing(site, store) as manager:
        store.refusals = 1
        with pytest.raises(NotApplied):
            await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        assert "shop" not in manager.accounts
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        store.refusals = 1
        with pytest.raises(NotApplied):
            await manager.remove_cookie("shop", caller=ANN)
        assert site.live["shop"] == 1
        await in_step(store, manager)


async def test_a23_one_seller_under_two_ids_is_refused() -> None:
    async with managing(FakeSite()) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        with pytest.raises(DuplicateUnb):
            await manager.add_cookie("twin", cookie_of(1), owner_id=1, caller=ANN)
        with pytest.raises(OtherUnb):
            await manager.update_cookie("shop", cookie_of(2), caller=ANN)


async def test_a_parked_account_stays_parked_until_its_owner_acts() -> None:
    site = FakeSite()

    async def refuse(account: Account, link: Link) -> None:
        raise ActionRequired("risk_control", action_url="https://site.example/verify")

    site.behave = refuse
    async with managing(site) as manager:
        outcome = await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        assert outcome.observation.state is AccountState.PARKED
        assert outcome.observation.action_url == "https://site.example/verify"
        site.behave = None
        again = await manager.update_cookie_status("shop", True, caller=ANN)
        assert again.observation.state is AccountState.PARKED
        batch = {"shop": False}
        await manager.batch_update_cookie_status(batch, caller=ANN)
        await manager.batch_update_cookie_status({"shop": True}, caller=ANN)
        await until(lambda: manager.observation("shop").state is AccountState.PARKED)
        assert site.ever["shop"] == 1
        outcome = await manager.resume("shop", caller=ANN)
        assert outcome.observation.state is AccountState.RUNNING


async def test_off_and_on_by_a_person_unparks() -> None:
    site = FakeSite()

    async def refuse(account: Account, link: Link) -> None:
        raise ActionRequired("login_expired")

    site.behave = refuse
    async with managing(site) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        site.behave = None
        await manager.update_cookie_status("shop", False, caller=ANN)
        outcome = await manager.update_cookie_status("shop", True, caller=ANN)
        assert outcome.observation.state is AccountState.RUNNING


async def test_a_park_record_survives_a_restart() -> None:
    site, store = FakeSite(), MemoryStore()

    async def refuse(account: Account, link: Link) -> None:
        raise ActionRequired("login_expired")

    site.behave = refuse
    async with managing(site, store) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
    async with managing(site, store) as manager:
        await until(lambda: manager.observation("shop").state is AccountState.PARKED)
        assert manager.observation("shop").reason == "login_expired"
        assert site.ever["shop"] == 1


async def test_an_unchanged_value_is_a_success_without_a_generation() -> None:
    site, store = FakeSite(), MemoryStore()
    async with managing(site, store) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        outcome = await manager.update_auto_confirm_setting("shop", False, caller=Caller(actor="ann", op_id="op-1"))
        assert not outcome.changed
        record = await store.op("op-1")
        assert record is not None
        assert not record.changed
        assert len(await store.journal()) == 1


async def test_a_stale_if_match_changes_nothing() -> None:
    async with managing(FakeSite()) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        await manager.update_settings("shop", {"remark": "a"}, caller=Caller(actor="ann", if_match=1))
        with pytest.raises(StaleGeneration):
            await manager.update_settings("shop", {"remark": "b"}, caller=Caller(actor="ann", if_match=1))
        assert manager.account("shop").remark == "a"


async def test_a_caller_who_leaves_does_not_part_commit_from_publish() -> None:
    site, store = FakeSite(), MemoryStore(delay_seconds=0.05)
    async with managing(site, store) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        change = asyncio.create_task(manager.update_settings("shop", {"remark": "kept"}, caller=ANN))
        await asyncio.sleep(0.01)
        change.cancel()
        with pytest.raises(asyncio.CancelledError):
            await change
        await until(lambda: manager.account("shop").remark == "kept")
        await in_step(store, manager)


async def test_waiting_for_a_turn_has_a_limit_that_touches_nothing() -> None:
    site, store = FakeSite(), MemoryStore()
    async with managing(site, store, lock_wait_seconds=0.05) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        store.delay_seconds = 0.3
        first = asyncio.create_task(manager.update_settings("shop", {"remark": "first"}, caller=ANN))
        await asyncio.sleep(0)
        with pytest.raises(LockTimeout) as caught:
            await manager.update_settings("shop", {"remark": "second"}, caller=ANN)
        assert caught.value.params["operation"] == "update_settings"
        await first
        assert manager.account("shop").remark == "first"
        await in_step(store, manager)


async def test_an_atomic_batch_changes_all_or_none() -> None:
    site, store = FakeSite(), RefusingStore()
    async with managing(site, store) as manager:
        for number in range(3):
            await manager.add_cookie(f"shop{number}", cookie_of(number), owner_id=1, caller=ANN)
        off = {f"shop{number}": False for number in range(3)}
        with pytest.raises(UnknownAccount):
            await manager.batch_update_cookie_status({**off, "nobody": False}, caller=ANN, atomic=True)
        store.refusals = 1
        with pytest.raises(NotApplied):
            await manager.batch_update_cookie_status(off, caller=ANN, atomic=True)
        assert all(manager.cookie_status.values())
        preview = await manager.batch_update_cookie_status(off, caller=ANN, dry_run=True)
        assert {result.outcome for result in preview} == {"would_change"}
        results = await manager.batch_update_cookie_status(off, caller=ANN, atomic=True)
        assert {result.outcome for result in results} == {"changed"}
        await until(lambda: not any(site.live.values()))
        await in_step(store, manager)


async def test_a_listener_that_fails_keeps_no_lock_and_no_other_from_being_published(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A defect beside the change path costs a wake-up at most, and that is made up for at the next look at all."""
    site, store = FakeSite(), MemoryStore()
    async with managing(site, store, resync_seconds=0.1) as manager:
        for number in range(3):
            await manager.add_cookie(f"shop{number}", cookie_of(number), owner_id=1, caller=ANN)

        publish = manager.events.publish

        def broken(event: AccountChanged | AccountStateChanged) -> None:
            if isinstance(event, AccountChanged):
                raise ZeroDivisionError
            publish(event)

        with monkeypatch.context() as patched:
            patched.setattr(manager.events, "publish", broken)
            off = {f"shop{number}": False for number in range(3)}
            results = await manager.batch_update_cookie_status(off, caller=ANN, atomic=True)
            assert {result.outcome for result in results} == {"changed"}
            await manager.update_settings("shop0", {"remark": "again"}, caller=ANN)
            await in_step(store, manager)
        await until(lambda: not any(site.live.values()))
        await in_step(store, manager)


async def test_a_batch_gives_each_account_its_own_result() -> None:
    site, store = FakeSite(), MemoryStore()
    async with managing(site, store) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        results = await manager.batch_update_cookie_status({"shop": False, "nobody": True}, caller=ANN)
        assert [result.outcome for result in results] == ["changed", "failed"]
        await in_step(store, manager)


async def test_what_another_writer_stored_is_published_and_built_upon() -> None:
    site, store = FakeSite(), MemoryStore()
    async with managing(site, store) as manager, managing(FakeSite(), store) as other:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        await other.reload_from_db()
        await other.update_settings("shop", {"remark": "theirs"}, caller=ANN)
        await manager.update_settings("shop", {"pause_duration": 1}, caller=ANN)
        account = manager.account("shop")
        assert (account.remark, account.pause_duration, account.generation) == ("theirs", 1, 3)


async def test_f4_after_a_stale_write_every_account_of_an_atomic_batch_is_read_again() -> None:
    """All that moved elsewhere is published, not only the first: the batch succeeds when it is sent again."""
    store = MemoryStore()
    async with managing(FakeSite(), store) as manager, managing(FakeSite(), store) as other:
        names = [f"shop{number}" for number in range(3)]
        for number, name in enumerate(names):
            await manager.add_cookie(name, cookie_of(number), owner_id=1, caller=ANN)
        await other.reload_from_db()
        for name in names:
            await other.update_settings(name, {"remark": "theirs"}, caller=ANN)
        off = dict.fromkeys(names, False)
        with pytest.raises(StaleGeneration):
            await manager.batch_update_cookie_status(off, caller=ANN, atomic=True)
        assert {name: (manager.account(name).remark, manager.account(name).generation) for name in names} == (
            dict.fromkeys(names, ("theirs", 2))
        )
        results = await manager.batch_update_cookie_status(off, caller=ANN, atomic=True)
        assert {result.outcome for result in results} == {"changed"}


async def _told(subscription: Subscription) -> list[tuple[str, int]]:
    """What was fanned out since it was last asked: account and generation, in order."""
    events = await subscription.take()
    return [(event.account_id, event.entry.generation) for event in events if isinstance(event, AccountChanged)]


async def test_what_another_writer_did_is_told_from_its_creation_on_and_once() -> None:
    """An account unknown here tells all of its past, though later changes of others were told before."""
    store = MemoryStore()
    async with managing(FakeSite(), store) as manager, managing(FakeSite(), store) as other:
        with manager.events.subscribe() as heard:
            await other.add_cookie("theirs", cookie_of(1), owner_id=1, caller=ANN)
            await other.update_settings("theirs", {"remark": "r"}, caller=ANN)
            await other.add_cookie("also", cookie_of(2), owner_id=1, caller=ANN)
            await manager.add_cookie("mine", cookie_of(3), owner_id=1, caller=ANN)
            assert await manager.reload_from_db() == 2
            assert await manager.reload_from_db() == 0
            assert await _told(heard) == [("mine", 1), ("also", 1), ("theirs", 1), ("theirs", 2)]


async def test_f4_what_another_writer_did_is_told_in_the_order_in_which_it_was_done() -> None:
    store = MemoryStore()
    async with managing(FakeSite(), store) as manager, managing(FakeSite(), store) as other:
        await other.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        await manager.reload_from_db()
        with manager.events.subscribe() as heard:
            for number in range(5):
                await other.update_settings("shop", {"remark": f"r{number}"}, caller=ANN)
            await manager.reload_from_db()
            events = [event for event in await heard.take() if isinstance(event, AccountChanged)]
        told = [event.entry.changes["remark"] for event in events]
        assert told == [["", "r0"], ["r0", "r1"], ["r1", "r2"], ["r2", "r3"], ["r3", "r4"]]
        assert [event.entry.rev for event in events] == sorted(event.entry.rev for event in events)


async def test_an_account_that_came_and_went_elsewhere_is_told_without_what_was_told_before() -> None:
    store = MemoryStore()
    async with managing(FakeSite(), store) as manager, managing(FakeSite(), store) as other:
        await other.add_cookie("old", cookie_of(9), owner_id=1, caller=ANN)
        await manager.reload_from_db()
        with manager.events.subscribe() as heard:
            await manager.remove_cookie("old", caller=ANN)
            await other.reload_from_db()
            await until(lambda: "old" not in manager.tasks and "old" not in other.tasks)
            assert await _told(heard) == [("old", 2)]
            await other.add_cookie("old", cookie_of(9), owner_id=1, caller=ANN)
            await manager.reload_from_db()
            assert await _told(heard) == [("old", 3)]
            await other.remove_cookie("old", caller=ANN)
            await manager.reload_from_db()
            assert await _told(heard) == [("old", 4)]
            assert "old" not in manager.accounts
            await until(lambda: "old" not in manager.tasks and "old" not in other.tasks)


async def test_an_id_that_another_writer_took_is_known_from_then_on() -> None:
    store = MemoryStore()
    async with managing(FakeSite(), store) as manager, managing(FakeSite(), store) as other:
        await other.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        with pytest.raises(AccountExists):
            await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        assert manager.account("shop") == other.account("shop")


class BusyStore(MemoryStore):
    """While one account is read, somebody else goes on changing it."""

    meanwhile: Callable[[], Awaitable[object]] | None = None

    async def glimpse(self, account_id: str, *, after_rev: int) -> Glimpse:
        stored = await super().glimpse(account_id, after_rev=after_rev)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        return stored


async def test_a_change_that_comes_while_another_writers_is_read_is_told_with_its_own_value() -> None:
    store = BusyStore()
    async with managing(FakeSite(), store) as manager, managing(FakeSite(), store) as other:
        await other.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        with manager.events.subscribe() as heard:
            store.meanwhile = lambda: other.update_settings("shop", {"remark": "late"}, caller=ANN)
            await manager.reload_from_db()
            assert (await _told(heard), manager.account("shop").generation) == ([("shop", 1)], 1)
            await manager.reload_from_db()
            assert (await _told(heard), manager.account("shop").generation) == ([("shop", 2)], 2)


UNSEEN = [
    "a\u200bb",
    "a\u202eb",
    "a\u2066b",
    "\ufeffa",
    "a\u00adb",
    "a\ufe0f",
    "a\u3164",
    "a\u00a0b",
    "a\u2028b",
    "a\U000e0041",
]


@pytest.mark.parametrize("account_id", ["小店 1", "小店\u3000二", "café", "🐟", "ａ", "a.b", "-", "x" * 64])
def test_ids_are_in_any_writing(account_id: str) -> None:
    assert check_account_id(account_id) == account_id


@pytest.mark.parametrize("account_id", UNSEEN)
def test_an_id_has_nothing_that_cannot_be_seen(account_id: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_account_id(account_id)
    assert caught.value.code == "bad_account_id"


@pytest.mark.parametrize("account_id", ["", "a/b", "a?b", "a#b", "a%b", "details", "a\nb", "x" * 65, " a", ".."])
async def test_bad_ids_are_refused_before_anything_is_touched(account_id: str) -> None:
    async with managing(FakeSite()) as manager:
        with pytest.raises(InvalidInput):
            await manager.add_cookie(account_id, cookie_of(1), owner_id=1, caller=ANN)
        assert not manager.accounts


async def test_ten_thousand_keywords_are_refused_and_nothing_is_lost() -> None:
    async with managing(FakeSite()) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        await manager.update_keywords("shop", [("hi", "hello")], caller=ANN)
        with pytest.raises(InvalidInput, match="at most"):
            await manager.update_keywords("shop", [(f"k{n}", "v") for n in range(10_000)], caller=ANN)
        assert [rule.keyword for rule in manager.keywords["shop"]] == ["hi"]


async def test_a_change_lands_on_no_other_owner_who_took_the_id_during_the_wait() -> None:
    site, store = FakeSite(), MemoryStore()
    async with managing(site, store) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        await manager.remove_cookie("shop", caller=ANN)
        await until(lambda: "shop" not in manager.tasks)
        await manager.add_cookie("shop", cookie_of(2), owner_id=2, caller=ANN)
        late = Caller(actor="user:ann", owner_id=1)
        with pytest.raises(UnknownAccount):
            await manager.update_cookie_status("shop", False, caller=late)
        with pytest.raises(UnknownAccount):
            await manager.batch_update_cookie_status({"shop": False}, caller=late, atomic=True)
        assert (await manager.batch_update_cookie_status({"shop": False}, caller=late))[0].outcome == "failed"
        assert manager.get_cookie_status("shop")


async def test_a_purge_that_ends_during_the_close_disturbs_nothing() -> None:
    site, store = FakeSite(), MemoryStore()
    site.farewell_seconds = 0.05
    async with managing(site, store) as manager:
        for number in range(3):
            await manager.add_cookie(f"shop{number}", cookie_of(number), owner_id=1, caller=ANN)
        await manager.remove_cookie("shop1", caller=Caller(actor="ann", wait_seconds=0))
    assert site.live == {"shop0": 0, "shop1": 0, "shop2": 0}


class HesitantStore(MemoryStore):
    """Its first write of a parked account is under way when the server closes, and comes to nothing."""

    def __init__(self, refusals: int = 0) -> None:
        super().__init__()
        self.under_way = asyncio.Event()
        self.hesitate = True
        self.refusals = refusals

    async def observe(self, observations: Mapping[str, Observation], moves: Sequence[StateMove] = ()) -> None:
        if self.hesitate and any(seen.parked_for for seen in observations.values()):
            self.hesitate = False
            self.under_way.set()
            await asyncio.Event().wait()
        if self.under_way.is_set() and self.refusals:
            self.refusals -= 1
            raise NotApplied("database is locked")
        await super().observe(observations, moves)


@pytest.mark.parametrize("refusals", [0, 1])
async def test_a_park_whose_write_was_under_way_at_the_close_is_not_lost(refusals: int) -> None:
    site, store = FakeSite(), HesitantStore(refusals)

    async def refuse(account: Account, link: Link) -> None:
        raise ActionRequired("risk_control")

    site.behave = refuse
    async with managing(site, store) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        await store.under_way.wait()
    async with managing(site, store) as manager:
        await until(lambda: manager.observation("shop").state is AccountState.PARKED)
    assert site.ever["shop"] == 1, "a risk-controlled login must not be tried again by itself"


async def test_what_the_site_says_is_kept_whatever_characters_it_has(tmp_path: Path) -> None:
    """Databases refuse half a surrogate pair, and NUL: a park that could not be stored would be tried again."""
    site = FakeSite()

    async def refuse(account: Account, link: Link) -> None:
        if account.id == "shop":
            raise ActionRequired("risk_control", action_url="https://site.example/verify?\ud800\x00")
        raise TemporaryFailure("half \ud800 and \x00 " + "x" * 10_000)

    site.behave = refuse
    for _ in range(2):
        async with Database(tmp_path) as database:
            store = DBManager(database, await open_vault(database, tmp_path / "secret.key"))
            async with managing(site, store) as manager:
                if not manager.accounts:
                    await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
                    await manager.add_cookie("other", cookie_of(2), owner_id=1, caller=ANN)
                await until(lambda: manager.observation("shop").state is AccountState.PARKED)
                assert manager.observation("shop").action_url == "https://site.example/verify?\ufffd\ufffd"
            seen = (await store.load()).observations
            assert (seen["shop"].state, seen["shop"].parked_reason) == (AccountState.PARKED, "risk_control")
            assert seen["other"].state is AccountState.STOPPED
    assert site.ever["shop"] == 1


class FastidiousStore(MemoryStore):
    """Cannot store what is observed of one account, and says so as no store should."""

    async def observe(self, observations: Mapping[str, Observation], moves: Sequence[StateMove] = ()) -> None:
        if "bad" in observations:
            raise ValueError("no such character")
        await super().observe(observations, moves)

    def seen(self, account_id: str) -> AccountState | None:
        found = self._observations.get(account_id)
        return found.state if found else None


async def test_one_observation_that_cannot_be_stored_keeps_no_other_from_it() -> None:
    site, store = FakeSite(), FastidiousStore()
    async with managing(site, store) as manager:
        for number, name in enumerate(("bad", "good")):
            await manager.add_cookie(name, cookie_of(number), owner_id=1, caller=ANN)
            await until(lambda: manager.observation("bad").state is AccountState.RUNNING)
        await manager.update_cookie_status("bad", False, caller=ANN)
        await manager.update_cookie_status("good", False, caller=ANN)
        await until(lambda: store.seen("good") is AccountState.STOPPED)
        await asyncio.gather(*(manager.update_cookie_status(name, True, caller=ANN) for name in ("good", "bad")))
    assert store.seen("good") is AccountState.STOPPED
    assert [move.reason for move in await store.timeline("good")][-1] == "server_stopped"


async def test_an_answer_in_the_moment_of_the_deadline_counts_and_leaves_nothing_stale() -> None:
    store = LateStore()
    async with managing(FakeSite(), store, database_deadline_seconds=0.05) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        store.busy_seconds = 0.1
        outcome = await manager.update_settings("shop", {"remark": "new"}, caller=ANN)
        assert (outcome.changed, outcome.generation) == (True, 2)
        assert not manager.is_stale("shop")
        await in_step(store, manager)


async def test_a_large_batch_is_changed_in_parts_so_that_the_loop_turns_in_between() -> None:
    class Counting(MemoryStore):
        most = 0

        def submit(self, changes: Sequence[Change], settle: Settle) -> None:
            self.most = max(self.most, len(manager.pending))
            super().submit(changes, settle)

    store, ids = Counting(), [f"shop{number}" for number in range(BATCH_AT_ONCE + 50)]
    async with managing(FakeSite(), store) as manager:
        for number, name in enumerate(ids):
            quick = replace(ANN, wait_seconds=0)
            await manager.add_cookie(name, cookie_of(number), owner_id=1, caller=quick)
        busy = await manager.locks.acquire(ids[0], "update_keywords")
        batch = asyncio.create_task(manager.batch_update_cookie_status(dict.fromkeys(ids, False), caller=ANN))
        await until(
            lambda: not any(manager.cookie_status[name] for name in ids[1:])
        )  # one that is busy delays no other
        busy.release()
        assert {result.outcome for result in await batch} == {"changed"}
        assert store.most <= BATCH_AT_ONCE
