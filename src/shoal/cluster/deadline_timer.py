"""Notifies the event loop that a lease's deadline has passed, by the clock by which the deadline is counted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from shoal.cluster.lease_watchdog import LOOK_SECONDS

_SLACK_SECONDS: Final = 0.001


class DeadlineTimer:
    """Calls ``passed`` once for each ``arm``, never before the deadline.

    A timer of uvloop counts whole milliseconds of a clock that is cut off to whole milliseconds, so it may ring up to
    half a millisecond early. Who then finds the lease still valid, and looks no more, keeps sockets beyond it.
    The clock is read every ``LOOK_SECONDS``, since the loop's own clock stands still while the machine sleeps.
    """

    def __init__(self, clock: Callable[[], float], deadline: Callable[[], float], passed: Callable[[], None]) -> None:
        self._clock = clock
        self._deadline = deadline
        self._passed = passed
        self._timer: asyncio.TimerHandle | None = None

    def arm(self) -> None:
        """Wait for the deadline as it is now, and for each later one to which it is moved while waiting."""
        self.cancel()
        left = max(0.0, self._deadline() - self._clock())
        wait = min(left + _SLACK_SECONDS, LOOK_SECONDS)
        self._timer = asyncio.get_running_loop().call_later(wait, self._ring)

    def cancel(self) -> None:
        """Wait no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        if self._clock() < self._deadline():
            self.arm()
        else:
            self._timer = None
            self._passed()
