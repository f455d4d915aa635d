"""How often one sign-in, or one API token, may call: so that a script gone wild leaves room for the others."""

from __future__ import annotations

import math
import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from shoal.errors import TooManyCalls

_LONGEST_SECONDS = 60


class CallRates:
    """Counts the calls of the last minute, in this process. A call that is refused is not counted."""

    def __init__(self, *, of_session: int, of_token: int) -> None:
        """Calls a minute; 0 is no limit."""
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._limits = {
            kind: RateLimitItemPerMinute(limit) if limit else None
            for kind, limit in (("session", of_session), ("token", of_token))
        }

    def count_session(self, token_hash: str) -> None:
        """One call by that sign-in. Raises ``TooManyCalls``."""
        self._count("session", token_hash)

    def count_token(self, token_id: int) -> None:
        """One call by that API token. Raises ``TooManyCalls``."""
        self._count("token", str(token_id))

    def _count(self, kind: str, key: str) -> None:
        limit = self._limits[kind]
        if limit is None or self._limiter.hit(limit, kind, key):
            return
        resets_at = self._limiter.get_window_stats(limit, kind, key).reset_time
        wait = math.ceil(resets_at - time.time())
        raise TooManyCalls(retry_after=min(max(wait, 1), _LONGEST_SECONDS))
