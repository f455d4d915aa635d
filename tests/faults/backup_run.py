"""One part of the proof of backups: made under a storm of changes and deliveries, with kills; one is restored in place.

Each backup is then restored elsewhere: its journal is a prefix of the journal and folds to its rows, and the
invariants of delivery hold, so no unit is both in stock and in an order. In the end what every buyer holds is
counted: nothing that left before the restore has left again.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from signal import SIGKILL
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, create_engine, text

from benchmarks.processes import SandboxProcess
from faults.delivery_count import Held, units_in
from faults.delivery_figures import Figures
from faults.delivery_invariants import breaches
from faults.delivery_run import DeliveryRun
from shoal.accounts.journal import fold, projection
from shoal.maintenance.backup import loading
from shoal.maintenance.backup.loading import load
from shoal.maintenance.backup.locks import PRIVATE, PUBLIC, lock_to_key, new_key_pair, read_key
from shoal.maintenance.backup.making import Made, Secret, load_file, make_backup, opened
from shoal.maintenance.backup.place import Place
from shoal.maintenance.backup.records import read_records
from shoal.maintenance.backup.restoring import restore_backup
from shoal.storage.data_directory import DATABASE_FILE, KEY_FILE
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager, open_vault
from shoal.storage.migrations.steps import build_schema
from shoal.storage.vault import write_key_file
from support.databases.postgres_server import PostgresServer
from support.databases.store_steps import baselines_of

_JOURNAL = "SELECT rev, account_id, generation, changes, op_id FROM journal WHERE rev <= :rev ORDER BY rev"
_TWICE = "SELECT unit_id FROM bindings WHERE one_time AND state <> 'released' GROUP BY unit_id HAVING count(*) > 1"
STORMING = 4
"""How many change settings at once."""
KILLED = 0.5
"""During how many backups the server is killed."""


class BackupRun(DeliveryRun):
    """A delivery that is backed up all the time, and loses some of its past."""

    def __init__(self, directory: Path, sandbox: SandboxProcess, **options: Any) -> None:
        super().__init__(directory, sandbox, **options)
        private, public = new_key_pair()
        self._public, self._secret = read_key(public, PUBLIC), Secret(private_key=read_key(private, PRIVATE))
        self._backups = directory / "backups"
        self._backups.mkdir()
        self.made: list[Made] = []
        self.changes = 0

    @property
    def _url(self) -> str:
        return self._place.environment.get("SHOAL_DATABASE_URL", "")

    async def backed_up(self, orders: int, backups: int) -> Figures:
        """Pay so many orders beside so many backups, and restore one of them."""
        began = time.monotonic()
        storm = list[asyncio.Task[None]]()
        try:
            await self._first_start(orders)
            storm = [asyncio.create_task(self._storm()) for _ in range(STORMING)]
            for number in range(backups):
                making = asyncio.create_task(asyncio.to_thread(self._make, number))
                await self._pay(orders * (number + 1) // (backups + 1))
                if self._chance.random() < KILLED:
                    await self._kill()
                self.made.append(await making)
            _end(storm)
            await self._until_all_is_done()
            await self._server.end(SIGKILL)
            whole = self._rows(self._url or self._file)
            for one in self.made:
                await self._check(one, whole)
            await self._lose_the_past()
            await self._pay(orders)
            await self._until_all_is_done()
            await self._last_look()
        except (AssertionError, httpx.HTTPError, TimeoutError) as error:
            self._broke(f"{type(error).__name__}: {error}")
        finally:
            _end(storm)
            await self._server.http.aclose()
            await self._server.end(SIGKILL)
            self._place.close()
        self.figures.seconds = time.monotonic() - began
        return self.figures

    async def _storm(self) -> None:
        """Change settings without a pause, also while nobody answers."""
        while True:
            shop = self._chance.choice(list(self._items))
            with suppress(httpx.HTTPError):
                body = {"remark": f"{self.changes}", "pause_duration": self._chance.randint(1, 60)}
                answer = await self._server.http.patch(f"/cookies/{shop}/settings", json=body)
                self.changes += answer.status_code == httpx.codes.OK
            await asyncio.sleep(0.05)

    def _make(self, number: int) -> Made:
        path = self._backups / f"{number}.shoalbackup"
        return make_backup(
            self._data_dir, path, url=self._url, lock=lambda file_key: lock_to_key(file_key, self._public)
        )  # fmt: skip

    @property
    def _file(self) -> str:
        return f"sqlite:///{self._data_dir / DATABASE_FILE}"

    def _rows(self, url: str, rev: int = 2**62) -> list[tuple[Any, ...]]:
        engine = create_engine(url)
        with engine.connect() as connection:
            found = [tuple(row) for row in connection.execute(text(_JOURNAL), {"rev": rev})]
        engine.dispose()
        return found

    # ── each backup ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _check(self, made: Made, whole: list[tuple[Any, ...]]) -> None:
        """Restore a backup elsewhere, as it was, and ask it everything."""
        place = Path(tempfile.mkdtemp(dir=self._backups))
        loaded = await asyncio.to_thread(self._load, made, place)
        url = f"sqlite:///{place / DATABASE_FILE}"
        rows = self._rows(url)
        if rows != [row for row in whole if row[0] <= made.header.rev]:
            self._broke(f"{made.path.name} is no prefix of the journal: {len(rows)} of {len(whole)} entries")
        engine = create_engine(url)
        with engine.connect() as connection:
            for sentence in breaches(connection, self._sold):
                self._broke(f"{made.path.name}: {sentence}")
        engine.dispose()
        write_key_file(place / KEY_FILE, loaded)
        async with Database(place) as database:
            store = DBManager(database, await open_vault(database, place / KEY_FILE))
            living = {name: projection(account) for name, account in (await store.load()).accounts.items()}
            if fold(await store.journal(), (await baselines_of(store)).values()) != living:
                self._broke(f"{made.path.name} does not fold to its rows")
        shutil.rmtree(place)

    def _load(self, made: Made, place: Path) -> list[bytes]:
        with opened(made.path) as sealed:
            records = read_records(sealed.chunks(self._secret.file_key(sealed.header)))
            return load_file(place, lambda connection: load(records, connection, made.header.schema, place)).keys

    # ── the restore ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _lose_the_past(self) -> None:
        """Restore an earlier backup in place; the file of units stays as it is. Some pay while no server runs."""
        await self._pay_unserved(3)
        made = self._chance.choice(self.made)
        goal = Place(data_dir=self._data_dir, url=self._url)
        done = await asyncio.to_thread(restore_backup, made.path, goal, self._secret)
        if done.life.rev <= made.header.rev:
            self._broke(f"after the restore the journal goes on at {done.life.rev}")
        await self._spawn()
        answer = await self._server.http.get("/goods")
        if answer.status_code != httpx.codes.UNAUTHORIZED:
            self._broke(f"a session outlived the restore: {answer.status_code}")
        await self._sign_in()

    async def _pay_unserved(self, count: int) -> None:
        for number in range(len(self.bought), len(self.bought) + count):
            self.bought.append(await self._buy(number))

    async def _see_to(self, shop: str, order_id: str, code: str, stood: float) -> bool:
        """Look at the chat: what the buyer has is handled, and the rest is served, as the problem says."""
        if code != "before_restore":
            return await super()._see_to(shop, order_id, code, stood)
        one = next(one for one in self.bought if one.order_id == order_id)
        received = await self._sandbox.get("receipts", account=one.unb)
        texts = [
            line["text"] for row in received["items"] if row["buyer_id"] == one.buyer_id
            for line in row["received"] if line["kind"] == "text"
        ]  # fmt: skip
        place = f"/cookies/{shop}/orders/{order_id}"
        if units_in(texts):
            answer = await self._owner("settle", place, {"action": "paid_message", "outcome": "done"})
        else:
            answer = await self._owner("serve", place, {})
        if answer.status_code not in {200, 409, 503}:
            self._broke(f"{code} of {order_id}: {answer.status_code} {answer.text}")
        return True

    def _look(self) -> None:
        """Ask after a kill as always; after the restore only whether a unit has two orders."""
        if not any(self._data_dir.glob("*.before-restore-*")) and not self._is_restored():
            super()._look()
            return
        self.figures.looks += 1
        engine = create_engine(self._url or self._file)
        with engine.connect() as connection:
            for row in connection.execute(text(_TWICE)):
                self._broke(f"unit {row[0]} has two orders")
        engine.dispose()

    def _is_restored(self) -> bool:
        engine = create_engine(self._url or self._file)
        with engine.connect() as connection:
            found = connection.execute(text("SELECT 1 FROM store_meta WHERE key = 'restored'")).first()
        engine.dispose()
        return found is not None

    def _count_stock(self, held: Held, units: Counter[tuple[str, str, str]], in_need: set[str]) -> None:
        """What left before the restore is doubted, and still its order's."""
        known = Counter({(goods, "out" if state == "doubted" else state, order): number
                         for (goods, state, order), number in units.items() if state != "out"})  # fmt: skip
        known.update({key: number for key, number in units.items() if key[1] == "out"})
        super()._count_stock(held, known, in_need)


@contextmanager
def schema_built_once() -> Iterator[None]:
    """Build the tables of a revision by its migrations once, for the next backup by what they left: 0.24 s each."""
    kept = dict[str, list[str]]()

    def build(connection: Connection, revision: str) -> None:
        if revision in kept:
            for statement in kept[revision]:
                connection.exec_driver_sql(statement)
            return
        build_schema(connection, revision)
        raw: Any = connection.connection.driver_connection
        if isinstance(raw, sqlite3.Connection):
            kept[revision] = [one for one in raw.iterdump() if not one.startswith(("BEGIN", "COMMIT"))]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "build_schema", build)
        yield


def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()


async def backup_run(
    orders: int, backups: int, *, seed: int, shops: int = 3, postgres: PostgresServer | None = None
) -> tuple[Figures, int]:
    """Run one part with a site of its own. Return the figures, and how many changes the storm made."""
    assert sys.platform == "linux", "limits of a running process are Linux's"
    directory = Path(tempfile.mkdtemp(prefix="shoal-backups-"))
    sandbox = await SandboxProcess(directory / "sandbox.log").start(shops=shops, seed=seed)
    try:
        run = BackupRun(directory, sandbox, seed=seed, postgres=postgres, shops=shops)
        with schema_built_once():
            figures = await run.backed_up(orders, backups)
    finally:
        await sandbox.end()
    if figures.violations:
        figures.kept = str(directory)
    else:
        shutil.rmtree(directory)
    return figures, run.changes
