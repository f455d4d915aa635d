"""What a start costs, by the number of accounts: ``python -m benchmarks.startup``.

Each start is that of the real server process on data that it has, its site stubbed (``stub_server``): the CPU and the
seconds from its beginning until it answers the first signed-in read, and until it is ready for changes; then the memory
once every account runs. The sizes take turns in each round, and the figures are medians of the rounds.

An installed server finds its modules compiled. So does each start here but the first one, which is not counted, also
where the environment says that nothing compiled is written: else each start would compile, for 0.4 s of CPU.

Beside it stands the limit: reading the rows of the same accounts with the driver alone.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import uvloop

from benchmarks.figures import keep
from benchmarks.http import COOKIE, NOWHERE, StubServer
from benchmarks.processes import START_SECONDS, soon
from shoal.accounts.account import Account
from shoal.accounts.store import Change, Op
from shoal.storage.data_directory import DATABASE_FILE
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager, commit, open_vault

ACCOUNTS = (0, 1_000, 10_000)
AT_ONCE = 1_000
"""How many accounts are created in one transaction."""
_READ_AT_START = ("accounts", "rules", "item_settings", "observed", "seller_numbers")


@dataclass(frozen=True, slots=True)
class Start:
    """One start. Seconds and CPU from the beginning of the process."""

    read_seconds: float
    read_cpu: float
    ready_seconds: float
    ready_cpu: float
    memory_mib: float


class Again(StubServer):
    """A server on data that it has, asked with a session that is open already."""

    def __init__(self, data_dir: Path, token: str) -> None:
        compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(data_dir.parent / "compiled")}
        super().__init__(data_dir, NOWHERE, SHOAL_LOG_LEVEL="WARNING", SHOAL_STARTS_PER_SECOND="1000", **compiled)
        self.http.headers["Authorization"] = f"Bearer {token}"

    async def begin(self, accounts: int) -> Start:
        """Start it, and ask until it answers, is ready, and runs every account."""
        began = time.monotonic()
        child = await self.spawn(*self.command, environment=self.environment)
        process = psutil.Process(child.pid)
        await soon(lambda: self._answers("/cookies"), seconds=START_SECONDS, every_seconds=0.02)
        read = time.monotonic() - began, _cpu(process)
        await soon(lambda: self._answers("/health/ready"), seconds=START_SECONDS, every_seconds=0.02)
        ready = time.monotonic() - began, _cpu(process)
        await soon(lambda: self._all_run(accounts), seconds=START_SECONDS, every_seconds=0.5)
        return Start(*read, *ready, process.memory_info().rss / 2**20)

    async def _answers(self, path: str) -> bool:
        assert self.child.returncode is None, self.log_file.read_text()[-2000:]
        try:
            return (await self.http.get(path)).status_code == 200
        except httpx.TransportError:
            return False

    async def _all_run(self, accounts: int) -> bool:
        return int((await self.http.get("/health/ready")).json()["accounts"]["running"]) == accounts


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@contextmanager
def _directories(sizes: list[int]) -> Iterator[dict[int, Path]]:
    with tempfile.TemporaryDirectory() as directory:
        yield {size: Path(directory) / f"of-{size}" for size in sizes}


async def prepare(data_dir: Path, accounts: int) -> str:
    """Make the data of so many enabled accounts. Return the token of a session."""
    server = StubServer(data_dir, NOWHERE)
    await server.start()
    token = str(server.http.headers["Authorization"]).removeprefix("Bearer ")
    await server.close()
    async with Database(data_dir) as database:
        store = DBManager(database, await open_vault(database, data_dir / "secret.key"))
        for first in range(0, accounts, AT_ONCE):
            numbers = range(first, min(first + AT_ONCE, accounts))
            await commit(store, [_creation(number) for number in numbers])
    return token


async def _compiled(data_dir: Path, token: str, accounts: int) -> None:
    """Start once, so that all modules are compiled."""
    server = Again(data_dir, token)
    try:
        await server.begin(accounts)
    finally:
        await server.close()


def _creation(number: int) -> Change:
    unb = str(2_200_000_000_001 + number)
    new = Account(id=f"bench-{number}", owner_id=1, unb=unb, cookie=COOKIE.format(unb=unb), generation=1)
    return Change(old=None, new=new, op=Op(op_id=f"bench-{number}", actor="user:admin", at_ms=1_700_000_000_000))


def limit(data_dir: Path) -> float:
    """Return the CPU seconds of reading, with the driver alone, the rows that a start reads."""
    before = time.process_time()
    with closing(sqlite3.connect(data_dir / DATABASE_FILE)) as connection:
        for table in _READ_AT_START:
            connection.execute(f"SELECT * FROM {table}").fetchall()
    return time.process_time() - before


async def measure(sizes: list[int], rounds: int) -> list[dict[str, Any]]:
    """Return a row for each size."""
    found: dict[int, list[Start]] = {size: [] for size in sizes}
    read: dict[int, list[float]] = {size: [] for size in sizes}
    with _directories(sizes) as places:
        tokens = {size: await prepare(place, size) for size, place in places.items()}
        await _compiled(places[sizes[0]], tokens[sizes[0]], sizes[0])
        for _ in range(rounds):
            for size, place in places.items():
                server = Again(place, tokens[size])
                try:
                    found[size].append(await server.begin(size))
                finally:
                    await server.close()
                read[size].append(await asyncio.to_thread(limit, place))
    return [_row(size, found[size], read[size]) for size in sizes]


def _row(accounts: int, starts: list[Start], read: list[float]) -> dict[str, Any]:
    def median(name: str) -> float:
        return float(statistics.median(getattr(start, name) for start in starts))

    return {
        "accounts": accounts,
        "s until read": median("read_seconds"),
        "CPU s until read": median("read_cpu"),
        "s until ready": median("ready_seconds"),
        "CPU s until ready": median("ready_cpu"),
        "MiB when all run": median("memory_mib"),
        "CPU s of reading the rows": statistics.median(read),
    }


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, nargs="+", default=list(ACCOUNTS))
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    rows = uvloop.run(measure(arguments.accounts, arguments.rounds))
    keep("startup", rows, about=f"Starts, medians of {arguments.rounds} rounds")


if __name__ == "__main__":
    main()
