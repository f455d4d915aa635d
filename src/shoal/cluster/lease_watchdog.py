"""Ends the process when its event loop stands still beyond its lease: nothing else could stop its accounts."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Final

import structlog

log = structlog.get_logger("shoal.lease")

EXIT_CODE: Final = 70
LOOK_SECONDS: Final = 0.25


def boot_clock() -> float:
    """Return seconds that continue while the machine sleeps, where the system has such a clock."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def end_process() -> None:
    """End at once, without cleaning up: the sockets close with the process."""
    os._exit(EXIT_CODE)


class LeaseWatchdog:
    """A thread that looks whether the loop noticed the end of the lease.

    A process that was frozen gets ``grace_seconds`` of its own running time after it wakes: the loop notices by itself.
    """

    def __init__(
        self, deadline: Callable[[], float], *, grace_seconds: float = 1.0, end: Callable[[], None] = end_process
    ) -> None:
        self._deadline = deadline
        self._grace_seconds = grace_seconds
        self._end = end
        self._seen_at = boot_clock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shoal-watchdog", daemon=True)

    def start(self) -> None:
        """Watch from now on."""
        self._thread.start()

    def alive(self) -> None:
        """Record that the loop runs; called on it at least every ``LOOK_SECONDS``."""
        self._seen_at = boot_clock()

    def close(self) -> None:
        """Watch no more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        stuck_for = 0.0
        while not self._stop.wait(LOOK_SECONDS):
            is_over = boot_clock() > self._deadline() > self._seen_at
            stuck_for = stuck_for + LOOK_SECONDS if is_over else 0.0
            if stuck_for >= self._grace_seconds:
                log.critical("the lease ended and the event loop stands still: this process ends")
                self._end()
                return
