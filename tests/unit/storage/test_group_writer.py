"""The group writer on a real SQLite file, with faults at the points where a disk has them."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from shoal.accounts.store import Committed, Refused
from shoal.errors import NotApplied, StoreError, UnknownAccount
from shoal.storage import database_engines
from shoal.storage.data_directory import DATABASE_FILE
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from support.databases.failing_commits import Faults, assert_whole, opened
from support.databases.store_steps import an_account, committed, created, creation, edit, living, settled, submitted
from support.site.standins import until


@pytest.mark.parametrize("point", ["begin", "statement"])
async def test_a_failure_before_commit_is_certainly_not_applied(store: DBManager, faults: Faults, point: str) -> None:
    (account,) = await created(store, an_account())
    faults.left[point] = 2  # a failed group is tried once more, work by work; without a transaction it would be useless
    change = edit(account, remark="x")
    settlement = await settled(store, change)
    assert isinstance(settlement, Refused)
    assert isinstance(settlement.error, NotApplied)
    assert await store.op(change.op.op_id) is None
    assert faults.left == {point: int(point == "begin")}
    faults.left.clear()
    await committed(store, edit(account, remark="x"))
    await assert_whole(store)


async def test_d11_a_database_locked_by_another_program_is_not_applied_within_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_engines, "WRITER_BUSY_SECONDS", 0.3)
    async with opened(tmp_path) as (_, store):
        (account,) = await created(store, an_account())
        with contextlib.closing(sqlite3.connect(tmp_path / DATABASE_FILE, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            settlement = await settled(store, edit(account, remark="x"))
            assert isinstance(settlement, Refused)
            assert isinstance(settlement.error, NotApplied)
            assert settlement.error.params["reason"] == "SQLITE_BUSY"
            assert (await living(store, "shop")).remark == ""
            other.execute("ROLLBACK")
        await committed(store, edit(account, remark="x"))
        await assert_whole(store)


async def test_a_full_database_refuses_and_works_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as (database, store):
        (account,) = await created(store, an_account())
        pages = await database.read(lambda connection: connection.exec_driver_sql("PRAGMA page_count").scalar())

        def limit(pages: int) -> Callable[[Connection], object]:
            return lambda connection: connection.exec_driver_sql(f"PRAGMA max_page_count={pages}").scalar()

        await database.write(limit(int(pages or 0)))
        settlement = await settled(store, edit(account, remark="x" * 1_000_000))
        assert isinstance(settlement, Refused)
        assert isinstance(settlement.error, NotApplied)
        assert settlement.error.params["reason"] == "SQLITE_FULL"
        await database.write(limit(1_000_000))
        await committed(store, edit(account, remark="x" * 1_000_000))
        await assert_whole(store)


async def test_a_job_returns_its_result_and_its_error(database: Database) -> None:
    def unknown(_: Connection) -> None:
        raise UnknownAccount("x")

    def wrong(_: Connection) -> None:
        raise ZeroDivisionError

    def bad_statement(connection: Connection) -> None:
        connection.execute(text("INSERT INTO store_meta (key, value) VALUES ('a', 'b')"))
        connection.execute(text("SELECT canary FROM nowhere WHERE x = :secret"), {"secret": "hidden"})

    assert await database.write(lambda connection: connection.scalar(text("SELECT 7"))) == 7
    with pytest.raises(UnknownAccount):
        await database.write(unknown)
    with pytest.raises(ZeroDivisionError):
        await database.write(wrong)
    with pytest.raises(NotApplied) as caught:
        await database.write(bad_statement)
    assert "canary" not in str(caught.value)
    assert "hidden" not in str(caught.value)
    assert await database.fact("a") is None  # rolled back to its savepoint


async def test_d11_a_job_that_fails_harms_no_other_in_its_group(database: Database, faults: Faults) -> None:
    def job(number: int) -> Callable[[Connection], int]:
        def run(connection: Connection) -> int:
            connection.execute(text("INSERT INTO store_meta (key, value) VALUES (:key, 'x')"), {"key": str(number)})
            if number % 3 == 0:
                connection.execute(text("INSERT INTO nowhere VALUES (1)"))
            return number

        return run

    faults.hold = threading.Event()
    waiting = asyncio.gather(*(database.write(job(number)) for number in range(12)), return_exceptions=True)
    await asyncio.sleep(0.05)
    groups = database.group_writer.groups_committed
    faults.hold.set()
    results = await waiting
    assert [type(result) for result in results] == [NotApplied if number % 3 == 0 else int for number in range(12)]
    assert database.group_writer.groups_committed - groups <= 2
    kept = await database.read(
        lambda connection: connection.scalars(text("SELECT key FROM store_meta WHERE value = 'x'")).all()
    )
    assert sorted(map(int, kept)) == [number for number in range(12) if number % 3]


async def test_d11_reading_goes_on_during_a_transaction_and_sees_nothing_of_it(database: Database) -> None:
    """Not one connection and one lock for all: a long transaction stops no reader, and shows him nothing unfinished."""
    begun, finish = threading.Event(), threading.Event()

    def long(connection: Connection) -> None:
        connection.execute(text("INSERT INTO store_meta (key, value) VALUES ('half', 'x')"))
        begun.set()
        assert finish.wait(60)

    writing = asyncio.create_task(database.write(long))
    await asyncio.to_thread(begun.wait, 60)
    try:
        assert await asyncio.gather(*(database.fact("half") for _ in range(8))) == [None] * 8
        assert not writing.done()
    finally:
        finish.set()
    await writing
    assert await database.fact("half") == "x"


async def test_works_that_wait_are_committed_as_one_group(tmp_path: Path, faults: Faults) -> None:
    async with opened(tmp_path, faults) as (database, store):
        accounts = await created(store, *(an_account(f"shop{number}") for number in range(40)))
        faults.hold = threading.Event()
        blocked = submitted(store, edit(accounts[0], remark="x"))
        await until(lambda: not database.group_writer.waiting)  # the thread took it
        groups = database.group_writer.groups_committed
        waiting = [submitted(store, edit(account, remark="x")) for account in accounts[1:]]
        faults.hold.set()
        assert all(isinstance(settlement, Committed) for settlement in await asyncio.gather(blocked, *waiting))
        assert database.group_writer.groups_committed - groups == 2


async def test_work_is_written_although_the_next_turn_of_the_loop_brings_more(database: Database) -> None:
    writer = database.group_writer
    before, late = writer.groups_committed, time.monotonic() + 60
    with writer._wake:  # the thread sees what the second turn has changed already
        first = asyncio.ensure_future(database.write(lambda _: None))
        await asyncio.sleep(0)
        writer._gathered()
        second = asyncio.ensure_future(database.write(lambda _: None))
        await asyncio.sleep(0)
    while writer.groups_committed == before and time.monotonic() < late:
        time.sleep(0.005)  # noqa: ASYNC251  the second turn goes on
    assert writer.groups_committed > before
    await asyncio.gather(first, second)


async def test_the_loop_turns_while_the_database_hangs(store: DBManager, faults: Faults) -> None:
    (account,) = await created(store, an_account())
    faults.hold = threading.Event()
    pending = submitted(store, edit(account, remark="x"))
    for _ in range(100):
        await asyncio.sleep(0.001)
    assert not pending.done()
    faults.hold.set()
    assert isinstance(await pending, Committed)


async def test_closing_writes_what_waits_and_refuses_what_comes_later(tmp_path: Path, faults: Faults) -> None:
    async with opened(tmp_path, faults) as (database, store):
        accounts = await created(store, *(an_account(f"shop{number}") for number in range(5)))
        waiting = [submitted(store, edit(account, remark="x")) for account in accounts]
        writer = database.group_writer
        await database.close()
        assert all(isinstance(settlement, Committed) for settlement in await asyncio.gather(*waiting))
        with pytest.raises(StoreError):
            store.submit([creation(an_account("late"))], lambda _: None)
        late: list[object] = []
        writer.submit([creation(an_account("late"))], late.append)
        await asyncio.sleep(0)
        assert isinstance(late[0], Refused)
    async with opened(tmp_path) as (_, store):
        assert {account.remark for account in (await store.load()).accounts.values()} == {"x"}
        assert len((await store.load()).accounts) == 5


async def test_a_listener_that_raises_keeps_no_other_from_its_settlement(
    store: DBManager, faults: Faults, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = await created(store, an_account("one"), an_account("two"))

    def broken(_: object) -> None:
        raise ZeroDivisionError

    faults.hold = threading.Event()
    store.submit([edit(one, remark="x")], broken)
    pending = submitted(store, edit(two, remark="x"))
    faults.hold.set()
    assert isinstance(await pending, Committed)
    assert "a settlement was not taken" in caplog.text


async def test_a_value_the_database_cannot_hold_is_refused_alone(store: DBManager, faults: Faults) -> None:
    one, two = await created(store, an_account("one"), an_account("two"))
    faults.hold = threading.Event()
    bad = submitted(store, edit(one, pause_duration=2**70))
    good = submitted(store, edit(two, remark="x"))
    faults.hold.set()
    refused = await bad
    assert isinstance(refused, Refused)
    assert isinstance(refused.error, NotApplied)
    assert isinstance(await good, Committed)
    await assert_whole(store)


async def test_a_close_waits_for_the_end_of_the_writers_thread(tmp_path: Path) -> None:
    begun, ended = threading.Event(), threading.Event()

    def slow(_: Connection) -> None:
        begun.set()
        time.sleep(0.2)
        ended.set()

    async with Database(tmp_path) as database:
        written = asyncio.create_task(database.write(slow))
        await asyncio.to_thread(begun.wait, 60)
    assert ended.is_set()
    assert "shoal-writer" not in {thread.name for thread in threading.enumerate()}
    await written
