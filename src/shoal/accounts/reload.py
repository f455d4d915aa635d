"""``Reload``: compares stored accounts with published ones for an administrator, one run at a time."""

from __future__ import annotations

import asyncio

from shoal.accounts.cookie_manager import CookieManager
from shoal.accounts.drift import Difference
from shoal.concurrency.single_flight import SingleFlight


class Reload:
    """Reads every account again. Callers during a run share the next one, which sees everything they wrote."""

    def __init__(self, manager: CookieManager) -> None:
        self._manager = manager
        self._turn = asyncio.Lock()
        self._look = SingleFlight(lambda: self._compare(take_over=False), name="compare with the database")
        self._take_over = SingleFlight(lambda: self._compare(take_over=True), name="reload from the database")

    async def look(self) -> list[Difference]:
        """Return the differences between stored and published accounts. Changes nothing."""
        return await self._look.next_result()

    async def take_over(self) -> list[Difference]:
        """Publish the differences and return them; an account that could not be published carries the reason."""
        return await self._take_over.next_result()

    async def close(self) -> None:
        """End the current run."""
        await self._look.close()
        await self._take_over.close()

    async def _compare(self, *, take_over: bool) -> list[Difference]:
        async with self._turn:
            return await self._manager.compare_with_db(take_over=take_over)
