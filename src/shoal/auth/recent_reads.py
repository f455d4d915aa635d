"""What was read of the login tables in the last second, so that a busy caller costs one query a second."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final, Generic, Protocol, TypeVar

T = TypeVar("T")

SECONDS: Final = 1.0
"""How long a value that was read counts: a change by another program takes effect within this time."""


class Versioned(Protocol):
    """A store that tells when its rows may have changed."""

    version: int
    """A number that rises with each write, before the write returns."""


class RecentReads(Generic[T]):
    """Values by key. A write of this server forgets them all at once; one of another program within ``SECONDS``."""

    def __init__(self, store: Versioned, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._kept: dict[str, T] = {}
        self._version = store.version
        self._until = 0.0

    async def get(self, key: str, read: Callable[[], Awaitable[T | None]]) -> T | None:
        """Return the kept value, else read and keep it. ``None`` is not kept: of wrong keys there is no end."""
        now, version = self._clock(), self._store.version
        if version != self._version or now >= self._until:
            self._kept.clear()
            self._version, self._until = version, now + SECONDS
        elif (kept := self._kept.get(key)) is not None:
            return kept
        until, value = self._until, await read()
        # A write in between may have changed the row; after the time the value would count too long.
        if value is not None and self._store.version == version and self._until == until:
            self._kept[key] = value
        return value
