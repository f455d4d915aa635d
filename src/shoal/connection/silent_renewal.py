"""Renews a login that has ended, as the pages of the site do: once for all calls that met its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

log = structlog.get_logger("shoal.login")


class SilentRenewal:
    """The renewals of one connection. Calls that meet the same end of a login share one.

    A call notes ``count`` before it asks the site. When the login has ended, it calls ``renewed`` with that number: a
    renewal that was made since is not made again.
    """

    def __init__(self, account_id: str, renew: Callable[[], Awaitable[bool]]) -> None:
        """``renew`` asks the site; it raises ``ActionRequired`` or ``TemporaryFailure``."""
        self._account_id = account_id
        self._renew = renew
        self._under_way: asyncio.Task[bool] | None = None
        self._has_worked = False
        self.count = 0
        """How many renewals have ended."""

    async def renewed(self, count: int) -> bool:
        """Renew the login unless that was done since ``count``; return whether it is renewed. Raise as ``renew``."""
        if self.count != count:
            return self._has_worked
        if self._under_way is None:
            self._under_way = asyncio.create_task(self._ask(), name=f"silent renewal:{self._account_id}")
            # The caller may be stopping.
            self._under_way.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        return await asyncio.shield(self._under_way)

    async def _ask(self) -> bool:
        try:
            self._has_worked = False
            self._has_worked = await self._renew()
            log.info("silent renewal", account=self._account_id, renewed=self._has_worked)
            return self._has_worked
        finally:
            self.count += 1
            self._under_way = None
