"""Changes of several processes on one PostgreSQL, and a model of many accounts: ``python -m benchmarks.scale``.

Each worker is a process that keeps accounts of its own changing, as in ``benchmarks.store``, with and without the hints
that wake other servers. One more process follows the journal as a server does: its lag is from the moment at which a
change was asked for until it was read there. A look is what each server asks once a second to see what is free.
The model multiplies what was measured here, and memory and processor of an idle account from ``connections.json``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from contextlib import closing
from typing import Any, Final

from sqlalchemy import create_engine, text

from benchmarks.figures import RESULTS, keep
from benchmarks.processes import clean_environment
from benchmarks.store import COOKIE, drive
from benchmarks.test_modules import of_tests
from shoal.accounts.account import Account
from shoal.accounts.store import Change, Committed, Op, Settlement
from shoal.clock import now_ms
from shoal.cluster.last_life import Life
from shoal.cluster.node_rows import NodeRows, join
from shoal.storage.commit_hints import CommitHints
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.vault import Vault

WORKERS: Final = (1, 2, 4)
ACCOUNTS: Final = (1_000, 10_000, 100_000, 1_000_000)
ACCOUNTS_OF_A_PROCESS: Final = 10_000
CHANGES_OF_AN_ACCOUNT: Final = 0.0006
"""A second, on average: assumed, about one change in half an hour."""
LOOKS: Final = 50
IDLE_MS: Final = 10_000


class Changing:
    """The accounts of one process, switched again and again."""

    def __init__(self, database: Database, prefix: str) -> None:
        self._database = database
        self.store = DBManager(database, Vault([b"k" * 32]), several_nodes=True)
        self._prefix = prefix
        self._accounts: list[Account] = []

    @property
    def commits(self) -> int:
        """Return how many groups were committed."""
        return self._database.group_writer.groups_committed

    async def add(self, count: int) -> None:
        """Add the accounts."""
        waiting = asyncio.Semaphore(0)
        for number in range(count):
            name = f"{self._prefix}-{number}"
            new = Account(id=name, owner_id=1, unb=f"{name}", cookie=COOKIE, generation=1)
            op = Op(op_id=f"{name}-1", actor="benchmark", at_ms=now_ms())
            self.store.submit([Change(old=None, new=new, op=op)], lambda _: waiting.release())
        for _ in range(count):
            await waiting.acquire()
        accounts = (await self.store.load()).accounts
        self._accounts = [accounts[f"{self._prefix}-{number}"] for number in range(count)]

    def write(self, number: int, done: Any) -> None:
        """Switch one; see ``benchmarks.store.Writer``."""
        old = self._accounts[number]
        new = old.evolve(enabled=not old.enabled, generation=old.generation + 1)
        op = Op(op_id=f"{old.id}-{new.generation}", actor="user:benchmark", at_ms=now_ms(), origin="api 127.0.0.1")

        def settle(settlement: Settlement) -> None:
            if not isinstance(settlement, Committed):
                raise settlement.error
            self._accounts[number] = new
            done()

        self.store.submit([Change(old=old, new=new, op=op)], settle)


async def _be_worker(url: str, prefix: str, width: int, seconds: float, *, hints: bool) -> None:
    """Add accounts, wait for a line, change them, and print the figures."""
    async with Database(url=url) as database:
        changing = Changing(database, prefix)
        await changing.add(width)
        sending = CommitHints(database.url, lambda: None)
        if hints:
            changing.store.on_commit = sending.committed
            sending.start()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.readline)
        figures, per_commit = await drive(changing, width, seconds)
        await sending.close()
    report = {
        "per_second": figures.per_second,
        "p50": figures.quantile_ms(0.5),
        "cpu": figures.cpu_us or 0.0,
        "per_commit": per_commit,
    }
    sys.stdout.write(json.dumps(report) + "\n")


async def _be_follower(url: str) -> None:
    """Follow the journal from its end until a line comes, and print how late each entry was."""
    async with Database(url=url) as database:
        store, news, lags = DBManager(database, Vault([b"k" * 32]), several_nodes=True), asyncio.Event(), list[int]()
        hints = CommitHints(database.url, news.set)
        hints.start()
        place = (await store.load()).stream_start
        assert place is not None, "it is PostgreSQL"
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        ended = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
        while not ended.done():
            news.clear()
            page = await store.stream.read(place, limit=500)
            lags += [now_ms() - entry.at_ms for entry in page.entries]
            place = page.places[-1] if page.places else place
            if page.is_last:
                try:
                    await asyncio.wait_for(news.wait(), 0.02 if page.waiting is not None else 1.0)
                except TimeoutError:
                    continue
        await hints.close()
    lags = sorted(lag for lag in lags if lag < IDLE_MS) or [0]
    row = {"entries": len(lags), "p50": statistics.median(lags), "p99": lags[len(lags) * 99 // 100], "most": lags[-1]}
    sys.stdout.write(json.dumps(row) + "\n")


async def _spawn(*arguments: str) -> asyncio.subprocess.Process:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.scale", *arguments,
        env=clean_environment(), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert child.stdout is not None
    line = await child.stdout.readline()
    assert line == b"ready\n", line
    return child


async def _end(child: asyncio.subprocess.Process) -> dict[str, Any]:
    output, _ = await child.communicate(b"\n")
    report: dict[str, Any] = json.loads(output)
    return report


async def measure(url: str, workers: int, width: int, seconds: float, *, hints: bool) -> dict[str, Any]:
    """Let so many processes change ``width`` accounts each. Return a row."""
    with closing(create_engine(url).raw_connection()) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("INSERT INTO users (id, username, name_key, password_hash) VALUES (1, 'bench', 'bench', '-')")
        connection.commit()
    follower = await _spawn("--be", "follower", "--url", url)
    options = ["--url", url, "--width", str(width), "--seconds", str(seconds), *(["--hints"] if hints else [])]
    children = [await _spawn("--be", f"worker{number}", *options) for number in range(workers)]
    found = await asyncio.gather(*(_end(child) for child in children))
    lag = await _end(follower)
    return {
        "processes": workers,
        "hints": "with" if hints else "without",
        "changes/s": round(sum(one["per_second"] for one in found), 1),
        "p50 ms": statistics.median(one["p50"] for one in found),
        "per commit": round(statistics.mean(one["per_commit"] for one in found), 1),
        "CPU µs each": statistics.mean(one["cpu"] for one in found),
        "lag p50 ms": lag["p50"],
        "lag p99 ms": lag["p99"],
    }


def look_ms(url: str, nodes: int) -> float:
    """Return how long a look takes the database when so many nodes share the shards."""
    engine = create_engine(url)
    facts = {"host": "machine", "address": "", "version": "1", "schema": "1"}
    rows: list[NodeRows] = []
    with engine.connect() as connection, connection.begin():
        connection.execute(text("DELETE FROM nodes"))
        connection.execute(text("UPDATE shards SET owner = NULL"))
        for number in range(nodes):
            joined = join(connection, f"node{number}", 600_000, facts)
            assert joined is not None
            rows.append(NodeRows(Life(joined.life.name, joined.life.inc, joined.life.started_at_ms)))
    took = []
    for turn in range(2):
        for one in rows[:LOOKS]:
            began = time.perf_counter()
            with engine.connect() as connection, connection.begin():
                one.claim(connection)
            if turn:  # the first claims
                took.append((time.perf_counter() - began) * 1e3)
    engine.dispose()
    return statistics.median(took)


def model(ceiling: float, looks: dict[int, float]) -> list[dict[str, Any]]:
    """Return what so many accounts need, from what was measured."""
    idle = json.loads((RESULTS / "connections.json").read_text(encoding="utf-8"))["rows"][-1]
    rows = []
    for accounts in ACCOUNTS:
        processes = max(1, -(-accounts // ACCOUNTS_OF_A_PROCESS))
        kib, cpu_us = idle["idle account: rss KiB"], idle["CPU µs a second"]
        look = looks[min(looks, key=lambda nodes: abs(nodes - processes))]
        changes = accounts * CHANGES_OF_AN_ACCOUNT
        rows.append(
            {
                "accounts": accounts,
                "processes": processes,
                "memory GiB": accounts * kib / 2**20 + processes * idle["of it without accounts"] / 1024,
                "cores, idle": accounts * cpu_us / 1e6,
                "changes/s (assumed)": changes,
                "of the ceiling": changes / ceiling,
                "looks/s": processes,
                "of a core of the database": processes * look / 1e3,
            }
        )
    return rows


def main() -> None:
    """Read the arguments and measure, or be one of the processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=64, help="how many accounts of each process change at once")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--be", help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--hints", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.be == "follower":
        asyncio.run(_be_follower(chosen.url))
        return
    if chosen.be:
        asyncio.run(_be_worker(chosen.url, chosen.be, chosen.width, chosen.seconds, hints=chosen.hints))
        return
    server = of_tests("support.databases.postgres_server")
    rows, looks = [], {}
    with server.running_server() as running:
        running.make_template()
        for workers in WORKERS:
            for hints in (True, False):
                with running.database(migrated=True) as url:
                    rows.append(asyncio.run(measure(url, workers, chosen.width, chosen.seconds, hints=hints)))
        with running.database(migrated=True) as url:
            looks = {nodes: look_ms(url, nodes) for nodes in (1, 10, 100)}
    rows += [{"processes": nodes, "look ms": took} for nodes, took in looks.items()]
    ceiling = max(row["changes/s"] for row in rows if row.get("hints") == "with")
    about = f"Several processes on one PostgreSQL, {chosen.seconds:g} s each; below, the model"
    keep("scale", [*rows, *model(ceiling, looks)], about=about)


if __name__ == "__main__":
    main()
