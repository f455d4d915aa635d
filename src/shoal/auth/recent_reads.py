"""What was read of the login tables in the last second, so that a busy caller costs two queries a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

T = TypeVar("T")

SECONDS: Final = 1.0
"""How long a value that was read counts: a change by another program takes effect within this time."""
RENEWED_AFTER: Final = 0.5
"""The age from which a value that is asked for is read again beside the answer, so that a busy caller never waits."""

Read = Callable[[], Awaitable[T | None]]


class Versioned(Protocol):
    """A store that says when its rows may have changed."""

    version: int
    """A number that rises with each write, before the write returns."""


@dataclass(frozen=True, slots=True)
class _Reading(Generic[T]):
    """A read that has not ended."""

    task: asyncio.Task[T | None]
    version: int
    began: float


class RecentReads(Generic[T]):
    """Values by key. A write of this server forgets them all at once; one of another program within ``SECONDS``.

    Callers that ask at the same time for what is not kept share one read.
    """

    def __init__(self, store: Versioned, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._kept: dict[str, tuple[T, float]] = {}
        self._version = store.version
        self._swept_at = 0.0
        self._reading: dict[str, _Reading[T]] = {}
        self._tasks: set[asyncio.Task[T | None]] = set()

    async def close(self) -> None:
        """Wait until the last reads have ended."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def kept(self, key: str, read: Read[T]) -> T | None:
        """Return the kept value; ``None`` without one. ``read`` is called beside the answer when the value ages."""
        now, version = self._clock(), self._store.version
        if version != self._version:
            self._kept.clear()
            self._version = version
        found = self._kept.get(key)
        if found is None:
            return None
        value, began = found
        age = now - began
        if age >= SECONDS:
            self._drop_old(now)
            return None
        if age >= RENEWED_AFTER:
            self._read(key, read, now)
        return value

    async def get(self, key: str, read: Read[T]) -> T | None:
        """Return the kept value, else read and keep it. ``None`` is not kept: of wrong keys there is no end."""
        value = self.kept(key, read)
        return await asyncio.shield(self._read(key, read, self._clock())) if value is None else value

    def _read(self, key: str, read: Read[T], now: float) -> asyncio.Task[T | None]:
        """Return the read of the key that is in progress, unless a write may have overtaken it; else begin one."""
        reading, version = self._reading.get(key), self._store.version
        if reading is not None and reading.version == version and now - reading.began < SECONDS:
            return reading.task
        task = asyncio.create_task(self._reads(key, read, version, now), name="recent read")
        self._reading[key] = _Reading(task, version, now)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def _reads(self, key: str, read: Read[T], version: int, began: float) -> T | None:
        try:
            value = await read()
        finally:
            reading = self._reading.get(key)
            if reading is not None and reading.task is asyncio.current_task():
                del self._reading[key]
        # A write in between may have changed the row; ``kept`` forgets a value that was read too long ago.
        if value is not None and self._store.version == version:
            self._drop_old(began)
            self._kept[key] = value, began
        elif value is None:
            self._kept.pop(key, None)
        return value

    def _ended(self, task: asyncio.Task[T | None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # marks the exception as retrieved, also when no caller waits for it

    def _drop_old(self, now: float) -> None:
        """Drop what is too old, at most once in ``SECONDS``."""
        if now - self._swept_at >= SECONDS:
            self._swept_at = now
            self._kept = {key: kept for key, kept in self._kept.items() if now - kept[1] < SECONDS}
