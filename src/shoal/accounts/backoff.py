"""The wait before the next attempt, computed from earlier failures, without I/O."""

from __future__ import annotations

from random import Random

import msgspec


class BackoffLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of a growing wait. A patient one is ``patient_steps`` doublings further on.

    More than ``crash_loop_failures`` within ``crash_loop_window_seconds`` means a crash loop: from then on the wait is
    always the longest one, until it ran for ``stable_seconds`` (the longest waits alone would thin the failures out).
    A failure whose cause lies outside of the account counts for no crash loop, and waits at most ``outside_seconds``: a
    longer wait only loses messages.
    """

    first_seconds: float = 1.0
    longest_seconds: float = 300.0
    outside_seconds: float = 30.0
    stable_seconds: float = 60.0
    patient_steps: int = 4
    crash_loop_failures: int = 8
    crash_loop_window_seconds: float = 600.0


class Backoff:
    """Exponential wait with full jitter, so that a thousand accounts that failed together do not retry together."""

    def __init__(self, limits: BackoffLimits, rng: Random) -> None:
        self._limits = limits
        self._rng = rng
        self._attempt = 0
        self._failures: list[float] = []
        """The times of the last failures. A list, because most accounts have none and an empty deque takes 600 bytes.
        """
        self.crash_loop = False

    def failed(self, now: float, *, ran_seconds: float, patient: bool = False, outside: bool = False) -> float:
        """Count a failure after ``ran_seconds`` of health; return how many seconds to wait.

        ``outside``: the connection ran and the way to the site broke, or the database refused a write.
        ``patient``: we were asked to come back later. The wait is then longer, and never less than half its ceiling.
        """
        if ran_seconds >= self._limits.stable_seconds:
            self._attempt = 0
            self.crash_loop = False
        if outside:
            return self._rng.uniform(0.0, min(self._limits.outside_seconds, self._next_ceiling()))
        self._failures = [*self._failures[-self._limits.crash_loop_failures :], now]
        self.crash_loop = self.crash_loop or (
            len(self._failures) > self._limits.crash_loop_failures
            and now - self._failures[0] <= self._limits.crash_loop_window_seconds
        )
        if self.crash_loop:
            return self._limits.longest_seconds
        ceiling = self._next_ceiling(self._limits.patient_steps if patient else 0)
        return self._rng.uniform(ceiling / 2 if patient else 0.0, ceiling)

    def _next_ceiling(self, steps_ahead: int = 0) -> float:
        steps = self._attempt + steps_ahead
        self._attempt += 1
        return min(self._limits.longest_seconds, self._limits.first_seconds * 2.0 ** min(steps, 60))

    def forget(self) -> None:
        """Forget all failures: the owner changed something."""
        self._attempt = 0
        self._failures.clear()
        self.crash_loop = False
