"""How often one sign-in, or one API token, may call: so that a script gone wild leaves room for the others.

Also how many pictures a person may bring in a day, and how many people may register from one address in an hour.
"""

from __future__ import annotations

import math
import time

from limits import RateLimitItem, RateLimitItemPerDay, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from shoal.errors import TooManyCalls

PICTURES_A_DAY = 300
REGISTRATIONS_AN_HOUR = 5


class RateLimits:
    """Counts what was done lately, in this process. What is refused is not counted."""

    def __init__(self, *, of_session: int, of_token: int) -> None:
        """Calls a minute; 0 is no limit."""
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._limits: dict[str, RateLimitItem | None] = {
            "session": RateLimitItemPerMinute(of_session) if of_session else None,
            "token": RateLimitItemPerMinute(of_token) if of_token else None,
            "picture": RateLimitItemPerDay(PICTURES_A_DAY),
            "registration": RateLimitItemPerHour(REGISTRATIONS_AN_HOUR),
        }

    def count_session(self, token_hash: str) -> None:
        """One call by that sign-in. Raises ``TooManyCalls``."""
        self._count("session", token_hash)

    def count_token(self, token_id: int) -> None:
        """One call by that API token. Raises ``TooManyCalls``."""
        self._count("token", str(token_id))

    def count_picture(self, user_id: int) -> None:
        """One picture more of that person. Raises ``TooManyCalls`` (``too_many_pictures``)."""
        self._count("picture", str(user_id), "too_many_pictures")

    def check_registration(self, address: str) -> None:
        """Whether one person more may register from there. Raises ``TooManyCalls`` (``too_many_registrations``)."""
        self._count("registration", address, "too_many_registrations", only_look=True)

    def count_registration(self, address: str) -> None:
        """One person more has registered from there. Raises as ``check_registration``."""
        self._count("registration", address, "too_many_registrations")

    def _count(self, kind: str, key: str, code: str | None = None, *, only_look: bool = False) -> None:
        limit = self._limits[kind]
        if limit is None or (self._limiter.test if only_look else self._limiter.hit)(limit, kind, key):
            return
        resets_at = self._limiter.get_window_stats(limit, kind, key).reset_time
        wait = math.ceil(resets_at - time.time())
        raise TooManyCalls(retry_after=min(max(wait, 1), limit.get_expiry()), code=code)
