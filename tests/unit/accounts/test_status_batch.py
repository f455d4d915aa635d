"""Batches: each account for itself, or all or none."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from shoal.accounts.events import AccountChanged, AccountStateChanged
from shoal.accounts.status_batch import BATCH_AT_ONCE
from shoal.accounts.store import Change, Settle
from shoal.errors import (
    NotApplied,
    StaleGeneration,
    UnknownAccount,
)
from support.databases.memory_store import MemoryStore, RefusingStore
from support.site.standins import ANN, FakeSite, cookie_of, in_step, managing, until


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
