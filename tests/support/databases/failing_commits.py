"""A database whose commits fail where a test says."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from shoal.accounts.journal import fold, projection
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.vault import Vault
from support.runs.quick_start import blank_database


class Faults:
    """Raises at chosen points, as often as told."""

    def __init__(self) -> None:
        self.left: dict[str, int] = {}
        self.hold: threading.Event | None = None

    def __call__(self, point: str) -> None:
        if point == "begin" and self.hold is not None:
            self.hold.wait(60)
        if self.left.get(point, 0) > 0:
            self.left[point] -= 1
            raise sqlite3.OperationalError(f"disk I/O error at {point}")


@asynccontextmanager
async def opened(
    path: Path, faults: Faults | None = None, *, settle_seconds: float = 0.3
) -> AsyncIterator[tuple[Database, DBManager]]:
    await blank_database(path)
    database = Database(path, fault_point=faults, settle_seconds=settle_seconds, reopen_seconds=(0.05, 0.2))
    async with database:
        yield database, DBManager(database, Vault([b"k" * 32]))


async def assert_whole(store: DBManager) -> None:
    contents = await store.load()
    assert fold(await store.journal()) == {name: projection(account) for name, account in contents.accounts.items()}
