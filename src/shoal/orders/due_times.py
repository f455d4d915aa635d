"""Wakes a connection when the next action is due that was put off: a delay, a later confirmation, a page to read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from shoal.clock import now_ms
from shoal.concurrency.small_event import SmallEvent
from shoal.messages.task_drain import begin
from shoal.orders.delivery_store import DeliveryStore

LONGEST_SLEEP_SECONDS = 60.0
"""How long it sleeps at most, because the machine's clock may be set."""


class DueTimes:
    """The times at which actions of one account are due. It runs only while one is put off, and knows the nearest."""

    def __init__(
        self, store: DeliveryStore, tasks: asyncio.TaskGroup, wake: Callable[[], object], *, account_id: str
    ) -> None:
        self._store = store
        self._tasks = tasks
        self._wake = wake
        self._account_id = account_id
        self._nearest: int | None = None
        self._is_waiting = False
        self._changed = SmallEvent()

    def note(self, due_at_ms: int) -> None:
        """Wake then, if nothing else is due earlier."""
        if self._nearest is None or due_at_ms < self._nearest:
            self._nearest = due_at_ms
            self._changed.set()
        if not self._is_waiting:
            self._is_waiting = begin(self._tasks, self._until_none_is_put_off(), name=f"due:{self._account_id}")

    async def look(self, after_ms: int) -> None:
        """Read when the next action is due that was not due then. Raise ``StoreError``."""
        due_at_ms = await self._store.next_due_at(self._account_id, after_ms)
        if due_at_ms is not None:
            self.note(due_at_ms)

    async def _until_none_is_put_off(self) -> None:
        try:
            while self._nearest is not None:
                self._changed.clear()
                seconds = min((self._nearest - now_ms()) / 1000, LONGEST_SLEEP_SECONDS)
                if seconds > 0:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(seconds):
                            await self._changed.wait()
                    continue
                self._nearest = None
                self._wake()  # which looks for the next one
        finally:
            self._is_waiting = False
