"""The time, in milliseconds since 1970: the machine's clock, unless the site or the database contradicts it.

A machine's clock may be wrong: without a battery it starts in 1970. The steady clock tells how much time went by since
a moment that is known, whatever the machine's clock is set to. So the site's time goes on between its answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from typing import Final, NamedTuple

WRONG_MS: Final = 59 * 60_000
"""A clock that differs by more is wrong: less than an hour, because a wrong time zone makes exactly one."""
ALIKE_MS: Final = 5_000
"""Two clocks that differ by less count as equal, because the way to the site takes time too."""
_SAME_MS: Final = 60_000
"""The site's answers count as equal by a wider measure: they name whole seconds, and a call carries no finer time."""
_NO_MOMENT_MS: Final = 2**53
_WRITTEN_MS: Final = 1_796_083_200_000
"""December 2026, when this was written: a machine that shows an earlier time has lost it."""


class Witness(StrEnum):
    """What tells the time besides the machine's clock."""

    STORED = "stored"
    """A moment that has passed, as the last of which the database is sure: the machine's clock may be ahead of it."""
    SITE = "site"


class _Known(NamedTuple):
    witness: Witness
    less_steady_ms: int
    """Its time, less the steady clock at that moment."""


class _Answer(NamedTuple):
    less_steady_ms: int
    wall_less_steady_ms: int


class Clock:
    """A wall clock, and what else tells the time. Any thread may read it; one thread notes what witnesses tell."""

    def __init__(self, wall_ms: Callable[[], int], steady_ms: Callable[[], int]) -> None:
        self.wall_ms = wall_ms
        self.steady_ms = steady_ms
        self._known: _Known | None = None
        self._answer: _Answer | None = None
        """The site's last answer: calls to it carry its time, although our own follows no single strange answer."""

    def now_ms(self) -> int:
        """Return the time: the machine's clock, unless that is wrong by what is known."""
        wall_ms = self.wall_ms()
        if (known := self._known) is None:
            return wall_ms
        at_ms = known.less_steady_ms + self.steady_ms()
        is_wrong = at_ms - wall_ms > WRONG_MS or (wall_ms - at_ms > WRONG_MS and known.witness is Witness.SITE)
        return at_ms if is_wrong else wall_ms

    def note_stored(self, at_ms: int) -> None:
        """Take a moment that has passed for sure, at the start. The latest of several counts."""
        less_steady_ms = at_ms - self.steady_ms()
        if self._known is None or self._known.less_steady_ms < less_steady_ms:
            self._known = _Known(Witness.STORED, less_steady_ms)

    def note_site(self, at_ms: int) -> None:
        """Take the time that the site tells now. A number that is no moment changes nothing.

        One answer may be wrong: our time follows a later one only if the machine's clock, the time so far or the
        answer before it agrees with it.
        """
        if not 0 < at_ms < _NO_MOMENT_MS:
            return
        steady_ms, known, last = self.steady_ms(), self._known, self._answer
        self._answer = answer = _Answer(at_ms - steady_ms, self.wall_ms() - steady_ms)
        if known is not None and last is not None and known.witness is Witness.SITE:
            others = (answer.wall_less_steady_ms, known.less_steady_ms, last.less_steady_ms)
            if all(abs(other - answer.less_steady_ms) > WRONG_MS for other in others):
                return
        self._known = _Known(Witness.SITE, answer.less_steady_ms)

    def forget(self) -> None:
        """Know nothing but the machine's clock."""
        self._known = self._answer = None

    @property
    def witness(self) -> Witness | None:
        """What tells the time besides the machine's clock; ``None`` at the first start, until the site answers."""
        return None if self._known is None else self._known.witness

    @property
    def skew_ms(self) -> int:
        """How far the machine's clock is ahead of what the witness tells; 0 without one."""
        return 0 if self._known is None else self._wall_less_steady_ms() - self._known.less_steady_ms

    @property
    def is_sure(self) -> bool:
        """Whether what is old may be deleted: no witness contradicts the machine's clock."""
        return abs(self.skew_ms) <= WRONG_MS

    @property
    def is_known_since_set(self) -> bool:
        """Whether the site told its time since the machine's clock was set last."""
        answer = self._answer
        return answer is not None and abs(self._wall_less_steady_ms() - answer.wall_less_steady_ms) <= _SAME_MS

    @property
    def site_ahead_ms(self) -> int:
        """How far the site's clock is ahead of the machine's; 0 when about equal, or not known."""
        ahead_ms = 0 if self._answer is None else self._answer.less_steady_ms - self._wall_less_steady_ms()
        return ahead_ms if abs(ahead_ms) > _SAME_MS else 0

    def _wall_less_steady_ms(self) -> int:
        return self.wall_ms() - self.steady_ms()


def _machine_ms() -> int:
    return time.time_ns() // 1_000_000


def _machine_steady_ms() -> int:
    """Return the time since boot: Linux's monotonic clock stops during suspend, CLOCK_BOOTTIME does not."""
    since_boot = getattr(time, "CLOCK_BOOTTIME", None)
    return (time.monotonic_ns() if since_boot is None else time.clock_gettime_ns(since_boot)) // 1_000_000


MACHINE: Final = Clock(_machine_ms, _machine_steady_ms)
"""The clock of this process, in all its threads."""
if MACHINE.wall_ms() < _WRITTEN_MS:  # else the first rows, of 1970, would be deleted as old once the clock is right
    MACHINE.note_stored(_WRITTEN_MS)
_clock: ContextVar[Clock] = ContextVar("shoal wall clock", default=MACHINE)


def present_clock() -> Clock:
    """Return the clock of this process, or the one set by ``reading``."""
    return _clock.get()


def now_ms() -> int:
    """Return the time in milliseconds since 1970."""
    return _clock.get().now_ms()


def machine_ms() -> int:
    """Return what the machine's clock shows, right or wrong."""
    return _clock.get().wall_ms()


def steady_ms() -> int:
    """Return milliseconds since a fixed moment; setting the machine's wall clock does not change them."""
    return _clock.get().steady_ms()


class SiteClock:
    """The site's clock as one connection knows it: the time that it reported (0: none), plus the time since then."""

    def __init__(self, reported_ms: int = 0) -> None:
        self._since_steady_ms = reported_ms - steady_ms() if 0 < reported_ms < _NO_MOMENT_MS else None

    @property
    def ahead_ms(self) -> int:
        """How far the site's clock is ahead of our time; 0 where both agree."""
        ahead_ms = 0 if self._since_steady_ms is None else self._since_steady_ms + steady_ms() - now_ms()
        return 0 if abs(ahead_ms) < ALIKE_MS else ahead_ms

    def set_since(self, was_ahead_ms: int) -> int:
        """Return how far our time was set forward since ``ahead_ms`` was ``was_ahead_ms``; negative: set back."""
        return 0 if self._since_steady_ms is None else was_ahead_ms - self.ahead_ms

    def now_ms(self) -> int:
        """Return the site's time; ours when the site reported none."""
        return now_ms() + self.ahead_ms

    def ours(self, at_ms: int) -> int:
        """Convert a time of the site's clock to ours.

        The age of a message stays correct although the machine's clock is wrong or is set.
        """
        return max(0, at_ms - self.ahead_ms)


@contextmanager
def reading(source: Callable[[], int]) -> Iterator[None]:
    """Let ``now_ms`` read ``source`` here and in every task started from here; used for servers on virtual time.

    Other threads keep the machine's clock. Code that runs in them gets its clock as an argument (``MessageLog``, …).
    """
    token = _clock.set(Clock(source, source))
    try:
        yield
    finally:
        _clock.reset(token)
