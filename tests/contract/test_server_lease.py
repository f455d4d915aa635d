"""One server at a time serves a PostgreSQL database, wherever its data directory is; the next one starts soon."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from shoal.accounts.account import AccountState
from shoal.cluster import server_lease
from shoal.cluster.server_lease import FACT, LeaseTimes, ServerLease
from shoal.errors import ConfigError
from shoal.storage.data_directory import LOCK_FILE
from shoal.storage.database import Database
from shoal.storage.schema import store_meta
from support.databases.postgres_server import Postgres
from support.servers.doors import open_door
from support.site.standins import until

SHORT = LeaseTimes(lease_seconds=4.0, renew_seconds=0.2, margin_seconds=0.5)
"""For what happens when it runs out. A slow machine lets it run out at any time."""
LONG = LeaseTimes(lease_seconds=3600.0, renew_seconds=0.2, margin_seconds=0.5)
"""No machine is so slow that it runs out, and no test waits until it does."""


@pytest.fixture(autouse=True)
def _long_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_lease, "LeaseTimes", lambda: LONG)


@asynccontextmanager
async def served(data_dir: Path, url: str) -> AsyncIterator[ServerLease]:
    """A database that is served from there, as the server does it."""
    lease = ServerLease(data_dir / LOCK_FILE)
    try:
        async with Database(data_dir, url=url, guard=lease.take):
            lease.keep(lambda: None)
            yield lease
    finally:
        await lease.close()


@contextmanager
def serving_process(data_dir: Path, url: str, lease_seconds: float) -> Iterator[subprocess.Popen[str]]:
    """The same in a process of its own, which says when it serves."""
    script = (
        "import asyncio, sys; from pathlib import Path\n"
        "from shoal.storage.data_directory import LOCK_FILE\nfrom shoal.storage.database import Database\n"
        "from shoal.cluster.server_lease import LeaseTimes, ServerLease\n"
        "async def main():\n"
        "    data_dir = Path(sys.argv[1])\n"
        "    times = LeaseTimes(lease_seconds=float(sys.argv[3]), renew_seconds=0.2, margin_seconds=0.5)\n"
        "    lease = ServerLease(data_dir / LOCK_FILE, times)\n"
        "    async with Database(data_dir, url=sys.argv[2], guard=lease.take):\n"
        "        lease.keep(lambda: None); print('serves', flush=True); await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    command = [sys.executable, "-c", script, str(data_dir), url, str(lease_seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "serves\n"
            yield process
        finally:
            process.kill()


async def test_f3_a_second_server_on_the_same_database_is_refused_while_the_first_lives(
    tmp_path: Path, url: str
) -> None:
    async with open_door(tmp_path / "first", database_url=url) as door:
        await door.add()
        await until(lambda: door.server.manager.observation("shop").state is AccountState.RUNNING)
        with pytest.raises(ConfigError, match=r"already uses this database, from .*first; stop that server") as caught:
            async with open_door(tmp_path / "second", database_url=url):
                pass
        assert caught.value.code == "database_taken"
        assert door.server.manager.observation("shop").state is AccountState.RUNNING
    async with open_door(tmp_path / "first", database_url=url) as again:  # its key is there
        await until(lambda: again.server.manager.observation("shop").state is AccountState.RUNNING)


async def test_f3_a_server_that_ended_in_order_leaves_the_database_to_another_at_once(tmp_path: Path, url: str) -> None:
    async with served(tmp_path / "first", url):
        pass
    async with served(tmp_path / "second", url) as lease:  # it does not wait for an hour's lease
        assert lease.owns("shop")


async def test_f3_who_was_killed_is_followed_at_once_from_its_directory_and_soon_from_another(
    tmp_path: Path, url: str
) -> None:
    with serving_process(tmp_path / "first", url, 3600.0) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    async with served(tmp_path / "first", url):  # an hour's lease is not waited for
        pass
    with serving_process(tmp_path / "first", url, 2.0) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    async with served(tmp_path / "second", url) as lease:
        assert lease.owns("shop")


async def test_f3_while_the_database_is_away_too_long_no_account_is_acted_for_and_then_all_are_again(
    tmp_path: Path, url: str, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_lease, "LeaseTimes", lambda: SHORT)
    async with open_door(tmp_path / "data", database_url=url) as door:
        await door.add()
        await until(lambda: door.server.manager.observation("shop").state is AccountState.RUNNING)
        with postgres.away(url):
            await until(lambda: door.server.manager.observation("shop").state is AccountState.ELSEWHERE)
            assert not door.site.links["shop"].allows()
            assert door.site.live["shop"] == 0
        await until(lambda: door.server.manager.observation("shop").state is AccountState.RUNNING)
        assert door.site.most_at_once["shop"] == 1


async def test_f3_a_server_whose_place_another_took_acts_no_more_and_never_again(tmp_path: Path, url: str) -> None:
    async with served(tmp_path / "data", url) as lease:
        other: dict[str, Any] = {"place": "elsewhere", "pid": 1, "host": "other", "data_dir": "/elsewhere"}
        statement = update(store_meta).where(store_meta.c.key == FACT).values(value=json.dumps(other))
        async with Database(url=url) as beside:
            await beside.write(lambda connection: connection.execute(statement).rowcount)
            await until(lambda: not lease.owns("shop"))
            await asyncio.sleep(LONG.renew_seconds * 3)
        assert not lease.owns("shop")


async def test_f3_a_renewal_that_takes_until_the_lease_has_run_out_lets_accounts_go_on(
    tmp_path: Path, url: str
) -> None:
    lease = ServerLease(
        tmp_path / "data" / LOCK_FILE, LeaseTimes(lease_seconds=4.0, renew_seconds=1.5, margin_seconds=1.0)
    )
    told: list[bool] = []
    held, goes_on = threading.Event(), threading.Event()
    row = select(store_meta.c.key).where(store_meta.c.key == FACT).with_for_update()

    def hold(connection: Connection) -> None:
        connection.execute(row).one()
        held.set()
        goes_on.wait(60)

    async with Database(tmp_path / "data", url=url, guard=lease.take), Database(url=url, idle_seconds=0) as beside:
        await asyncio.to_thread(lease._renew)
        lease.keep(lambda: told.append(lease.owns("shop")))
        standing = asyncio.create_task(beside.write(hold))
        await asyncio.to_thread(held.wait, 60)
        await until(lambda: told[-1:] == [False])  # no renewal gets through
        goes_on.set()
        await standing
        await until(lambda: told[-1:] == [True])
    await lease.close()


async def test_f3_a_server_knows_its_own_lease_where_the_machine_tells_no_start(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = iter("abc")
    monkeypatch.setattr(server_lease, "place_of", lambda _: next(places))  # another one whenever it is asked
    async with served(tmp_path / "data", url) as lease:
        assert lease.owns("shop")
    assert next(places) == "b"
