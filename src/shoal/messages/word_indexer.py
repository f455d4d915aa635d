"""Keeps the index of words: full segments of messages are indexed in the background, one after another.

It begins with the newest. So the messages of an older version are indexed little by little after the upgrade, and it
goes on after a restart; searches read what is not indexed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from shoal.accounts.positions import Position
from shoal.errors import StoreError
from shoal.storage.database import Database
from shoal.storage.message_segments import draft_segment, next_to_index, read_segment, store_segment

log = structlog.get_logger("shoal.messages")

EVERY_SECONDS = 60.0
"""How often it looks for a segment that is full now."""
RESTS = 4.0
"""How many times as long as a segment took it rests before the next, so that it takes a fifth of a processor."""


class WordIndexer:
    """Indexes the words of messages."""

    def __init__(
        self,
        database: Database,
        *,
        every_seconds: float = EVERY_SECONDS,
        rests: float = RESTS,
        settled: Callable[[], Position | None] = lambda: None,
    ) -> None:
        """``settled``: up to where messages are all there when several servers write; else ``None``."""
        self._database = database
        self._settled = settled
        self._every_seconds = every_seconds
        self._rests = rests

    async def index_next(self) -> bool:
        """Index the newest full segment that is not indexed. Return whether there was one."""
        settled = self._settled()
        until = None if settled is None else settled.messages or 0
        segment = await self._database.read(lambda connection: next_to_index(connection, until))
        if segment is None:
            return False
        rows = await self._database.read(lambda connection: read_segment(connection, segment))
        draft = await asyncio.to_thread(draft_segment, segment, rows)
        await self._database.write(lambda connection: store_segment(connection, draft))
        return True

    async def run(self) -> None:
        """Index what is full until this is cancelled. The segment that is being indexed then is indexed later."""
        while True:
            await asyncio.sleep(self._every_seconds)
            try:
                await self._database.checked()
                await self._index_all()
            except StoreError as error:
                log.info("messages not indexed yet", why=error.code)
            except Exception:  # a defect here must not end the indexing of later segments
                log.exception("indexing met a defect")

    async def _index_all(self) -> None:
        many, began = 0, time.monotonic()
        while await self.index_next():
            many += 1
            await asyncio.sleep(self._rests * (time.monotonic() - began))
            began = time.monotonic()
        if many:
            log.info("messages indexed", segments=many)
