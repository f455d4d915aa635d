"""One FIFO lock per account: whose turn it is, for how long already, and how long anybody may wait for it."""

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
"""Who has a turn for longer than this is worth a word."""


Refusal = Callable[[], ShoalError]
"""Makes the error that those hear who shall not wait for a turn."""


@dataclass(slots=True, eq=False)
class _Wait:
    """Somebody who waits for a turn: until when, and what ended the wait before that."""

    limit: asyncio.Timeout
    refusal: Refusal | None = None


@dataclass(slots=True, eq=False)
class _Turns:
    """The lock of one account. It lives as long as anybody holds it or waits for it, and no longer."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0
    holder: Hold | None = None
    waits: set[_Wait] = field(default_factory=set)
    refusal: Refusal | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class LockStats:
    """What the locks have been doing since start. Seconds are sums unless named otherwise."""

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
    """A turn that was given. ``release`` ends it; ending it twice is harmless."""

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
        """How long the turn has lasted."""
        return time.monotonic() - self.since

    def release(self) -> None:
        """Let the next one in."""
        if not self._released:
            self._released = True
            self._warning.cancel()
            self._leave(self)

    def refuse_others(self, refusal: Refusal) -> None:
        """Let nobody wait for the end of this turn: it comes when what ``refusal`` tells of is over."""
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
    """The map of locks. It never breaks a lock: the database's own deadline ends every hold."""

    def __init__(self, *, wait_seconds: float = 30.0, slow_seconds: float = SLOW_SECONDS) -> None:
        self._wait_seconds = wait_seconds
        self._slow_seconds = slow_seconds
        self._turns: dict[str, _Turns] = {}
        self._acquired = self._timeouts = 0
        self._wait_total = self._hold_total = self._longest_wait = self._longest_hold = 0.0

    async def acquire(self, account_id: str, operation: str, *, wait_seconds: float | None = None) -> Hold:
        """Wait for the account's turn, first come first served.

        Raises ``LockTimeout`` (nothing was touched) when it does not come within the limit; the limit covers only the
        wait, never the work that follows. Raises what its holder said at once, if that refuses others.
        """
        turns = self._turns.setdefault(account_id, _Turns())
        if turns.refusal is not None:
            raise turns.refusal()
        turns.users += 1
        began = time.monotonic()
        wait = _Wait(asyncio.timeout(self._wait_seconds if wait_seconds is None else wait_seconds))
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
        """Who has the account's turn now."""
        turns = self._turns.get(account_id)
        return None if turns is None else turns.holder

    def figures(self) -> LockStats:
        """What to show of the locks now."""
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
