"""The wall clock, in milliseconds since 1970: the machine's, unless whoever starts something gives it another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


def _machine_ms() -> int:
    return time.time_ns() // 1_000_000


def _machine_steady_ms() -> int:
    """Linux's monotonic clock stands still while the machine sleeps; that since the boot does not."""
    since_boot = getattr(time, "CLOCK_BOOTTIME", None)
    return (time.monotonic_ns() if since_boot is None else time.clock_gettime_ns(since_boot)) // 1_000_000


_NO_MOMENT_MS = 2**53
_ALIKE_MS = 5_000
"""Clocks that differ by less are taken for the same: the way to the site takes a moment too."""

_source: ContextVar[Callable[[], int]] = ContextVar("shoal wall clock", default=_machine_ms)


def now_ms() -> int:
    """Wall-clock milliseconds since 1970."""
    return _source.get()()


def steady_ms() -> int:
    """Milliseconds since some moment, which go on evenly when the machine's wall clock is set."""
    source = _source.get()
    return _machine_steady_ms() if source is _machine_ms else source()


class SiteClock:
    """What the site's clock shows, as it was told once (0: it was not told) and has gone on since."""

    def __init__(self, told_ms: int = 0) -> None:
        self._since_steady_ms = told_ms - steady_ms() if 0 < told_ms < _NO_MOMENT_MS else None

    @property
    def ahead_ms(self) -> int:
        """What it shows beyond our wall clock now; 0 where both agree."""
        ahead_ms = 0 if self._since_steady_ms is None else self._since_steady_ms + steady_ms() - now_ms()
        return 0 if abs(ahead_ms) < _ALIKE_MS else ahead_ms

    def set_since(self, was_ahead_ms: int) -> int:
        """How far our wall clock was set forward since the site's was so far ahead of it; less than 0: back."""
        return 0 if self._since_steady_ms is None else was_ahead_ms - self.ahead_ms

    def now_ms(self) -> int:
        """What it shows now; our wall clock, when it was not told."""
        return now_ms() + self.ahead_ms

    def ours(self, at_ms: int) -> int:
        """The moment, by our wall clock, of what happened at ``at_ms`` by the site's.

        The same where both agree: a message is as old as it is, although the machine's clock is wrong or is set.
        """
        return max(0, at_ms - self.ahead_ms)


@contextmanager
def reading(source: Callable[[], int]) -> Iterator[None]:
    """Let ``now_ms`` read ``source`` here and in every task that is started from here: a server on virtual time.

    Other threads keep the machine's clock. What runs there is given its clock by hand (``MessageLog``, …).
    """
    token = _source.set(source)
    try:
        yield
    finally:
        _source.reset(token)
