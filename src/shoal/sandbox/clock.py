"""The sandbox's time: real by default; a test can freeze or move it."""

from __future__ import annotations

import asyncio
import time


def wall_ms() -> int:
    """Return the machine's time in milliseconds since 1970, independent of any ``Clock``."""
    return time.time_ns() // 1_000_000


class Clock:
    """The site's clock, in milliseconds since 1970.

    ``Clock()`` runs with the machine; ``Clock(start_ms)`` is frozen until ``advance`` or ``set``. Ids, token lifetimes,
    message times and ``until`` of faults use it; delays of answers are always real seconds.
    """

    def __init__(self, start_ms: int | None = None) -> None:
        self._frozen_ms = start_ms
        self._offset_ms = 0
        self._moved = asyncio.Event()

    @property
    def frozen(self) -> bool:
        """Whether time is frozen between two calls of ``advance`` or ``set``."""
        return self._frozen_ms is not None

    def now_ms(self) -> int:
        """Return the site's time in milliseconds."""
        return wall_ms() + self._offset_ms if self._frozen_ms is None else self._frozen_ms

    def set(self, now_ms: int) -> None:
        """Freeze the clock at ``now_ms``."""
        self._frozen_ms = now_ms
        self._wake()

    def advance(self, seconds: float) -> None:
        """Move the clock forward; a running clock continues from there."""
        step = round(seconds * 1000)
        if self._frozen_ms is None:
            self._offset_ms += step
        else:
            self._frozen_ms += step
        self._wake()

    def real(self) -> None:
        """Return to the machine's time."""
        self._frozen_ms, self._offset_ms = None, 0
        self._wake()

    async def sleep(self, seconds: float) -> None:
        """Wait until the site's clock has advanced by ``seconds``."""
        deadline = self.now_ms() + round(seconds * 1000)
        while (left_ms := deadline - self.now_ms()) > 0:
            moved = self._moved
            try:
                async with asyncio.timeout(None if self.frozen else left_ms / 1000):
                    await moved.wait()
            except TimeoutError:
                continue

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()
