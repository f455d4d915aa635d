"""Readiness: whether a change can be stored is checked when nothing is written, and what it says of accounts."""

from __future__ import annotations

import asyncio
import contextlib
import math
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from shoal.accounts.account import Account
from shoal.accounts.account_counts import AccountCounter, AccountCounts
from shoal.accounts.account_task import Link
from shoal.errors import ActionRequired
from shoal.storage.data_directory import DATABASE_FILE
from support.servers.doors import Door, client_of, open_door
from support.site.standins import until, until_told


@contextlib.contextmanager
def _locked(data_dir: Path) -> Iterator[None]:
    """Another program holds the lock for writing."""
    with contextlib.closing(sqlite3.connect(data_dir / DATABASE_FILE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def _nobody_wrote_lately(door: Door) -> None:
    door.server.database.group_writer.committed_at = -math.inf


async def _ready(door: Door) -> httpx.Response:
    async with client_of(door.app) as anybody:
        return await anybody.get("/health/ready")


async def _status(door: Door) -> int:
    return (await _ready(door)).status_code


async def test_f6_a_locked_database_is_not_ready_though_nobody_wrote_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.storage.database_engines.WRITER_BUSY_SECONDS", 0.05)
    async with open_door(tmp_path) as door:
        await door.add()
        with _locked(tmp_path):
            _nobody_wrote_lately(door)
            for path in ("/health/ready", "/health"):
                assert (await door.call("GET", path, 503))["services"]["database"] == "error"
        assert (await door.call("GET", "/health/ready"))["ready"] is True


async def test_f6_however_many_ask_there_is_one_look_and_nobody_waits_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.storage.database_engines.WRITER_BUSY_SECONDS", 1.0)
    async with open_door(tmp_path) as door:
        await door.add()
        writer, most = door.server.database.group_writer, 0
        await until(lambda: writer.waiting == 0)
        with _locked(tmp_path), monkeypatch.context() as impatient:
            impatient.setattr("shoal.api.routes.health.PROBE_SECONDS", 0.2)
            _nobody_wrote_lately(door)
            asking = [asyncio.create_task(_ready(door)) for _ in range(100)]
            while not all(task.done() for task in asking):
                most = max(most, writer.waiting)
                await asyncio.sleep(0.01)
            assert {task.result().status_code for task in asking} == {503}
            assert most <= 2  # one look, and an observation of a task
        await until_told(lambda: _status(door), 200)
        monkeypatch.setattr("shoal.storage.database_engines.WRITER_BUSY_SECONDS", 60.0)  # however slow the machine is
        monkeypatch.setattr("shoal.api.routes.health.PROBE_SECONDS", 60.0)
        _nobody_wrote_lately(door)
        before = writer.works_committed
        assert {answer.status_code for answer in await asyncio.gather(*(_ready(door) for _ in range(100)))} == {200}
        assert writer.works_committed - before <= 2  # the check, and what a task observed during it


async def test_f6_a_write_of_a_moment_ago_is_known_and_costs_no_other(door: Door) -> None:
    await door.call("PUT", "/cookies/shop/remark", json={"remark": "written"})
    writer = door.server.database.group_writer
    await until(lambda: writer.waiting == 0)
    before = writer.groups_committed
    for _ in range(20):
        assert (await _ready(door)).json()["ready"] is True
    assert writer.groups_committed - before <= 1  # what was observed last may be stored at the same time


async def test_f6_who_asks_and_leaves_ends_the_look_of_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.storage.database_engines.WRITER_BUSY_SECONDS", 5.0)
    async with open_door(tmp_path) as door:
        _nobody_wrote_lately(door)
        with _locked(tmp_path):
            first = asyncio.create_task(_ready(door))
            second = asyncio.create_task(_ready(door))
            await asyncio.sleep(0.1)
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
        assert (await second).status_code == 200


async def test_f6_readiness_counts_accounts_and_one_that_is_parked_does_not_fail_it(door: Door) -> None:
    async def behave(account: Account, link: Link) -> None:
        if account.id == "parked":
            raise ActionRequired("risk_control")
        link.running()
        await asyncio.Event().wait()

    door.site.behave = behave
    for number, name in enumerate(("parked", "well", "off"), start=2):
        await door.add(name, number)
    await door.call("PUT", "/cookies/off/status", json={"enabled": False})
    wanted = {"wanted": 3, "running": 2, "waiting": 0, "starting": 0, "retrying": 0, "parked": 1}

    async def counted() -> Any:
        return (await _ready(door)).json()["accounts"]

    await until_told(counted, wanted)
    answer = await _ready(door)
    assert (answer.status_code, answer.json()["ready"], set(answer.json())) == (
        200, True, {"ready", "services", "accounts"},
    )  # fmt: skip


async def test_f6_a_flood_of_questions_counts_the_accounts_once_a_second(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter, counted = type(door.server.account_counter), 0
    count = counter._count

    def counting(self: AccountCounter) -> AccountCounts:
        nonlocal counted
        counted += 1
        return count(self)

    monkeypatch.setattr("shoal.accounts.account_counts.FRESH_SECONDS", 60.0)
    monkeypatch.setattr(counter, "_count", counting)
    await asyncio.gather(*(_ready(door) for _ in range(50)))
    assert counted == 1
