"""One FIFO lock per account, with the time of each hold and a limit for each wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter

import structlog

from shoal.errors import LockTimeout, ShoalError

log = structlog.get_logger("shoal.locks")

SLOW_SECONDS = 5.0
"""A lock that is held longer than this is logged."""


Refusal = Callable[[], ShoalError]
"""Creates the error for callers who should not wait for the lock."""


@dataclass(slots=True, eq=False)
class _Wait:
    """A waiting caller: the deadline, and the error that ended the wait before it."""

    limit: asyncio.Timeout
    refusal: Refusal | None = None


@dataclass(slots=True, eq=False)
class _Turns:
    """The lock of one account. It exists only while it is held or waited for."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0
    holder: Hold | None = None
    waits: set[_Wait] = field(default_factory=set)
    refusal: Refusal | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class LockStats:
    """Statistics of the locks since start. Seconds are sums unless named otherwise."""

    held: int
    waiting: int
    acquired_total: int
    timeouts_total: int
    wait_seconds_total: float
    hold_seconds_total: float
    longest_wait_seconds: float
    longest_hold_seconds: float
    oldest_account: str
    oldest_operation: str
    oldest_held_seconds: float


class Hold:
    """A held lock. ``release`` ends the hold; a second ``release`` does nothing."""

    def __init__(
        self,
        account_id: str,
        operation: str,
        *,
        leave: Callable[[Hold], None],
        refuse: Callable[[Refusal], None],
        slow_seconds: float,
    ) -> None:
        self._leave = leave
        self._refuse = refuse
        self._released = False
        self.account_id = account_id
        self.operation = operation
        self.since = time.monotonic()
        self._warning = asyncio.get_running_loop().call_later(slow_seconds, self._warn)

    @property
    def held_seconds(self) -> float:
        """How long the lock has been held."""
        return time.monotonic() - self.since

    def release(self) -> None:
        """Let the next caller in."""
        if not self._released:
            self._released = True
            self._warning.cancel()
            self._leave(self)

    def refuse_others(self, refusal: Refusal) -> None:
        """Refuse all callers who wait for this lock, until it is released: its end depends on what ``refusal`` says."""
        if not self._released:
            self._refuse(refusal)

    def _warn(self) -> None:
        log.warning(
            "account lock held long",
            account=self.account_id,
            operation=self.operation,
            held_seconds=round(self.held_seconds, 1),
        )


class AccountLocks:
    """The locks of all accounts. A hold is never interrupted: the deadline of the database ends each hold."""

    def __init__(self, *, wait_seconds: float = 30.0, slow_seconds: float = SLOW_SECONDS) -> None:
        self._wait_seconds = wait_seconds
        self._slow_seconds = slow_seconds
        self._turns: dict[str, _Turns] = {}
        self._acquired = self._timeouts = 0
        self._wait_total = self._hold_total = self._longest_wait = self._longest_hold = 0.0

    async def acquire(self, account_id: str, operation: str, *, wait_seconds: float | None = None) -> Hold:
        """Wait for the account's lock, first come first served.

        Raises ``LockTimeout`` (nothing was changed) when it is not free within the limit; the limit covers only the
        wait, not the work that follows. Raises the holder's refusal at once, if it refuses others.
        """
        turns = self._turns.setdefault(account_id, _Turns())
        if turns.refusal is not None:
            raise turns.refusal()
        turns.users += 1
        began = time.monotonic()
        if turns.users == 1:
            await turns.lock.acquire()  # it is free: this does not wait
        else:
            await self._wait(account_id, turns, self._wait_seconds if wait_seconds is None else wait_seconds)
        waited = time.monotonic() - began
        self._acquired += 1
        self._wait_total += waited
        self._longest_wait = max(self._longest_wait, waited)
        turns.holder = Hold(
            account_id,
            operation,
            leave=partial(self._leave, turns),
            refuse=partial(self._refuse, turns),
            slow_seconds=self._slow_seconds,
        )
        return turns.holder

    async def _wait(self, account_id: str, turns: _Turns, seconds: float) -> None:
        wait = _Wait(asyncio.timeout(seconds))
        try:
            async with wait.limit:
                turns.waits.add(wait)
                await turns.lock.acquire()
        except BaseException as error:
            holder = turns.holder
            self._forget(account_id, turns)
            if isinstance(error, TimeoutError) and wait.refusal is not None:
                raise wait.refusal() from None
            if isinstance(error, TimeoutError):
                self._timeouts += 1
                raise LockTimeout(
                    f"{account_id} is busy",
                    operation=holder.operation if holder else "",
                    held_seconds=round(holder.held_seconds, 1) if holder else 0.0,
                ) from None
            raise
        finally:
            turns.waits.discard(wait)

    @staticmethod
    def _refuse(turns: _Turns, refusal: Refusal) -> None:
        now = asyncio.get_running_loop().time()
        turns.refusal = refusal
        for wait in turns.waits:
            if not wait.limit.expired():
                wait.refusal = refusal
                wait.limit.reschedule(now)

    def _leave(self, turns: _Turns, hold: Hold) -> None:
        self._hold_total += hold.held_seconds
        self._longest_hold = max(self._longest_hold, hold.held_seconds)
        turns.holder = turns.refusal = None
        turns.lock.release()
        self._forget(hold.account_id, turns)

    def _forget(self, account_id: str, turns: _Turns) -> None:
        turns.users -= 1
        if turns.users == 0:
            del self._turns[account_id]

    def __len__(self) -> int:
        return len(self._turns)

    def holder(self, account_id: str) -> Hold | None:
        """Return the current hold of the account's lock."""
        turns = self._turns.get(account_id)
        return None if turns is None else turns.holder

    def figures(self) -> LockStats:
        """Return what can be shown of the locks now."""
        holders: list[Hold] = [turns.holder for turns in self._turns.values() if turns.holder is not None]

        oldest = min(holders, key=attrgetter("since"), default=None)
        return LockStats(
            held=len(holders),
            waiting=sum(turns.users for turns in self._turns.values()) - len(holders),
            acquired_total=self._acquired,
            timeouts_total=self._timeouts,
            wait_seconds_total=round(self._wait_total, 3),
            hold_seconds_total=round(self._hold_total, 3),
            longest_wait_seconds=round(self._longest_wait, 3),
            longest_hold_seconds=round(self._longest_hold, 3),
            oldest_account=oldest.account_id if oldest else "",
            oldest_operation=oldest.operation if oldest else "",
            oldest_held_seconds=round(oldest.held_seconds, 3) if oldest else 0.0,
        )
