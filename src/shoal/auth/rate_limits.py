"""How often one session, or one API token, may call, so that a faulty script leaves capacity for other users.

Calls are counted by each server for itself. Also how many pictures a user may upload in a day, how often a user may
test channels, and how many users may register from one address in an hour.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from limits import RateLimitItem, RateLimitItemPerDay, RateLimitItemPerHour
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from shoal.cluster.limited_tries import Begun, LimitedTries, Refused, Window
from shoal.config import Settings
from shoal.errors import StoreError, TooManyCalls

PICTURES_A_DAY = 300
REGISTRATIONS_AN_HOUR = 5
CHANNEL_TESTS_AN_HOUR = 60


class _CallsAMinute:
    """Counts calls by key: those of this minute, and those of the last one in proportion to what is left of it.

    Every request is counted, so this does in half a microsecond what the limiter of the other kinds does in seven.
    """

    def __init__(self, most: int) -> None:
        """``most``: calls of one key in a minute; 0 is no limit."""
        self._most = most
        self._minute = 0
        self._counts: dict[str, int] = {}
        self._before: dict[str, int] = {}

    def count(self, key: str) -> None:
        """Count one call. Raises ``TooManyCalls``."""
        if not self._most:
            return
        minute, second = divmod(time.monotonic(), 60)
        if minute != self._minute:
            self._before = self._counts if minute == self._minute + 1 else {}
            self._minute, self._counts = int(minute), {}
        count, before = self._counts.get(key, 0), self._before.get(key, 0)
        if count + before * (60 - second) / 60 > self._most - 1:
            # Until enough of the last minute has passed; if this one is full, until about the end of the next.
            wait = 60.0 if count >= self._most else 60 * (1 - (self._most - 1 - count) / before) - second
            raise TooManyCalls(retry_after=max(1, math.ceil(wait)))
        self._counts[key] = count + 1


class RateLimits:
    """Counts recent calls, in this process. Refused calls are not counted."""

    def __init__(self, settings: Settings) -> None:
        """Take the limits of sessions and tokens from the settings; 0 is no limit."""
        of_session, of_token = settings.session_calls_per_minute, settings.api_token_calls_per_minute
        self._calls = {"session": _CallsAMinute(of_session), "token": _CallsAMinute(of_token)}
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._limits: dict[str, RateLimitItem | None] = {
            "picture": RateLimitItemPerDay(PICTURES_A_DAY),
            "channel_test": RateLimitItemPerHour(CHANNEL_TESTS_AN_HOUR),
            "registration": RateLimitItemPerHour(REGISTRATIONS_AN_HOUR),
        }

    def count_session(self, token_hash: str) -> None:
        """Count one call of that session. Raises ``TooManyCalls``."""
        self._calls["session"].count(token_hash)

    def count_token(self, token_id: int) -> None:
        """Count one call of that API token. Raises ``TooManyCalls``."""
        self._calls["token"].count(str(token_id))

    async def count_picture(self, user_id: int) -> None:
        """Count one more picture of that user. Raises ``TooManyCalls`` (``too_many_pictures``)."""
        await self._count_rarely("picture", str(user_id), "too_many_pictures")

    async def count_channel_test(self, user_id: int) -> None:
        """Count one more test of a channel of that user. Raises ``TooManyCalls`` (``too_many_channel_tests``)."""
        await self._count_rarely("channel_test", str(user_id), "too_many_channel_tests")

    @asynccontextmanager
    async def registration(self, address: str) -> AsyncIterator[None]:
        """Let a user register from the address in this block; it counts unless it fails.

        Raises ``TooManyCalls`` (``too_many_registrations``).
        """
        self._count("registration", address, "too_many_registrations", only_look=True)
        yield
        self._count("registration", address, "too_many_registrations")

    async def _count_rarely(self, kind: str, key: str, code: str) -> None:
        """Count what happens some times an hour. Raises ``TooManyCalls``."""
        self._count(kind, key, code)

    def _count(self, kind: str, key: str, code: str | None = None, *, only_look: bool = False) -> None:
        limit = self._limits[kind]
        if limit is None or (self._limiter.test if only_look else self._limiter.hit)(limit, kind, key):
            return
        resets_at = self._limiter.get_window_stats(limit, kind, key).reset_time
        wait = math.ceil(resets_at - time.time())
        raise TooManyCalls(retry_after=min(max(wait, 1), limit.get_expiry()), code=code)


# Calls are counted by each node for itself: to share them would cost a query for each.
_BUSY_SECONDS = 5
"""When to come back while others, which may fail, take the rest of a limit."""


class SharedRateLimits(RateLimits):
    """Counts in the database what happens some times an hour."""

    def __init__(self, settings: Settings, tries: LimitedTries) -> None:
        super().__init__(settings)
        self._tries = tries

    @asynccontextmanager
    async def registration(self, address: str) -> AsyncIterator[None]:
        """Let a user register from the address in this block; it counts unless it fails.

        Raises ``TooManyCalls`` (``too_many_registrations``), and ``StoreError``.
        """
        begun = await self._begin("registration", address, "too_many_registrations")
        counts = False
        try:
            yield
            counts = True
        finally:
            await asyncio.shield(self._end(begun, counts=counts))

    async def _count_rarely(self, kind: str, key: str, code: str) -> None:
        if (begun := await self._begin(kind, key, code)) is not None:
            await self._end(begun, counts=True)

    async def _end(self, begun: Begun | None, *, counts: bool) -> None:
        if begun is not None:
            with suppress(StoreError):  # it counts, as soon as it is old
                await self._tries.end(begun, counts=counts)

    async def _begin(self, kind: str, key: str, code: str) -> Begun | None:
        if (limit := self._limits[kind]) is None:
            return None
        found = await self._tries.begin([Window(f"{kind}:{key}", limit.amount, limit.get_expiry())])
        if isinstance(found, Refused):
            raise TooManyCalls(retry_after=math.ceil(found.seconds) or _BUSY_SECONDS, code=code)
        return found
