"""The growing delays for wrong passwords, codes and links of several nodes, counted together in the database.

While the database does not answer, each node counts for itself. Wrong tokens, which no one guesses, are counted by each
node always.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import structlog
from limits import RateLimitItem

from shoal.auth.login_throttle import (
    BUSY_RETRY_SECONDS,
    WAITING_LIMIT,
    Attempt,
    Counted,
    Guess,
    Known,
    LoginThrottle,
    Windows,
    place_of,
)
from shoal.cluster.limited_tries import Begun, LimitedTries, Refused, Window
from shoal.errors import StoreError, TooManyAttempts

log = structlog.get_logger("shoal.users")

LOOK_SECONDS: Final = 0.1
"""How often an attempt asks again whether others under way have ended."""
PLACES_SECONDS: Final = 1.0
"""How long no new familiar places are read after they were."""

ReadPlaces = Callable[[], Awaitable[None]]


class SharedLoginThrottle(LoginThrottle):
    """Counts failures of all nodes, and decides who must wait."""

    def __init__(self, tries: LimitedTries, windows: Windows | None = None) -> None:
        super().__init__(windows)
        self._tries = tries
        self._asking = 0
        self.read_places: ReadPlaces = _nothing
        """Reads where users have signed in lately at any node, and remembers it here."""
        self._places_read_at = -math.inf

    @asynccontextmanager
    async def attempt(
        self, guess: Guess, *, address: str, name: str = "", known: Known = Known.NOT
    ) -> AsyncIterator[Attempt]:
        """Begin one attempt as on a single server. Raises ``TooManyAttempts``."""
        try:
            if name and known is Known.NOT:
                await self._read_places_sometimes()
            begun, counted = await self._begin(guess, place_of(address), name, known)
        except StoreError as error:
            log.warning("attempts to sign in are counted by this server alone", why=error.code)
            begun, counted = None, ()
        if begun is None:
            async with super().attempt(guess, address=address, name=name, known=known) as alone:
                yield alone
            return
        attempt = Attempt()
        try:
            yield attempt
        finally:
            cleared = {key for _, key in counted if name and attempt.failed is False and not is_of_address(key)}
            await asyncio.shield(self._end(begun, counts=bool(attempt.failed), cleared=cleared))

    async def _begin(self, guess: Guess, place: str, name: str, known: Known) -> tuple[Begun, Counted]:
        """Begin in the first windows with room: a known user has some of their own, and those of a stranger."""
        choices = self.choices(guess, place, name, known)
        for number, counted in enumerate(choices, start=1):
            windows = [_window(*one) for one in counted]
            while isinstance(found := await self._tries.begin(windows), Refused):
                if found.seconds and number == len(choices):
                    raise TooManyAttempts(retry_after=math.ceil(found.seconds))
                if found.seconds:
                    break
                await self._look_again()
            else:
                return found, counted
        raise AssertionError("the last choice begins or is refused")

    async def _look_again(self) -> None:
        if self._asking >= WAITING_LIMIT:
            raise TooManyAttempts(retry_after=BUSY_RETRY_SECONDS)
        self._asking += 1
        try:
            await asyncio.sleep(LOOK_SECONDS)
        finally:
            self._asking -= 1

    async def _end(self, begun: Begun, *, counts: bool, cleared: set[str]) -> None:
        try:
            await self._tries.end(begun, counts=counts, clears=cleared)
        except StoreError as error:  # it counts, as soon as it is old
            log.warning("the end of an attempt to sign in was not stored", why=error.code)

    async def _read_places_sometimes(self) -> None:
        now = time.monotonic()
        if now - self._places_read_at > PLACES_SECONDS:
            self._places_read_at = now
            await self.read_places()


def is_of_address(key: str) -> bool:
    """Return whether a key counts all attempts from an address: no success clears those."""
    return key.startswith("address:")


def _window(item: RateLimitItem, key: str) -> Window:
    return Window(key, item.amount, item.get_expiry())


async def _nothing() -> None:
    """Read no places: none is known elsewhere."""
