"""The limits of pictures, tests of channels and registrations that several nodes keep together.

Calls are counted by each node for itself: to share them would cost a query for each.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from shoal.auth.rate_limits import RateLimits
from shoal.cluster.limited_tries import Begun, LimitedTries, Refused, Window
from shoal.config import Settings
from shoal.errors import StoreError, TooManyCalls

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
