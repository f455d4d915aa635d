"""The owner of one account's running connection: compares the desired with the actual state, acts, and reports.

Level-triggered: ``wake`` only requests a comparison. The snapshot that is published at that moment decides, so lost,
doubled or reordered wake-ups do no harm. There is never more than one connection: a new one starts only after the old
one has really ended, however long that takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from random import Random
from typing import Any, Protocol

import msgspec
import structlog

from shoal.accounts.account import Account, AccountState, Observation, ParkReason, RunKey
from shoal.accounts.backoff import Backoff, BackoffLimits
from shoal.accounts.observed_state import ObservedState, Report, is_of_the_site, storable
from shoal.accounts.ownership import Fence, carry_fence
from shoal.accounts.seller_numbers import NumberTurn, SellerNumbers
from shoal.clock import now_ms
from shoal.concurrency.fair_limiter import StartLimiters, Turns
from shoal.errors import ActionRequired, ComeBackLater, CommitUnknown, NotApplied, NumberTaken, ShoalError

log = structlog.get_logger("shoal.task")

FAILURES_THAT_MAKE_LATE = 2
"""After this many failed attempts in a row, the next attempts queue behind the owner's other accounts."""


class Connect(Protocol):
    """Runs one connection until it ends.

    Raises ``ActionRequired`` when the owner must act, any other error when another attempt may help. A return is a
    regular end: the account connects again.
    """

    async def __call__(self, account: Account, link: Link) -> None:
        """Connect, register, and stay connected."""


class TaskDeps(msgspec.Struct, frozen=True, kw_only=True):
    """What the tasks of all accounts share."""

    connect: Connect
    published: Callable[[str], Account | None]
    owns: Callable[[str], bool]
    fence: Callable[[str], Fence | None]
    report: Report
    kept_out: Callable[[str], None]
    """Called when the site refused an account for a reason that is not the account's own."""
    got_in: Callable[[str], None]
    """Called when the site accepts an account that it had refused."""
    numbers: SellerNumbers
    limiters: StartLimiters
    backoff: BackoffLimits
    rng: Random


class Link:
    """The interface of a connection to the task that owns it."""

    def __init__(self, task: AccountTask, turn: NumberTurn) -> None:
        self._task = task
        self._turn = turn
        self._closed = False

    def current(self) -> Account | None:
        """The published snapshot at this moment: the only source of rules and switches."""
        return self._task.published()

    def allows(self) -> bool:
        """The check before every outgoing frame: still enabled, still ours, still this connection."""
        return not self._closed and self._task.allows(self)

    def running(self) -> None:
        """Report that the connection is registered and a heartbeat was answered."""
        if not self._closed:
            self._task.link_running(self)

    def received(self, *, message: bool = False) -> None:
        """Report that the site answered a heartbeat or sent a message."""
        if not self._closed:
            self._task.observed.note_received(message=message)

    @property
    def knows_seller(self) -> bool:
        """Whether the seller's name was received from the site."""
        return bool(self._task.observation.seller_name)

    def named(self, name: str, picture: str) -> None:
        """Report what the site calls the seller, and the address of the seller's picture."""
        if not self._closed:
            self._task.observed.named(name, picture)

    @property
    def keeps_failing(self) -> bool:
        """Whether the last attempts failed, so that this one queues behind other accounts of its owner."""
        return self._task.keeps_failing

    async def hold_number(self) -> None:
        """Hold the seller's number for this account: the site accepted it.

        Raises ``NumberTaken`` when another account holds it, and ``StoreError``.
        """
        await self._task.hold_number(self)

    def lending_number(self) -> AbstractAsyncContextManager[None]:
        """Let other accounts with the same number connect during a wait that may take long.

        Afterwards raises ``NumberTaken`` when one of them was accepted.
        """
        return self._turn.lent()

    def close(self) -> None:
        """Refuse all further outgoing frames."""
        self._closed = True


class AccountTask:
    """One account's connection and everything known about it. Lives on one event loop."""

    def __init__(self, account_id: str, deps: TaskDeps, seen: Observation | None = None) -> None:
        self.account_id = account_id
        self._deps = deps
        self._loop = asyncio.get_running_loop()
        self._backoff = Backoff(deps.backoff, deps.rng)
        self._connection: asyncio.Task[None] | None = None
        self._link: Link | None = None
        self._running_for: RunKey | None = None
        self._failed_for: RunKey | None = None
        self._would_park_for: tuple[int, int] | None = None
        self._next_attempt_at: float | None = None
        self._connected_at: float | None = None
        self._failures_in_a_row = 0
        self._stopping = self._ran_before = self._closed = self._at_the_limiter = self._kept_out = False
        self._wake_up: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._waiters: set[asyncio.Future[None]] = set()
        self.observed = ObservedState(account_id, seen, deps.report)

    @property
    def observation(self) -> Observation:
        """The observed state."""
        return self.observed.now

    def published(self) -> Account | None:
        """The desired state, as committed."""
        return self._deps.published(self.account_id)

    @property
    def alive(self) -> bool:
        """Whether a connection exists, in any condition."""
        return self._connection is not None

    @property
    def keeps_failing(self) -> bool:
        """Whether all recent attempts with this cookie and this proxy failed."""
        return self._failures_in_a_row >= FAILURES_THAT_MAKE_LATE

    def allows(self, link: Link) -> bool:
        """Whether a frame of this link may be sent now."""
        account = self.published()
        return (
            account is not None
            and account.enabled
            and link is self._link
            and not self._stopping
            and account.run_key == self._running_for
            and self._deps.owns(self.account_id)
            and not self._deps.numbers.is_taken(account)
        )

    def is_parked(self, account: Account) -> bool:
        """Whether the owner must act before this account may run again."""
        return self.observation.parked_for == account.park_key

    def wake(self, *, skip_backoff: bool = False) -> None:
        """Compare again soon. Many calls cause one comparison."""
        if skip_backoff:
            self._next_attempt_at = None
        if self._wake_up is None and not self._closed:
            self._wake_up = self._loop.call_soon(self._reconcile)

    def follow(self) -> bool:
        """Try again now if the account waits because the site refused it. Return whether it does."""
        waits = self._kept_out and self._connection is None and self._next_attempt_at is not None
        if waits:
            self.wake(skip_backoff=True)
        return waits

    async def settled(self, timeout_seconds: float) -> Observation:
        """Wait until the account neither starts nor stops, at most this long, and return its state."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                # The state is not up to date while a comparison is due, or a start has not asked for its turn yet.
                while self._wake_up or (self.alive and not self._at_the_limiter) or not self.observation.state.settled:
                    await self._next_change()
        return self.observation

    async def ended(self) -> None:
        """Wait until no connection is left, however long that takes."""
        while self._wake_up is not None or self.alive:
            await self._next_change()

    async def close(self, timeout_seconds: float) -> bool:
        """End the connection permanently. Return whether it ended in time. The published snapshot stays as it is."""
        self._closed = True
        for handle in (self._wake_up, self._timer):
            if handle is not None:
                handle.cancel()
        self._wake_up = self._timer = None
        self._stop_connection()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self.ended()
        return not self.alive

    async def _next_change(self) -> None:
        waiter = self._loop.create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)

    def _notify(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    # -- desired against actual ----------------------------------------------------------------------------------

    def _reconcile(self) -> None:
        self._wake_up = None
        account = self.published()
        rest = self._rest_state(account)
        if self._connection is not None:
            if rest is not None or account is None or self._running_for != account.run_key:
                self._stop_connection()
            self.observed.saw(account)
        elif rest is not None or account is None:
            self._rest(rest or AccountState.STOPPED, account)
        else:
            self._start_when_due(account)
        self._notify()

    def _rest_state(self, account: Account | None) -> AccountState | None:
        """Return the state in which nothing should run, or ``None`` when a connection is wanted."""
        if account is None or not account.enabled:
            return AccountState.STOPPED
        if not self._deps.owns(self.account_id):
            return AccountState.ELSEWHERE
        if self._deps.numbers.is_taken(account) or self.is_parked(account):
            return AccountState.PARKED
        return None

    def _rest(self, state: AccountState, account: Account | None) -> None:
        self._cancel_timer()
        self._next_attempt_at = None
        reason = ""
        if state is AccountState.PARKED and account is not None:
            taken = self._deps.numbers.is_taken(account)
            reason = ParkReason.NUMBER_TAKEN if taken else self.observation.parked_reason
        detail = self.observation.detail if state is self.observation.state else ""
        self._transition(state, account, reason=reason, detail=detail)

    def _start_when_due(self, account: Account) -> None:
        if self._failed_for is not None and self._failed_for != account.run_key:
            self._next_attempt_at = None
            self._backoff.forget()
        due_in = 0.0 if self._next_attempt_at is None else self._next_attempt_at - self._loop.time()
        self._cancel_timer()
        if due_in > 0:
            self._timer = self._loop.call_later(due_in, self.wake)
            self.observed.saw(account)
        else:
            self._start(account)

    def _start(self, account: Account) -> None:
        limiter = self._deps.limiters.again if self._ran_before else self._deps.limiters.first
        self.observed.unpark()
        self._next_attempt_at = self._connected_at = None
        self._stopping = False
        if self._running_for is not None and self._running_for[1:] != account.run_key[1:]:
            self._failures_in_a_row = 0  # another cookie, proxy or browser deserves a new attempt
        self._running_for, self._would_park_for = account.run_key, account.park_key
        turn = self._deps.numbers.turn(account)
        link = self._link = Link(self, turn)
        self._at_the_limiter = False
        self._connection = self._loop.create_task(
            self._attempt(account, link, limiter, turn), name=f"connection:{self.account_id}"
        )
        self._connection.add_done_callback(self._connection_ended)

    async def _attempt(self, account: Account, link: Link, limiter: Turns, turn: NumberTurn) -> None:
        carry_fence(self._deps.fence(self.account_id))  # for all that this connection writes, and starts
        try:
            # Checked here, in the order of the turns: otherwise a thousand accounts would all see the same free number.
            self._at_the_limiter = True
            waits = not limiter.has_room(account.proxy) or turn.must_wait()
            self._transition(AccountState.WAITING if waits else AccountState.STARTING, account)
            await limiter.acquire(account.owner_id, late=self.keeps_failing, address=account.proxy)
            if turn.must_wait() and not waits:
                waits = True
                self._transition(AccountState.WAITING, self.published())
            await turn.take()
            if waits:
                self._transition(AccountState.STARTING, self.published())
            await self._deps.connect(account, link)
        finally:
            link.close()
            turn.give_back()

    def _stop_connection(self) -> None:
        if self._connection is None or self._stopping:
            return
        self._stopping = True
        self._transition(AccountState.STOPPING, self.published())
        self._connection.cancel()

    # -- what the connection reports -----------------------------------------------------------------------------

    def link_running(self, link: Link) -> None:
        """Record that the connection is registered and its heartbeat was answered."""
        if link is self._link and not self._stopping and self.observation.state is not AccountState.RUNNING:
            self._connected_at = self._loop.time()
            self._failures_in_a_row = 0
            self._ran_before = True
            if self._kept_out:
                self._kept_out = False
                self._deps.got_in(self.account_id)
            self._transition(AccountState.RUNNING, self.published(), connected_at_ms=now_ms())

    async def hold_number(self, link: Link) -> None:
        """Hold the seller's number for the account of that link."""
        if (account := self.published()) is not None and link is self._link:
            await self._deps.numbers.hold(account)

    def _connection_ended(self, connection: asyncio.Task[None]) -> None:
        self._connection = self._link = None
        error = None if connection.cancelled() else connection.exception()
        stopped_by_us = self._stopping
        if (
            self._connected_at is None
            and not is_of_the_site(error)
            and not isinstance(error, NumberTaken)
            and (isinstance(error, ActionRequired) or not stopped_by_us)
        ):
            self._failures_in_a_row += 1
        if isinstance(error, ActionRequired):  # also while stopping: only the owner can end this, so do not retry
            self.observed.park(self._would_park_for, error)
        elif stopped_by_us or isinstance(error, NumberTaken):
            if error is not None and not isinstance(error, ShoalError):
                log.error("connection broke while stopping", account=self.account_id, exc_info=error)
        else:
            self._failed(error)
        if self._closed:
            self._transition(AccountState.STOPPED, self.published())
            self._notify()
        else:
            self._reconcile()

    def _failed(self, error: BaseException | None) -> None:
        ran = 0.0 if self._connected_at is None else self._loop.time() - self._connected_at
        self._kept_out = is_of_the_site(error)
        wait = self._backoff.failed(
            self._loop.time(),
            ran_seconds=ran,
            patient=isinstance(error, ComeBackLater),
            outside=isinstance(error, NotApplied | CommitUnknown)
            or (self._kept_out and self._connected_at is not None),
        )
        self._failed_for = self._running_for
        if self._kept_out:
            self._deps.kept_out(self.account_id)
        self._next_attempt_at = self._loop.time() + wait
        known = isinstance(error, ShoalError)
        reason = error.code if isinstance(error, ShoalError) else ("connection_ended" if error is None else "crashed")
        detail = storable(str(error)) if known else ("" if error is None else type(error).__name__)
        if error is not None and not known:
            log.error("connection crashed", account=self.account_id, exc_info=error)
        at = now_ms() + round(wait * 1000)
        self._transition(AccountState.RETRYING, self.published(), reason=reason, detail=detail, next_attempt_at_ms=at)

    # -- reporting -----------------------------------------------------------------------------------------------

    def _transition(self, state: AccountState, account: Account | None, **facts: Any) -> None:
        """Change the state. No other method does."""
        self.observed.moved(state, account, crash_loop=self._backoff.crash_loop, **facts)
        self._notify()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
