"""Publishes that a chat's snooze has ended. That they are open again is computed; this is for pages that show them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from sqlalchemy import Connection, text

from shoal.accounts.events import Publish
from shoal.clock import now_ms
from shoal.messages.chat_work import Work, work_event, work_of, works
from shoal.storage.chat_tables import SNOOZED, chat_work, chats
from shoal.storage.database import Database

LOOK_SECONDS: Final = 30.0
"""How often it is asked which ended: one look-up in an index that holds only snoozed chats."""


class SnoozeEnds:
    """Looks for what ended since the last look; what ended while no server ran is not reported."""

    def __init__(
        self,
        database: Database,
        publish: Publish,
        *,
        now_ms: Callable[[], int] = now_ms,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._database = database
        self._publish = publish
        self._now_ms = now_ms
        self._look_seconds = look_seconds

    async def run(self) -> None:
        """Tell of ended snoozes until this is cancelled."""
        published_ms = self._now_ms()
        while True:
            await asyncio.sleep(self._look_seconds)
            published_ms = await self.publish_ended(published_ms)

    async def publish_ended(self, after_ms: int) -> int:
        """Report the snoozes that ended after that time. Return up to when all are reported."""
        now = self._now_ms()
        for work, until_ms in await self._database.read(partial(_ended, after_ms=after_ms, now=now)):
            self._publish(work_event(work, "snooze_ended", "", until_ms))
        return max(now, after_ms)


def _ended(connection: Connection, *, after_ms: int, now: int) -> list[tuple[Work, int]]:
    """Return the chats that were put off until a time since then, unless the buyer has written before it."""
    until = chat_work.c.until_ms
    query = works(now).where(text(SNOOZED), until > after_ms, until <= now, chat_work.c.heard >= chats.c.heard)
    return [(work_of(row), row.until_ms) for row in connection.execute(query.order_by(until))]
