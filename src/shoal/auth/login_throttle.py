"""Growing delays for wrong passwords, codes, links and tokens, counted by address and by user, in this process.

After a few failures the caller waits a minute, after more failures longer, at most the longest window. A success clears
the count of the user, never that of the address. Attempts of a user who signed in recently from the same address or
browser are counted separately: a stranger who guesses at the name, or from the address, does not lock the user out. The
counts are lost when the process ends, and each of several processes counts for itself.

``limits`` counts the failures in their windows. It knows nothing of attempts under way (which may all fail), of users
who are known at an address, and of networks; that is what this module adds.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Final

import msgspec
from limits import RateLimitItem, parse_many
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from shoal.auth.device_marks import LIFETIME_SECONDS, user_digest
from shoal.errors import TooManyAttempts

_FAMILIAR_LIMIT: Final = 10_000
"""How many pairs of user and address are remembered."""
WAITING_LIMIT: Final = 64
"""How many attempts may wait for others under way; further ones are refused for a few seconds."""
BUSY_RETRY_SECONDS: Final = 5
_IPV6_NET: Final = 64
"""The smallest IPv6 network that one customer is given: its holder has every address in it."""

Counted = Sequence[tuple[RateLimitItem, str]]
"""The windows that limit the failures of an attempt, with the key that each counts for."""


class Guess(StrEnum):
    """What is tried."""

    PASSWORD = "password"  # noqa: S105  a name
    CODE = "code"
    """A code of the second factor: only a caller who knows the password reaches it."""
    TOKEN = "token"  # noqa: S105
    """The token of a session or of a script."""
    LINK = "link"
    """The token of an invitation."""


class Known(StrEnum):
    """How the user is known before the attempt, so that the guesses of others do not count against the user."""

    NOT = "not"
    BY_MARK = "mark"
    """By the device cookie of an earlier sign-in."""
    SIGNED_IN = "signed_in"
    """By a session: a signed-in user is asked again."""


class Windows(msgspec.Struct, frozen=True, kw_only=True):
    """How many failures are allowed in which time, as ``limits`` writes it. The longest window bounds the delay."""

    address: str = "10/minute;30/10 minute;100/hour"
    user: str = "5/minute;10/10 minute;20/hour"
    code: str = "5/minute;10/hour;30/day"


class Attempt:
    """One attempt under way. Report how it ended; an attempt without a report (the database failed) is not counted."""

    def __init__(self) -> None:
        self.failed: bool | None = None

    def fail(self) -> None:
        """Report that it was wrong."""
        self.failed = True

    def succeed(self) -> None:
        """Report that it was right."""
        self.failed = False


class LoginThrottle:
    """Counts failures and decides who must wait."""

    def __init__(self, windows: Windows | None = None) -> None:
        windows = windows or Windows()
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._by_address = parse_many(windows.address)
        self._by_user = {
            Guess.PASSWORD: parse_many(windows.user),
            Guess.CODE: parse_many(windows.code),
            Guess.LINK: [],
            Guess.TOKEN: [],
        }
        self._under_way: Counter[tuple[RateLimitItem, str]] = Counter()
        self._turn = asyncio.Condition()
        self._waiting = 0
        self._familiar: OrderedDict[str, float] = OrderedDict()

    @asynccontextmanager
    async def attempt(
        self, guess: Guess, *, address: str, name: str = "", known: Known = Known.NOT
    ) -> AsyncIterator[Attempt]:
        """Begin one attempt. Raises ``TooManyAttempts`` when the address or the user must wait.

        ``name``: the user name as it was typed; unknown names are counted in the same way.
        """
        counted = self._counted(guess, place_of(address), name, known)
        async with self._turn:
            if not self._has_room(counted):
                await self._wait_for_room(counted)
            self._under_way.update(counted)
        attempt = Attempt()
        try:
            yield attempt
        finally:
            for window, key in counted:
                if attempt.failed:
                    self._limiter.hit(window, key)
                elif attempt.failed is False and name and not key.startswith("address:"):
                    self._limiter.clear(window, key)
            async with self._turn:
                self._under_way -= Counter(counted)  # drops what is zero
                self._turn.notify_all()

    def _counted(self, guess: Guess, place: str, name: str, known: Known) -> Counted:
        """Return what an attempt counts for: the first choice whose windows are not used up, else the last one."""
        *before, last = self.choices(guess, place, name, known)
        return next((counted for counted in before if not self._seconds_to_wait(counted)), last)

    def choices(self, guess: Guess, place: str, name: str, known: Known) -> list[Counted]:
        """Return what an attempt may count for, the best first.

        A known user has separate windows; a mark with used-up windows does not count.
        """
        strangers = [(window, f"address:{place}") for window in self._by_address]
        if not name:
            return [strangers]
        user = user_digest(name)

        def theirs(key: str) -> Counted:
            return [(window, f"{guess.value}:{key}") for window in self._by_user[guess]]

        own = theirs(f"{known.value}:{user}")
        if known is Known.SIGNED_IN:
            return [own]
        pair = f"{user}@{place}"
        others = theirs(pair) if self._is_familiar(pair) else [*strangers, *theirs(user)]
        return [own, others] if known is Known.BY_MARK else [others]

    def count_wrong_token(self, address: str) -> None:
        """Count a token that is not valid. Raises ``TooManyAttempts`` after too many of them from the address.

        The caller looks tokens up first, so a valid one never waits, whatever others try from the same address.
        """
        counted = [(window, f"{Guess.TOKEN.value}:{place_of(address)}") for window in self._by_address]
        self._refuse_too_many(counted)
        for window, key in counted:
            self._limiter.hit(window, key)

    async def _wait_for_room(self, counted: Counted) -> None:
        """Wait until an attempt under way ends: all of them may fail, and one more would then exceed the limit."""
        if self._waiting >= WAITING_LIMIT:
            raise TooManyAttempts(retry_after=BUSY_RETRY_SECONDS)
        self._waiting += 1
        try:
            await self._turn.wait_for(lambda: self._has_room(counted))
        finally:
            self._waiting -= 1

    def remember(self, name: str, address: str, *, seconds_ago: float = 0.0) -> None:
        """Remember that the user signed in from the address with every factor; the password alone is not enough."""
        pair = f"{user_digest(name)}@{place_of(address)}"
        self._familiar.pop(pair, None)  # the newest is the last
        self._familiar[pair] = time.monotonic() - seconds_ago
        while len(self._familiar) > _FAMILIAR_LIMIT:
            self._familiar.popitem(last=False)

    def _is_familiar(self, pair: str) -> bool:
        since = self._familiar.get(pair)
        return since is not None and time.monotonic() - since <= LIFETIME_SECONDS

    def _has_room(self, counted: Counted) -> bool:
        """Return whether one more attempt may begin now. Raises when the failures alone forbid it."""
        self._refuse_too_many(counted)
        return all(self._limiter.get_window_stats(*one).remaining > self._under_way[one] for one in counted)

    def _refuse_too_many(self, counted: Counted) -> None:
        if wait := self._seconds_to_wait(counted):
            raise TooManyAttempts(retry_after=math.ceil(wait))

    def _seconds_to_wait(self, counted: Counted) -> float:
        """Return for how long the failures alone forbid another attempt; 0: they do not."""
        all_stats = [self._limiter.get_window_stats(*one) for one in counted]
        return max(
            (max(1.0, stats.reset_time - time.time()) for stats in all_stats if stats.remaining <= 0), default=0.0
        )


def place_of(address: str) -> str:
    """Return the address for counting: for IPv6 the network that one customer has."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:  # a test client has a name instead of an address
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, _IPV6_NET), strict=False))
    return str(parsed)
