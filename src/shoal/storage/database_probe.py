"""Whether the database takes writes and answers now: known from the last write, else found out by an empty one."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from shoal.concurrency.single_flight import SingleFlight
from shoal.errors import StoreError
from shoal.storage.database import Database

FRESH_SECONDS: Final = 5.0
"""A write that was committed within that time tells enough; after an older one an empty write is tried."""


class DatabaseProbe:
    """Looks at the database for whoever asks: one look at a time, however many ask. Owns it, until ``close``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._write = SingleFlight(self._write_nothing, name="write probe")
        self._read = SingleFlight(self._read_a_fact, name="read probe")

    async def close(self) -> None:
        """End a look under way."""
        await self._write.close()
        await self._read.close()

    async def takes_writes(self, *, within_seconds: float) -> bool:
        """Whether a change that is sent now can be stored. ``False`` too when that is not known in time."""
        writer = self._database.group_writer
        if writer.degraded:
            return False
        if not writer.refused_last and time.monotonic() - writer.committed_at < FRESH_SECONDS:
            return True
        try:
            async with asyncio.timeout(within_seconds):
                return await self._write.result()  # another program may hold the lock, and nobody have written since
        except TimeoutError:
            return False

    async def answers(self, *, within_seconds: float) -> bool:
        """Whether it takes writes and can be read."""
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
