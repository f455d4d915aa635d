"""One FIFO lock per account, with the time of each hold and a limit for each wait."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from operator import attrgetter
from types import TracebackType

import structlog

from shoal.errors import LockTimeout, ShoalError

log = structlog.get_logger("shoal.locks")

SLOW_SECONDS = 5.0
"""A lock that is held longer than this is logged."""

Refusal = Callable[[], ShoalError]
"""Creates the error for callers who should not wait for the lock."""


class Hold:
    """A held lock. ``release`` ends the hold; a second ``release`` does nothing.

    As a context it releases the lock if its block fails.
    """

    __slots__ = ("_locks", "account_id", "operation", "refusal", "since", "slow_at", "waits")

    def __init__(
        self, locks: AccountLocks, account_id: str, operation: str, waits: deque[_Wait], slow_at: float
    ) -> None:
        """``waits``: who waits for the lock, in order. ``slow_at``: when it is held long, by the loop's clock."""
        self._locks: AccountLocks | None = locks
        self.account_id = account_id
        self.operation = operation
        self.since = time.monotonic()
        self.waits = waits
        self.refusal: Refusal | None = None
        self.slow_at = slow_at

    @property
    def held_seconds(self) -> float:
        """How long the lock has been held."""
        return time.monotonic() - self.since

    def release(self) -> None:
        """Let the next caller in."""
        if self._locks is not None:
            locks, self._locks = self._locks, None
            locks.leave(self)

    def refuse_others(self, refusal: Refusal) -> None:
        """Refuse all callers who wait for this lock, until it is released: its end depends on what ``refusal`` says."""
        if self._locks is not None:
            self.refusal = refusal
            for wait in self.waits:
                if not wait.turn.done():
                    wait.turn.set_exception(refusal())

    def __enter__(self) -> Hold:
        return self

    def __exit__(self, kind: object, error: BaseException | None, place: TracebackType | None) -> None:
        if error is not None:
            self.release()


@dataclass(slots=True, eq=False)
class _Wait:
    """A waiting caller."""

    operation: str
    began: float
    turn: asyncio.Future[Hold]


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


class AccountLocks:
    """The locks of all accounts. A hold is never interrupted: the deadline of the database ends each hold."""

    def __init__(self, *, wait_seconds: float = 30.0, slow_seconds: float = SLOW_SECONDS) -> None:
        self._wait_seconds = wait_seconds
        self._slow_seconds = slow_seconds
        self._holds: dict[str, Hold] = {}
        self._watch: asyncio.TimerHandle | None = None
        self._acquired = self._timeouts = 0
        self._wait_total = self._hold_total = self._longest_wait = self._longest_hold = 0.0

    async def acquire(self, account_id: str, operation: str, *, wait_seconds: float | None = None) -> Hold:
        """Wait for the account's lock, first come first served.

        Raises ``LockTimeout`` (nothing was changed) when it is not free within the limit; the limit covers only the
        wait, not the work that follows. Raises the holder's refusal at once, if it refuses others.
        """
        holder = self._holds.get(account_id)
        if holder is None:
            return self._enter(account_id, operation, deque(), 0.0)
        if holder.refusal is not None:
            raise holder.refusal()
        loop = asyncio.get_running_loop()
        wait = _Wait(operation, time.monotonic(), loop.create_future())
        holder.waits.append(wait)
        limit = loop.call_later(
            self._wait_seconds if wait_seconds is None else wait_seconds, self._time_out, account_id, wait
        )
        try:
            return await wait.turn
        except BaseException:
            if wait.turn.done() and not wait.turn.cancelled() and wait.turn.exception() is None:
                wait.turn.result().release()  # its caller left at the moment of its turn
            elif wait in holder.waits:
                holder.waits.remove(wait)
            raise
        finally:
            limit.cancel()

    def _enter(self, account_id: str, operation: str, waits: deque[_Wait], waited: float) -> Hold:
        self._acquired += 1
        self._wait_total += waited
        self._longest_wait = max(self._longest_wait, waited)
        loop = asyncio.get_running_loop()
        slow_at = loop.time() + self._slow_seconds
        hold = self._holds[account_id] = Hold(self, account_id, operation, waits, slow_at)
        if self._watch is None:
            self._watch = loop.call_at(slow_at, self._look, loop)
        return hold

    def leave(self, hold: Hold) -> None:
        """End a hold: the next caller holds the lock at once."""
        held = hold.held_seconds
        self._hold_total += held
        self._longest_hold = max(self._longest_hold, held)
        while hold.waits:
            wait = hold.waits.popleft()
            if not wait.turn.done():
                waited = time.monotonic() - wait.began
                wait.turn.set_result(self._enter(hold.account_id, wait.operation, hold.waits, waited))
                return
        del self._holds[hold.account_id]

    def _time_out(self, account_id: str, wait: _Wait) -> None:
        if not wait.turn.done():
            self._timeouts += 1
            holder = self._holds[account_id]
            held = round(holder.held_seconds, 1)
            wait.turn.set_exception(LockTimeout(f"{account_id} is busy", operation=holder.operation, held_seconds=held))

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Log which locks are held long, each once; look again when the next one could be."""
        now = loop.time()
        for hold in self._holds.values():
            if hold.slow_at <= now:
                hold.slow_at = inf
                held = round(hold.held_seconds, 1)
                log.warning(
                    "account lock held long", account=hold.account_id, operation=hold.operation, held_seconds=held
                )
        due = min((hold.slow_at for hold in self._holds.values()), default=inf)
        self._watch = loop.call_at(due, self._look, loop) if due < inf else None

    def __len__(self) -> int:
        return len(self._holds)

    def holder(self, account_id: str) -> Hold | None:
        """Return the current hold of the account's lock."""
        return self._holds.get(account_id)

    def figures(self) -> LockStats:
        """Return what can be shown of the locks now."""
        oldest = min(self._holds.values(), key=attrgetter("since"), default=None)
        return LockStats(
            held=len(self._holds),
            waiting=sum(len(hold.waits) for hold in self._holds.values()),
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
