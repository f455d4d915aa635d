"""Seller numbers: which account holds each, and which account may connect with a number that no account holds.

A cookie names its seller's number, and anyone can write one. So two accounts may have the same number, but at most one
connects. The account that the site accepts first holds the number. This is stored, and stays while the account is
disabled or parked, until it is deleted or an administrator frees the number. Until then the other accounts with that
number do not contact the site.
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
    """The stored holders, and the turns of accounts that try to connect. Lives on one event loop."""

    def __init__(self, store: AccountStore, changed: Callable[[str], None], *, is_shared: bool = False) -> None:
        """``changed`` is called with each number whose holder changed. ``is_shared``: other nodes change them too."""
        self._store = store
        self._is_shared = is_shared
        self._changed = changed
        self._holders: dict[str, str] = {}
        self._held: dict[str, str] = {}
        """The number that each account holds."""
        self._turns: dict[str, deque[asyncio.Future[None]] | None] = {}
        """The numbers with which an account connects or is connected, and the accounts that wait for its end."""
        self._reading = asyncio.Lock()
        self._changed_since: set[str] = set()
        """The numbers whose holder changed while the holders are read."""
        self.holders: Mapping[str, str] = MappingProxyType(self._holders)

    async def load(self) -> None:
        """Read all holders. Raises ``StoreError``."""
        async with self._reading:
            self._changed_since.clear()
            stored = await self._store.number_holders()
            changed = frozenset(self._changed_since)  # their values here are newer
            for number in {*self._holders, *stored} - changed:
                self._put(number, stored.get(number))

    async def look(self, *numbers: str) -> None:
        """Read who holds these numbers now, where another node may have changed that. Raises ``StoreError``."""
        if self._is_shared and numbers:
            async with self._reading:
                self._changed_since.difference_update(numbers)
                stored = await self._store.number_holders(*numbers)
                for number in frozenset(numbers) - self._changed_since:
                    self._put(number, stored.get(number))

    def is_taken(self, account: Account) -> bool:
        """Return whether another account holds the account's number."""
        return self._holders.get(account.unb, account.id) != account.id

    async def hold(self, account: Account) -> None:
        """Let the account hold its number, unless another does: the site accepted it.

        Raises ``NumberTaken``; ``StoreError`` when it cannot be stored; ``TemporaryFailure`` when the account is
        deleted.
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
        """Take the number from this holder, if it still holds it. Raises ``StoreError``."""
        await self._store.free_number(number, holder)
        if self._holders.get(number) == holder:
            self._put(number, None)

    def forget(self, account_id: str) -> None:
        """Free the number of a deleted account, whose rows are deleted too."""
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
        """Return the turn of one connection of the account, not taken yet."""
        return NumberTurn(self, account)

    def is_busy(self, number: str) -> bool:
        """Return whether an account connects with the number, or is connected."""
        return number in self._turns

    async def begin(self, number: str) -> None:
        """Wait until no account connects with the number, first come first served."""
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
                with suppress(ValueError):  # skipped at this moment
                    waiting.remove(turn)
            else:  # the turn had come, and its caller was cancelled
                self.end(number)
            raise

    def end(self, number: str) -> None:
        """Let the next account connect with the number."""
        waiting = self._turns[number]
        while waiting:
            turn = waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        del self._turns[number]


class NumberTurn:
    """One connection's turn with its number: taken before the first contact with the site, kept until the end."""

    def __init__(self, numbers: SellerNumbers, account: Account) -> None:
        self._numbers = numbers
        self._account = account
        self._taken = False

    def must_wait(self) -> bool:
        """Return whether another connection has the turn."""
        return self._numbers.is_busy(self._account.unb)

    async def take(self) -> None:
        """Wait for the turn. Raises ``NumberTaken`` when the site accepted another account in the meantime."""
        await self._numbers.begin(self._account.unb)
        self._taken = True
        await self._numbers.look(self._account.unb)
        if self._numbers.is_taken(self._account):
            raise NumberTaken(f"the number of {self._account.id} is another shop's")

    def give_back(self) -> None:
        """End the turn, if it was taken."""
        if self._taken:
            self._taken = False
            self._numbers.end(self._account.unb)

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[None]:
        """Let others try while this connection only waits. The holder of the number does not lend it."""
        if self._numbers.holders.get(self._account.unb) == self._account.id:
            yield
            return
        self.give_back()
        yield
        await self.take()
