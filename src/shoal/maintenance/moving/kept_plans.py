"""Plans of imports that users look at before they begin: in memory, the newest of each user, for an hour."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Final

import msgspec

from shoal.errors import NotFound
from shoal.maintenance.moving.plan import Plan

KEPT_SECONDS: Final = 3600.0
MOST: Final = 20
"""How many users can look at a plan at the same time; the oldest plan is forgotten for a further one."""
MOST_BYTES: Final = 64 * 1024**2
"""How much the files of all plans may hold together; the largest plan is forgotten first. In memory it is three times
as much."""


class UnknownPlan(NotFound):
    """There is no such plan any more, or it is another user's (the answer is the same): send the file again."""

    code = "unknown_import_plan"


class KeptPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A plan with the name of its file; ``until`` is a time of the process."""

    id: str
    user_id: int
    file_name: str
    plan: Plan
    size: int
    until: float


class KeptPlans:
    """The plans that users look at now."""

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._plans: dict[int, KeptPlan] = {}

    def keep(self, user_id: int, file_name: str, plan: Plan, *, size: int = 0, home: str = "") -> KeptPlan:
        """Keep a plan in place of the user's last one. ``home``: what its id begins with.

        ``size``: how much the file and its pictures hold, in bytes.
        """
        self._plans.pop(user_id, None)
        self._forget_old()
        while len(self._plans) >= MOST:
            del self._plans[next(iter(self._plans))]
        while self._plans and size + sum(one.size for one in self._plans.values()) > MOST_BYTES:
            del self._plans[max(self._plans, key=lambda user: self._plans[user].size)]
        kept = KeptPlan(
            id=home + secrets.token_urlsafe(12),
            user_id=user_id,
            file_name=file_name,
            plan=plan,
            size=size,
            until=self._now() + KEPT_SECONDS,
        )
        self._plans[user_id] = kept
        return kept

    def get(self, user_id: int, plan_id: str) -> KeptPlan:
        """Return a plan of the user. Raises ``UnknownPlan``."""
        self._forget_old()
        kept = self._plans.get(user_id)
        if kept is None or kept.id != plan_id:
            raise UnknownPlan
        return kept

    def forget(self, user_id: int, plan_id: str) -> None:
        """Forget a plan of the user. Raises ``UnknownPlan``."""
        self.get(user_id, plan_id)
        del self._plans[user_id]

    def _forget_old(self) -> None:
        now = self._now()
        self._plans = {user_id: kept for user_id, kept in self._plans.items() if kept.until > now}
