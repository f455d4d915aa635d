"""Seller numbers: which shop holds each, and whose turn it is to connect with one that no shop holds yet.

A cookie names its seller's number, and anybody can write one. So two shops may name the same number, but at most one
connects. The shop that the site lets in first holds the number, stored, also while it is off or parked, until it is
deleted or an administrator frees the number. The others with that number stay away from the site meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from types import MappingProxyType

import structlog

from shoal.accounts.account import Account
from shoal.accounts.store import AccountStore
from shoal.clock import now_ms
from shoal.errors import NumberTaken, TemporaryFailure

log = structlog.get_logger("shoal.numbers")


class SellerNumbers:
    """The holders as they are stored, and the turns of those who try. Lives on one event loop."""

    def __init__(self, store: AccountStore, changed: Callable[[str], None]) -> None:
        """``changed`` is told of each number that another shop holds now, or none."""
        self._store = store
        self._changed = changed
        self._holders: dict[str, str] = {}
        self._held: dict[str, str] = {}
        """The number that each shop holds."""
        self._turns: dict[str, deque[asyncio.Future[None]] | None] = {}
        """The numbers with which a shop connects or is connected, and those who wait for it to end, if any do."""
        self._reading = asyncio.Lock()
        self._changed_since: set[str] = set()
        """The numbers that got another holder, or none, while the holders are read."""
        self.holders: Mapping[str, str] = MappingProxyType(self._holders)

    async def load(self) -> None:
        """Read who holds what. Raises ``StoreError``."""
        async with self._reading:
            self._changed_since.clear()
            stored = await self._store.number_holders()
            changed = frozenset(self._changed_since)  # what is known of those is newer
            for number in {*self._holders, *stored} - changed:
                self._put(number, stored.get(number))

    def is_taken(self, account: Account) -> bool:
        """Whether another shop holds the account's number."""
        return self._holders.get(account.unb, account.id) != account.id

    async def hold(self, account: Account) -> None:
        """The site let the account in: from now on it holds its number, unless another does.

        Raises ``NumberTaken``; ``StoreError`` when that cannot be stored; ``TemporaryFailure`` when it is gone.
        """
        if account.unb not in self._holders:
            holder = await self._store.hold_number(account.unb, account.id, now_ms())
            if holder is None:
                raise TemporaryFailure("the account is not stored any more")
            if account.unb not in self._holders:
                self._put(account.unb, holder)
        if self._holders.get(account.unb) != account.id:
            raise NumberTaken(f"the number of {account.id} is another shop's")

    async def free(self, number: str, holder: str) -> None:
        """Take the number from that holder, if it still holds it: who is let in next does. Raises ``StoreError``."""
        await self._store.free_number(number, holder)
        if self._holders.get(number) == holder:
            self._put(number, None)

    def forget(self, account_id: str) -> None:
        """The account is gone, and its rows with it: its number is free."""
        number = self._held.get(account_id)
        if number is not None:
            self._put(number, None)

    def _put(self, number: str, holder: str | None) -> None:
        before = self._holders.pop(number, None)
        if before is not None:
            self._held.pop(before, None)
        if holder is not None:
            left = self._held.get(holder)
            if left is not None:  # another program gave it the cookie of another seller
                self._put(left, None)
            self._holders[number] = holder
            self._held[holder] = number
        if before != holder:
            log.debug("number held" if holder else "number free", account=holder or before)
            if self._reading.locked():
                self._changed_since.add(number)
            self._changed(number)

    # -- turns ---------------------------------------------------------------------------------------------------

    def turn(self, account: Account) -> NumberTurn:
        """The turn of one connection of the account, not taken yet."""
        return NumberTurn(self, account)

    def is_busy(self, number: str) -> bool:
        """Whether a shop connects with the number, or is connected."""
        return number in self._turns

    async def begin(self, number: str) -> None:
        """Wait until nobody connects with the number, first come first served."""
        if number not in self._turns:
            self._turns[number] = None
            return
        waiting = self._turns[number]
        if waiting is None:
            waiting = self._turns[number] = deque()
        turn = asyncio.get_running_loop().create_future()
        waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                with suppress(ValueError):  # passed over in this very moment
                    waiting.remove(turn)
            else:  # the turn had come, and its caller went
                self.end(number)
            raise

    def end(self, number: str) -> None:
        """Let the next one connect with the number."""
        waiting = self._turns[number]
        while waiting:
            turn = waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        del self._turns[number]


class NumberTurn:
    """One connection's turn with its number: taken before anything is said to the site, kept until the end."""

    def __init__(self, numbers: SellerNumbers, account: Account) -> None:
        self._numbers = numbers
        self._account = account
        self._taken = False

    def must_wait(self) -> bool:
        """Whether another connection has the turn."""
        return self._numbers.is_busy(self._account.unb)

    async def take(self) -> None:
        """Wait for the turn. Raises ``NumberTaken`` when another shop was let in meanwhile."""
        await self._numbers.begin(self._account.unb)
        self._taken = True
        if self._numbers.is_taken(self._account):
            raise NumberTaken(f"the number of {self._account.id} is another shop's")

    def give_back(self) -> None:
        """End the turn, if it was taken."""
        if self._taken:
            self._taken = False
            self._numbers.end(self._account.unb)

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[None]:
        """Let others try while this connection only waits; who holds the number lends it to nobody."""
        if self._numbers.holders.get(self._account.unb) == self._account.id:
            yield
            return
        self.give_back()
        yield
        await self.take()
