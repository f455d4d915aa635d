"""A commit of unknown outcome: settled by what is found, and the store degrades while it is unknown."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from shoal.accounts.store import Committed, Refused, Unsettled
from shoal.errors import CommitUnknown, NotApplied, StoreDegraded, StoreError
from shoal.storage.db_manager import DBManager
from support.databases.failing_commits import Faults, assert_whole, opened
from support.databases.store_steps import Settlements, an_account, committed, created, edit, living, settled, submitted
from support.site.standins import until


async def test_a_commit_that_raises_although_it_was_applied_is_settled_as_committed(
    store: DBManager, faults: Faults
) -> None:
    accounts = await created(store, an_account("one"), an_account("two"))
    faults.left["committed"] = 1
    first, second = await asyncio.gather(*(settled(store, edit(account, remark="x")) for account in accounts))
    assert isinstance(first, Committed)
    assert isinstance(second, Committed)
    assert [(await living(store, name)).generation for name in ("one", "two")] == [2, 2]
    assert (await living(store, "one")).rev == first.entries[0].rev
    await assert_whole(store)


async def test_a_commit_that_raises_and_was_not_applied_is_settled_as_refused(store: DBManager, faults: Faults) -> None:
    (account,) = await created(store, an_account())
    faults.left["commit"] = 1
    change = edit(account, remark="x")
    settlement = await settled(store, change)
    assert isinstance(settlement, Refused)
    assert isinstance(settlement.error, NotApplied)
    assert await store.op(change.op.op_id) is None
    assert await living(store, "shop") == account
    await committed(store, edit(account, remark="y"))
    await assert_whole(store)


@pytest.mark.parametrize(("point", "applied"), [("committed", True), ("commit", False)])
async def test_a_barrier_that_fails_at_first_is_tried_again(
    tmp_path: Path, faults: Faults, point: str, applied: bool
) -> None:
    async with opened(tmp_path, faults, settle_seconds=60) as (_, store):  # a busy machine needs longer than 0.3 s
        (account,) = await created(store, an_account())
        faults.left |= {point: 1, "barrier": 2}
        assert isinstance(await settled(store, edit(account, remark="x")), Committed if applied else Refused)
        await assert_whole(store)


@pytest.mark.parametrize(("point", "applied"), [("committed", True), ("commit", False)])
async def test_the_store_degrades_while_nobody_knows_and_recovers(
    tmp_path: Path, faults: Faults, point: str, applied: bool
) -> None:
    async with opened(tmp_path, faults) as (database, store):
        heard: list[bool] = []
        database.on_degraded(heard.append)
        one, two = await created(store, an_account("one"), an_account("two"))
        faults.left |= {point: 1, "barrier": 1_000_000}
        settlements = Settlements(store)
        settlements.submit("one", [edit(one, remark="x")])
        ((_, first),) = await settlements.wait_for(1)
        assert isinstance(first, Unsettled)
        assert isinstance(first.error, CommitUnknown)

        refused = await settled(store, edit(two, remark="x"))
        assert isinstance(refused, Refused)
        assert (type(refused.error), refused.error.code) == (StoreDegraded, "store_degraded")
        with pytest.raises(NotApplied):
            await database.write(lambda connection: None)
        assert (await living(store, "two")).generation == 1  # reads go on

        faults.left["barrier"] = 0
        seen = await settlements.wait_for(2)
        assert isinstance(seen[1][1], Committed) is applied
        assert isinstance(seen[1][1], Refused) is not applied
        assert (await living(store, "one")).remark == ("x" if applied else "")
        await committed(store, edit(two, remark="y"))
        assert not database.degraded
        assert heard == [True, False]
        await assert_whole(store)


async def test_f1_the_barrier_waits_for_what_was_sent_before_and_for_nothing_else(
    tmp_path: Path, faults: Faults
) -> None:
    async with opened(tmp_path, faults) as (database, _):
        writer = database.group_writer
        groups = writer.groups_committed
        await writer.settled()
        assert writer.groups_committed == groups, "it writes nothing"
        faults.hold = threading.Event()
        before = asyncio.create_task(database.write(lambda _: None))
        await asyncio.sleep(0.05)
        barrier = asyncio.create_task(database.settled())
        before.cancel()
        await asyncio.sleep(0.1)
        assert not barrier.done(), "its caller has left, and it is written all the same"
        faults.hold.set()
        await barrier
        assert writer.groups_committed == groups + 1
        faults.left["statement"] = 2
        refused = asyncio.create_task(database.write(lambda _: None))
        await database.settled()
        assert isinstance((await asyncio.gather(refused, return_exceptions=True))[0], NotApplied)
    with pytest.raises(StoreError):
        await database.settled()


@pytest.mark.slow
async def test_f1_the_barrier_waits_until_an_unknown_commit_is_known(tmp_path: Path, faults: Faults) -> None:
    async with opened(tmp_path, faults) as (database, _):
        faults.left |= {"commit": 1, "barrier": 10**6}
        with pytest.raises(CommitUnknown):
            await database.write(lambda _: None)
        barriers = [asyncio.create_task(database.settled()) for _ in range(3)]
        await asyncio.sleep(0.05)
        assert [database.degraded, *(barrier.done() for barrier in barriers)] == [True, False, False, False]
        faults.left.clear()
        await asyncio.gather(*barriers)
        assert [database.degraded] == [False]
        faults.left |= {"commit": 1, "barrier": 10**6}
        with pytest.raises(CommitUnknown):
            await database.write(lambda _: None)
        barrier = asyncio.create_task(database.settled())
        await asyncio.sleep(0.05)
    with pytest.raises(NotApplied, match="closed"):
        await barrier


async def test_work_that_waits_while_the_store_degrades_is_refused(store: DBManager, faults: Faults) -> None:
    accounts = await created(store, *(an_account(f"shop{number}") for number in range(3)))
    faults.left |= {"commit": 1, "barrier": 4}
    first = submitted(store, edit(accounts[0], remark="x"))
    await asyncio.sleep(0.1)  # the writer is asking the database by now
    second = submitted(store, edit(accounts[1], remark="x"))
    assert not isinstance(await first, Committed)
    settlement = await second
    assert isinstance(settlement, Refused | Committed)  # refused when the store degraded, written when it was quick
    await assert_whole(store)


async def test_f4_work_that_waits_when_the_store_degrades_is_refused_at_once(tmp_path: Path, faults: Faults) -> None:
    """A change and a job that were queued behind the COMMIT whose outcome is unknown hear it while it still is."""
    async with opened(tmp_path, faults) as (database, store):
        one, two = await created(store, an_account("one"), an_account("two"))
        faults.hold = threading.Event()
        faults.left |= {"commit": 1, "barrier": 1_000_000}
        first = submitted(store, edit(one, remark="x"))
        await until(lambda: not database.group_writer.waiting)  # the thread took it
        second = submitted(store, edit(two, remark="x"))
        job = asyncio.ensure_future(database.write(lambda connection: None))
        await until(lambda: database.group_writer.waiting == 2)
        faults.hold.set()
        assert isinstance(await first, Unsettled)
        async with asyncio.timeout(60):
            settlement = await second
            with pytest.raises(NotApplied) as caught:
                await job
        assert database.degraded
        assert isinstance(settlement, Refused)
        assert {settlement.error.code, caught.value.code} == {"store_degraded"}
        faults.left["barrier"] = 0


async def test_a_job_whose_commit_is_unknown_raises_that(tmp_path: Path, faults: Faults) -> None:
    async with opened(tmp_path, faults) as (database, _):
        faults.left |= {"commit": 1, "barrier": 1_000_000}
        with pytest.raises(CommitUnknown):
            await database.write(lambda connection: 1)


async def test_closing_a_degraded_store_does_not_hang(tmp_path: Path, faults: Faults) -> None:
    async with opened(tmp_path, faults) as (database, store):
        (account,) = await created(store, an_account())
        faults.left |= {"committed": 1, "barrier": 1_000_000}
        change = edit(account, remark="x")
        assert isinstance(await settled(store, change), Unsettled)
        async with asyncio.timeout(60):
            await database.close()
    async with opened(tmp_path) as (_, store):
        assert await store.op(change.op.op_id) is not None  # what became of it is read after the restart
