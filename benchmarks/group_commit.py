"""Durable changes per second of the group writer: ``python -m benchmarks.group_commit``.

Each account is changed again as soon as its last change is settled, like under the manager's locks.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from shoal.accounts.account import Account
from shoal.accounts.store import Change, Committed, Op, Settlement
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.vault import Vault

COOKIE = "cookie2=" + "x" * 2000


class Load:
    """Keeps one change per account in progress until the time ends."""

    def __init__(self, store: DBManager, *, with_cookie: bool) -> None:
        self._store = store
        self._with_cookie = with_cookie
        self._until = 0.0
        self._open = 0
        self._ended = asyncio.Event()
        self._last = 0.0
        self.changes = 0
        self.waits: list[float] = []

    async def run(self, accounts: list[Account], seconds: float) -> float:
        """Change all accounts for that many seconds. Return the changes per second."""
        begun = time.perf_counter()
        self._until = begun + seconds
        self._open = len(accounts)
        for account in accounts:
            self._change(account)
        await self._ended.wait()
        return self.changes / (self._last - begun)

    def _change(self, old: Account) -> None:
        values: dict[str, object] = {"enabled": not old.enabled, "generation": old.generation + 1}
        if self._with_cookie:
            values |= {"cookie": f"{COOKIE}{old.generation}", "cookie_version": old.cookie_version + 1}
        new = old.evolve(**values)
        begun = time.perf_counter()
        op = Op(op_id=f"{old.id}-{new.generation}", actor="benchmark", at_ms=0)

        def settle(settlement: Settlement) -> None:
            if not isinstance(settlement, Committed):
                raise settlement.error
            now = self._last = time.perf_counter()
            self.changes += 1
            self.waits.append(now - begun)
            if now < self._until:
                self._change(new)
                return
            self._open -= 1
            if not self._open:
                self._ended.set()

        self._store.submit([Change(old=old, new=new, op=op)], settle)


async def measure(directory: Path, url: str, accounts: int, seconds: float, *, with_cookie: bool) -> str:
    """Measure one load and return one line of results."""
    async with Database(directory, url=url) as database:
        store = DBManager(database, Vault([b"k" * 32]))
        living = list((await store.load()).accounts.values())
        drafts = [
            Account(id=f"shop{number}", owner_id=1, unb=str(number), cookie=COOKIE, generation=1)
            for number in range(len(living), accounts)
        ]
        waiting = asyncio.Semaphore(0)
        for draft in drafts:
            op = Op(op_id=f"{draft.id}-1", actor="benchmark", at_ms=0)
            store.submit([Change(old=None, new=draft, op=op)], lambda _: waiting.release())
        for _ in drafts:
            await waiting.acquire()
        living = list((await store.load()).accounts.values())[:accounts]
        groups = database.group_writer.groups_committed
        load = Load(store, with_cookie=with_cookie)
        rate = await load.run(living, seconds)
        groups = database.group_writer.groups_committed - groups
        waits = statistics.quantiles(load.waits, n=100)
        return (
            f"{accounts:>6} accounts at once, {'new cookies' if with_cookie else 'on/off     '}: "
            f"{rate:>8,.0f} changes/s, {load.changes / groups:>6.1f} per commit, "
            f"wait p50 {waits[49] * 1000:.1f} ms, p99 {waits[98] * 1000:.1f} ms"
        )


async def _main(url: str, seconds: float) -> None:
    for accounts in (1, 10, 100, 500, 2000):
        for with_cookie in (False, True):
            with tempfile.TemporaryDirectory() as directory:
                print(await measure(Path(directory), url, accounts, seconds, with_cookie=with_cookie))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="", help="an empty PostgreSQL database; a temporary SQLite file otherwise")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each load lasts")
    arguments = parser.parse_args()
    asyncio.run(_main(arguments.url, arguments.seconds))
