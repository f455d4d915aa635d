"""``StockEvents``: notifies open pages of goods that changed, a few times a second at most."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog
from sqlalchemy import Connection, select

from shoal.accounts.events import EventBus, StockChanged
from shoal.clock import now_ms
from shoal.errors import StoreError
from shoal.storage.among import among
from shoal.storage.database import Database
from shoal.storage.goods_tables import goods

log = structlog.get_logger("shoal.goods")

GATHER_SECONDS: Final = 0.25
"""How long changes are gathered: an import of 100,000 lines changes its goods a hundred times."""


def _owners(connection: Connection, *, goods_ids: set[int]) -> list[tuple[int, int]]:
    query = select(goods.c.id, goods.c.owner_id).where(among(goods.c.id, goods_ids))
    return [(goods_id, owner_id) for goods_id, owner_id in connection.execute(query)]


class StockEvents:
    """Publishes one event for each of the goods that changed lately. Without listeners it does nothing."""

    def __init__(self, database: Database, events: EventBus, *, now_ms: Callable[[], int] = now_ms) -> None:
        self._database = database
        self._events = events
        self._now_ms = now_ms
        self._waiting: set[int] = set()
        self._publishing: asyncio.Task[None] | None = None
        database.touched.goods = self.touched

    def touched(self, goods_ids: frozenset[int]) -> None:
        """Take goods that a durable write changed."""
        if not self._events.readers:
            return
        self._waiting |= goods_ids
        if self._publishing is None:
            self._publishing = asyncio.create_task(self._publish_waiting(), name="stock events")

    async def _publish_waiting(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(GATHER_SECONDS)
                found, self._waiting = self._waiting, set()
                for goods_id, owner_id in await self._database.read(partial(_owners, goods_ids=found)):
                    self._events.publish(StockChanged(goods_id=goods_id, owner_id=owner_id, at_ms=self._now_ms()))
        except StoreError as error:  # pages show what they have until the next change
            log.info("changes of goods not told", why=error.code)
        finally:
            self._publishing = None

    async def close(self) -> None:
        """Stop."""
        self._database.touched.goods = None
        if self._publishing is not None:
            self._publishing.cancel()
            await asyncio.gather(self._publishing, return_exceptions=True)
