"""Growing delays for who guesses passwords, codes, links and tokens: counted by address and by person, in this process.

Who was wrong a few times waits a minute, who goes on waits longer, and nobody longer than the longest window. A success
forgets what was counted of the person, never what was counted of the address. A person who signed in lately, from the
address or by the browser that asks now, is counted there for themselves and by nothing else: a stranger who guesses at
their name, or from their address, does not lock them out. What is counted is forgotten when the process ends, and
several processes count each for itself.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from limits import RateLimitItem, parse_many
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from shoal.auth.device_marks import LIFETIME_SECONDS, user_digest
from shoal.errors import TooManyAttempts

_FAMILIAR_LIMIT: Final = 10_000
"""How many pairs of person and address are remembered."""
_WAITING_LIMIT: Final = 64
"""How many may wait for others that are under way; who comes then is asked to come again."""
_BUSY_RETRY_SECONDS: Final = 5
_IPV6_NET: Final = 64
"""The smallest network that somebody is given: who has one has every address in it."""

_Counted = Sequence[tuple[str, Sequence[RateLimitItem]]]
"""What a try counts for: the keys, each with the windows in which its failures are borne."""


class Guess(StrEnum):
    """What is tried."""

    PASSWORD = "password"  # noqa: S105  a name
    CODE = "code"
    """A code of the second factor: only who knows the password comes so far."""
    TOKEN = "token"  # noqa: S105
    """The token of a sign-in or of a script."""
    LINK = "link"
    """The token of an invitation."""


class Known(StrEnum):
    """Whom we know before anything is proved, so that the guesses of others are not theirs."""

    NOT = "not"
    BY_MARK = "mark"
    """By what their browser kept of an earlier sign-in."""
    SIGNED_IN = "signed_in"
    """Who is signed in and is asked again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Windows:
    """How many failures are borne in which time, as ``limits`` writes it; the longest window bounds the delay."""

    address: str = "10/minute;30/10 minute;100/hour"
    user: str = "5/minute;10/10 minute;20/hour"
    code: str = "5/minute;10/hour;30/day"


class Attempt:
    """One try, while it is under way. Say how it ended; one that says nothing (the database failed) is not counted."""

    def __init__(self) -> None:
        self.failed: bool | None = None

    def fail(self) -> None:
        """It was wrong."""
        self.failed = True

    def succeed(self) -> None:
        """It was right."""
        self.failed = False


class LoginThrottle:
    """Counts failures and says who must wait."""

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
        self._under_way: Counter[str] = Counter()
        self._turn = asyncio.Condition()
        self._waiting = 0
        self._familiar: OrderedDict[str, float] = OrderedDict()

    @asynccontextmanager
    async def attempt(
        self, guess: Guess, *, address: str, name: str = "", known: Known = Known.NOT
    ) -> AsyncIterator[Attempt]:
        """Let one try begin. Raises ``TooManyAttempts`` when the address or the person must wait.

        ``name``: whom it is about, as it was typed; what nobody is called is counted alike.
        """
        counted = self._counted(guess, place_of(address), name, known)
        async with self._turn:
            if not self._has_room(counted):
                await self._wait_for_room(counted)
            for key, _ in counted:
                self._under_way[key] += 1
        attempt = Attempt()
        try:
            yield attempt
        finally:
            if attempt.failed:
                for key, windows in counted:
                    for window in windows:
                        self._limiter.hit(window, key)
            elif attempt.failed is False and name:
                self._forget([(key, windows) for key, windows in counted if not key.startswith("address:")])
            async with self._turn:
                for key, _ in counted:
                    self._under_way[key] -= 1
                    if not self._under_way[key]:
                        del self._under_way[key]
                self._turn.notify_all()

    def _counted(self, guess: Guess, place: str, name: str, known: Known) -> _Counted:
        """What a try counts for. Who is known has windows of their own; a mark whose windows are used up is no mark."""
        strangers = [(f"address:{place}", self._by_address)]
        if not name:
            return strangers
        user, windows = user_digest(name), self._by_user[guess]
        own = [(f"{guess.value}:{known.value}:{user}", windows)]
        if known is Known.SIGNED_IN or (known is Known.BY_MARK and not self._seconds_to_wait(own)):
            return own
        if self._is_familiar(pair := f"{user}@{place}"):
            return [(f"{guess.value}:{pair}", windows)]
        return [*strangers, (f"{guess.value}:{user}", windows)]

    def count_wrong_token(self, address: str) -> None:
        """Count a token that opens nothing. Raises ``TooManyAttempts`` when so many came from there lately.

        Tokens are looked up first, so a right one never waits, whatever others try from the same address.
        """
        counted = [(f"{Guess.TOKEN.value}:{place_of(address)}", self._by_address)]
        if wait := self._seconds_to_wait(counted):
            raise TooManyAttempts(retry_after=math.ceil(wait))
        for key, windows in counted:
            for window in windows:
                self._limiter.hit(window, key)

    async def _wait_for_room(self, counted: _Counted) -> None:
        """Those that are under way may all fail: who would be one too many then waits for one of them to end."""
        if self._waiting >= _WAITING_LIMIT:
            raise TooManyAttempts(retry_after=_BUSY_RETRY_SECONDS)
        self._waiting += 1
        try:
            await self._turn.wait_for(lambda: self._has_room(counted))
        finally:
            self._waiting -= 1

    def remember(self, name: str, address: str, *, seconds_ago: float = 0.0) -> None:
        """That person has signed in from there, whole: the password alone makes nobody familiar."""
        pair = f"{user_digest(name)}@{place_of(address)}"
        self._familiar.pop(pair, None)  # the newest stands last
        self._familiar[pair] = time.monotonic() - seconds_ago
        while len(self._familiar) > _FAMILIAR_LIMIT:
            self._familiar.popitem(last=False)

    def _is_familiar(self, pair: str) -> bool:
        since = self._familiar.get(pair)
        return since is not None and time.monotonic() - since <= LIFETIME_SECONDS

    def _has_room(self, counted: _Counted) -> bool:
        """Whether one more may begin now. Raises when failures alone forbid it."""
        if wait := self._seconds_to_wait(counted):
            raise TooManyAttempts(retry_after=math.ceil(wait))
        return all(
            self._limiter.get_window_stats(window, key).remaining > self._under_way[key]
            for key, windows in counted
            for window in windows
        )

    def _seconds_to_wait(self, counted: _Counted) -> float:
        """How long failures alone forbid another try; 0: they do not."""
        wait = 0.0
        for key, windows in counted:
            for window in windows:
                stats = self._limiter.get_window_stats(window, key)
                if stats.remaining <= 0:
                    wait = max(wait, stats.reset_time - time.time(), 1.0)
        return wait

    def _forget(self, counted: _Counted) -> None:
        for key, windows in counted:
            for window in windows:
                self._limiter.clear(window, key)


def place_of(address: str) -> str:
    """The address that is counted: of IPv6 the network that one customer has."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:  # a test client has a name
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, _IPV6_NET), strict=False))
    return str(parsed)
