"""The wall clock, in milliseconds since 1970: the clock of the machine, or the one set by ``reading``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


def _machine_ms() -> int:
    return time.time_ns() // 1_000_000


def _machine_steady_ms() -> int:
    """Return the time since boot: Linux's monotonic clock stops during suspend, CLOCK_BOOTTIME does not."""
    since_boot = getattr(time, "CLOCK_BOOTTIME", None)
    return (time.monotonic_ns() if since_boot is None else time.clock_gettime_ns(since_boot)) // 1_000_000


_NO_MOMENT_MS = 2**53
_ALIKE_MS = 5_000
"""Two clocks that differ by less count as equal, because the way to the site takes time too."""

_source: ContextVar[Callable[[], int]] = ContextVar("shoal wall clock", default=_machine_ms)


def now_ms() -> int:
    """Return the wall-clock time in milliseconds since 1970."""
    return _source.get()()


def steady_ms() -> int:
    """Return milliseconds since a fixed moment; setting the machine's wall clock does not change them."""
    source = _source.get()
    return _machine_steady_ms() if source is _machine_ms else source()


class SiteClock:
    """The site's clock: the time that the site reported once (0: it reported none), plus the time since then."""

    def __init__(self, reported_ms: int = 0) -> None:
        self._since_steady_ms = reported_ms - steady_ms() if 0 < reported_ms < _NO_MOMENT_MS else None

    @property
    def ahead_ms(self) -> int:
        """How far the site's clock is ahead of our wall clock; 0 where both agree."""
        ahead_ms = 0 if self._since_steady_ms is None else self._since_steady_ms + steady_ms() - now_ms()
        return 0 if abs(ahead_ms) < _ALIKE_MS else ahead_ms

    def set_since(self, was_ahead_ms: int) -> int:
        """Return how far our wall clock was set forward since ``ahead_ms`` was ``was_ahead_ms``; negative: set back."""
        return 0 if self._since_steady_ms is None else was_ahead_ms - self.ahead_ms

    def now_ms(self) -> int:
        """Return the site's time; our wall clock when the site reported none."""
        return now_ms() + self.ahead_ms

    def ours(self, at_ms: int) -> int:
        """Convert a time of the site's clock to our wall clock.

        The age of a message stays correct although the machine's clock is wrong or is set.
        """
        return max(0, at_ms - self.ahead_ms)


@contextmanager
def reading(source: Callable[[], int]) -> Iterator[None]:
    """Let ``now_ms`` read ``source`` here and in every task started from here; used for servers on virtual time.

    Other threads keep the machine's clock. Code that runs in them gets its clock as an argument (``MessageLog``, …).
    """
    token = _source.set(source)
    try:
        yield
    finally:
        _source.reset(token)
