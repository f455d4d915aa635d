"""``Reload``: an administrator's look at what is stored against what is published, one at a time."""

from __future__ import annotations

import asyncio

from shoal.accounts.cookie_manager import CookieManager
from shoal.accounts.drift import Difference
from shoal.concurrency.single_flight import SingleFlight


class Reload:
    """Reads every account anew for who asks. Who asks during a run shares the next, which sees all that they wrote."""

    def __init__(self, manager: CookieManager) -> None:
        self._manager = manager
        self._turn = asyncio.Lock()
        self._look = SingleFlight(lambda: self._compare(take_over=False), name="compare with the database")
        self._take_over = SingleFlight(lambda: self._compare(take_over=True), name="reload from the database")

    async def look(self) -> list[Difference]:
        """What is stored otherwise than it is published. Changes nothing."""
        return await self._look.next_result()

    async def take_over(self) -> list[Difference]:
        """The same, published; each that could not be says why."""
        return await self._take_over.next_result()

    async def close(self) -> None:
        """End what is under way."""
        await self._look.close()
        await self._take_over.close()

    async def _compare(self, *, take_over: bool) -> list[Difference]:
        async with self._turn:
            return await self._manager.compare_with_db(take_over=take_over)
