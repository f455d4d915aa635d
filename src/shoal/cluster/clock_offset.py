"""How far this machine's clock is from the database's, by which all servers agree on what is due."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog

from shoal.clock import machine_ms
from shoal.errors import ConfigError

log = structlog.get_logger("shoal.lease")

WARNED_MS: Final = 1_000
"""From here on an administrator is notified."""
MOST_MS: Final = 10_000
"""From here on a server does not join, and gives up its shops to servers whose clocks are right."""


def certainly_ahead(asked_ms: int, database_ms: int, took_seconds: float) -> int:
    """Return how far this machine's clock certainly is ahead, in milliseconds; negative: behind.

    The database read its clock at some moment between the question and the answer; what the way may explain does not
    count. ``asked_ms``: this machine's time at the question.
    """
    ahead_ms = asked_ms - database_ms
    return max(0, ahead_ms) + min(0, ahead_ms + round(took_seconds * 1000))


class ClockOffset:
    """Measured at each answer of the database that says its time. Used on the thread of the lease."""

    def __init__(self, wall_ms: Callable[[], int] = machine_ms) -> None:
        self.wall_ms = wall_ms
        self.ms = 0
        """How far this machine's clock certainly is ahead; negative: behind."""
        self._is_warned = False

    def note(self, asked_ms: int, database_ms: int, took_seconds: float) -> None:
        """Measure like ``certainly_ahead``, and report when the clock begins to differ, and when it agrees again."""
        self.ms = certainly_ahead(asked_ms, database_ms, took_seconds)
        if (abs(self.ms) > WARNED_MS) is self._is_warned:
            return
        self._is_warned = not self._is_warned
        if self._is_warned:
            log.warning("this machine's clock differs from the database's: set both by NTP", ahead_ms=self.ms)
        else:
            log.info("this machine's clock agrees with the database's again", ahead_ms=self.ms)

    def check(self) -> None:
        """Raise ``ConfigError`` when the clock is so far off that this server may not join."""
        if abs(self.ms) > MOST_MS:
            raise ConfigError("startup.clock_off", seconds=f"{self.ms / 1000:+.1f}", code="clock_off")
