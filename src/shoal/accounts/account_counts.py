"""Counts of accounts that should be connected, by state, for the public readiness check."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import Final

from shoal.accounts.account import AccountState
from shoal.accounts.cookie_manager import CookieManager

FRESH_SECONDS: Final = 1.0
"""Counting thousands of accounts takes milliseconds: many requests within this time share one count."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountCounts:
    """``wanted``: how many accounts should be connected. The other fields: how many of those are in each state."""

    wanted: int
    running: int
    waiting: int
    starting: int
    retrying: int
    parked: int


class AccountCounter:
    """Counts the accounts of all users that run at this server. A count is at most ``FRESH_SECONDS`` old."""

    def __init__(self, manager: CookieManager) -> None:
        self._manager = manager
        self._counted: tuple[float, AccountCounts] | None = None

    def counts(self) -> AccountCounts:
        """Return the counts, now or a moment ago."""
        now = time.monotonic()
        if self._counted is None or now - self._counted[0] >= FRESH_SECONDS:
            self._counted = (now, self._count())
        return self._counted[1]

    def _count(self) -> AccountCounts:
        manager = self._manager
        wanted = [one.id for one in manager.accounts.values() if one.enabled and manager.runs_here(one.id)]
        tasks = manager.tasks
        states = Counter(tasks[account_id].observation.state for account_id in wanted if account_id in tasks)
        return AccountCounts(
            wanted=len(wanted),
            running=states[AccountState.RUNNING],
            waiting=states[AccountState.WAITING],
            starting=states[AccountState.STARTING],
            retrying=states[AccountState.RETRYING],
            parked=states[AccountState.PARKED],
        )
