"""How many accounts are to be connected, and how they stand: for readiness, which anybody may ask for."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import Final

from shoal.accounts.account import AccountState
from shoal.accounts.cookie_manager import CookieManager

FRESH_SECONDS: Final = 1.0
"""A count of thousands of accounts takes milliseconds: a flood of questions costs one of them in that time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountCounts:
    """``wanted``: how many are to be connected. The others: how many of those stand in that state."""

    wanted: int
    running: int
    waiting: int
    starting: int
    retrying: int
    parked: int


class AccountCounter:
    """Counts the accounts of everybody; what it says is as old as ``FRESH_SECONDS`` at most."""

    def __init__(self, manager: CookieManager) -> None:
        self._manager = manager
        self._counted: tuple[float, AccountCounts] | None = None

    def counts(self) -> AccountCounts:
        """How the accounts stand, now or a moment ago."""
        now = time.monotonic()
        if self._counted is None or now - self._counted[0] >= FRESH_SECONDS:
            self._counted = (now, self._count())
        return self._counted[1]

    def _count(self) -> AccountCounts:
        wanted = [account.id for account in self._manager.accounts.values() if account.enabled]
        tasks = self._manager.tasks
        states = Counter(tasks[account_id].observation.state for account_id in wanted if account_id in tasks)
        return AccountCounts(
            wanted=len(wanted),
            running=states[AccountState.RUNNING],
            waiting=states[AccountState.WAITING],
            starting=states[AccountState.STARTING],
            retrying=states[AccountState.RETRYING],
            parked=states[AccountState.PARKED],
        )
