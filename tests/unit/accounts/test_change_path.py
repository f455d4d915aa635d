"""The single path of every change: conditions, waits, deadlines, callers who leave."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest

from shoal.accounts.change_path import Caller
from shoal.accounts.store import Change, Settle, Settlement
from shoal.errors import (
    LockTimeout,
    StaleGeneration,
    UnknownAccount,
)
from support.databases.memory_store import MemoryStore
from support.site.standins import ANN, FakeSite, cookie_of, in_step, managing, until


class LateStore(MemoryStore):
    """Answers while the loop is busy, for longer than the database deadline: answer and deadline come in one turn."""

    busy_seconds = 0.0

    def submit(self, changes: Sequence[Change], settle: Settle) -> None:
        def late(settlement: Settlement) -> None:
            time.sleep(self.busy_seconds)
            settle(settlement)

        super().submit(changes, late)


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


async def test_who_waits_in_vain_for_a_removal_is_told_so() -> None:
    store = MemoryStore()
    async with managing(FakeSite(), store, lock_wait_seconds=0.05) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        store.delay_seconds = 0.3
        removal = asyncio.create_task(manager.remove_cookie("shop", caller=ANN))
        await asyncio.sleep(0)
        with pytest.raises(LockTimeout) as caught:
            await manager.update_settings("shop", {"remark": "second"}, caller=ANN)
        assert caught.value.params["operation"] == "remove_cookie"
        await removal


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


async def test_an_answer_in_the_moment_of_the_deadline_counts_and_leaves_nothing_stale() -> None:
    store = LateStore()
    async with managing(FakeSite(), store, database_deadline_seconds=0.05) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        store.busy_seconds = 0.1
        outcome = await manager.update_settings("shop", {"remark": "new"}, caller=ANN)
        assert (outcome.changed, outcome.generation) == (True, 2)
        assert not manager.is_stale("shop")
        await in_step(store, manager)
