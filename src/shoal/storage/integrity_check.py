"""Looks for damage in an SQLite file: before it is opened when it is small, otherwise beside the first reads."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path

import structlog
from sqlalchemy import Connection, Engine

from shoal.concurrency.interruptible import Interruptible
from shoal.storage.database_errors import damaged, opening

log = structlog.get_logger("shoal.database")

SMALL_BYTES = 32 * 1024 * 1024
"""A file up to this size is checked before it is opened, in 0.1 to 0.2 s. A larger one is read during the check."""
_STOP_AGAIN_SECONDS = 0.05


def is_sound(connection: Connection) -> bool:
    """Return whether SQLite finds every table and index intact. The time grows with the size of the file."""
    return bool(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar() == "ok")


class IntegrityCheck:
    """The check of one open file, on a thread. Owns its task until ``close``."""

    def __init__(self, file: Path, engine: Engine) -> None:
        """``engine``: one whose connections only read."""
        self._file = file
        self._engine = engine
        self._job = Interruptible(engine, is_sound)
        self._task = asyncio.create_task(self._run(), name="integrity check")
        self.passed = False

    async def verdict(self) -> None:
        """Wait for the end of the check. Raises ``StoreError``: ``database_damaged``, or ``database_unusable``."""
        await asyncio.shield(self._task)

    async def close(self) -> None:
        """Stop the check, if it is under way."""
        while not self._task.done():
            self._job.stop()  # again: it does nothing at the moment before the statement begins
            await asyncio.wait({self._task}, timeout=_STOP_AGAIN_SECONDS)
        with suppress(Exception):  # every caller that waited for the verdict has it
            self._task.result()
        self._engine.dispose()

    async def _run(self) -> None:
        began = time.monotonic()
        log.info("the database is checked: changes wait, and no account connects", bytes=self._file.stat().st_size)
        with opening(f"the database {self._file}", self._file):
            sound = await asyncio.to_thread(self._job.run)
        if not sound:
            raise damaged(self._file)
        self.passed = True
        log.info("the database is sound", seconds=round(time.monotonic() - began, 2))
