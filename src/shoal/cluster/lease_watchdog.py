"""Ends the process when its event loop stands still beyond its lease: nothing else could stop its accounts."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from shoal.accounts.ownership import Standing

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


_MARGIN: Final = 0.15


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeTimes:
    """How long a lease is valid, how often it is renewed, and how often a node looks for shards without an owner."""

    lease_seconds: float = 15.0
    renew_seconds: float = 5.0
    look_seconds: float = 1.0

    @property
    def acting_seconds(self) -> float:
        """Return how long a node acts after it asked for a renewal: less than the lease, for clocks that differ."""
        return self.lease_seconds * (1 - _MARGIN)

    @property
    def idle_seconds(self) -> float:
        """Return how long PostgreSQL keeps a transaction of a node that stands still."""
        return self.lease_seconds / 3

    @property
    def patience_seconds(self) -> float:
        """Return how long shards that were given up may be free before a node takes them back."""
        return self.lease_seconds / 3

    @property
    def committing_seconds(self) -> float:
        """Return how long after it asked for a renewal a node may begin to commit a change.

        If it stands still then, the transaction has ended before the lease has.
        """
        return self.lease_seconds - self.idle_seconds

    @classmethod
    def of_lease(cls, lease_seconds: float) -> NodeTimes:
        """Return times that fit a lease."""
        return cls(
            lease_seconds=lease_seconds, renew_seconds=lease_seconds / 3, look_seconds=min(1.0, lease_seconds / 5)
        )


_LOOK_SECONDS: Final = 0.01


def lease_check(life: Callable[[], object], deadline: Callable[[], float], times: NodeTimes) -> Standing:
    """Return a check of the present life, to be asked on the writer's thread before a COMMIT.

    It waits while a renewal is late. A process that stands still after the check has its transaction ended by
    PostgreSQL before its lease has run out (``committing_seconds``). A life that is over stays so, also when the node
    joins again.
    """
    mine, last_moments = life(), times.acting_seconds - times.committing_seconds

    def stands() -> bool:
        # The deadline is read first: that of a later life is set after the life.
        while (now := boot_clock()) < (until := deadline()) and life() is mine:
            if now < until - last_moments:
                return True
            time.sleep(_LOOK_SECONDS)
        return False

    return stands
