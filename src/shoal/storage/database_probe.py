"""Whether the database accepts writes now: from the last write, or from an empty test write."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from shoal.concurrency.single_flight import SingleFlight
from shoal.errors import StoreError
from shoal.storage.database import Database

FRESH_SECONDS: Final = 5.0
"""A write that was committed within this time is enough; after an older one a test write is made."""


class DatabaseProbe:
    """Checks the database for all callers: one check at a time, shared by simultaneous callers. Owns it, until
    ``close``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._write = SingleFlight(self._write_nothing, name="write probe")
        self._read = SingleFlight(self._read_a_fact, name="read probe")

    async def close(self) -> None:
        """End the current check."""
        await self._write.close()
        await self._read.close()

    async def takes_writes(self, *, within_seconds: float) -> bool:
        """Return whether a change can be stored now. ``False`` also when that is not known in time."""
        writer = self._database.group_writer
        if writer.degraded or self._database.checking:
            return False
        if not writer.refused_last and time.monotonic() - writer.committed_at < FRESH_SECONDS:
            return True
        try:
            async with asyncio.timeout(within_seconds):
                return await self._write.result()  # another program may hold the lock although there was no write since
        except TimeoutError:
            return False

    async def answers(self, *, within_seconds: float) -> bool:
        """Return whether it accepts writes and can be read."""
        try:
            async with asyncio.timeout(within_seconds):
                return await self.takes_writes(within_seconds=within_seconds) and await self._read.result()
        except TimeoutError:
            return False

    async def _write_nothing(self) -> bool:
        try:
            await self._database.write(lambda _: None)
        except StoreError:
            return False
        return True

    async def _read_a_fact(self) -> bool:
        try:
            return await self._database.fact("site") is not None
        except StoreError:
            return False
