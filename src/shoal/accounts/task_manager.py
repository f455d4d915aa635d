"""The task manager: one ``AccountTask`` per account; stores and publishes observations, and purges deleted accounts."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from types import MappingProxyType

import structlog

from shoal.accounts.account import Account, Observation, StateMove
from shoal.accounts.account_task import AccountTask, Connect, TaskDeps
from shoal.accounts.backoff import BackoffLimits
from shoal.accounts.events import AccountStateChanged, EventBus
from shoal.accounts.ownership import LocalOwnership, Ownership
from shoal.accounts.published import PublishedAccounts
from shoal.accounts.seller_numbers import SellerNumbers
from shoal.accounts.state_history import StateHistory
from shoal.accounts.store import AccountStore
from shoal.clock import now_ms
from shoal.concurrency.fair_limiter import StartLimiters
from shoal.config import Settings
from shoal.errors import StoreError, UnknownAccount

log = structlog.get_logger("shoal.tasks")

FOLLOWERS = 4
"""How many accounts retry for each one that the site accepts after an outage, so that a weak site is not overloaded."""

GATHER_SECONDS = 0.25
"""How long observations are gathered before they are stored together. A park record is stored at once: if a kill lost
it, the next start would ask the site again."""
ASKED_AGAIN_SECONDS = 1.0
"""How often a purge asks whether the account is owned here."""
STARTED_AT_ONCE = 100
"""How many accounts begin to start at one turn of the loop: it takes some 10 ms, and requests are answered between."""
GROUP_ACCOUNTS = 250
"""How many accounts' observations are stored in one transaction: it takes some 10 ms, and changes of owners wait for
no more than one."""
LAST_WRITE_WAITS_SECONDS = (0.1, 0.5)
"""The waits before the second and the third attempt to store the last observations."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Group:
    """What is stored together: observations, and the moves of the same accounts."""

    seen: dict[str, Observation]
    moves: list[StateMove]


class TaskManager:
    """Wakes tasks after changes; stores and publishes what they report."""

    def __init__(
        self,
        store: AccountStore,
        connect: Connect,
        settings: Settings,
        events: EventBus,
        published: PublishedAccounts,
        *,
        ownership: Ownership | None = None,
        rng: Random | None = None,
        backoff: BackoffLimits | None = None,
    ) -> None:
        self._store = store
        self._events = events
        self._published = published.accounts.get
        self._stop_wait_seconds = settings.stop_wait_seconds
        self._resync_seconds = settings.resync_seconds
        self._tasks: dict[str, AccountTask] = {}
        self._vanishing: dict[str, asyncio.Task[None]] = {}
        self._dirty: dict[str, Observation] = {}
        self._kept_out: dict[str, None] = {}
        self._before: Mapping[str, Observation] = {}
        self._early: dict[str, None] = {}
        """The accounts that were to be woken before ``start``: the server takes changes while it starts."""
        self._history = StateHistory()
        self.moves = self._history.moves
        self._dirt = asyncio.Event()
        self._urgent = asyncio.Event()
        self._house: list[asyncio.Task[None]] = []
        self._started = self._closed = False
        self._of_number = published.of_number
        published.subscribe(self._follow_published)
        self.numbers = SellerNumbers(store, self._number_changed)
        self._deps = TaskDeps(
            connect=connect,
            published=self._published,
            owns=(ownership or LocalOwnership()).owns,
            report=self._report,
            numbers=self.numbers,
            kept_out=self._keep_out,
            got_in=self._follow,
            limiters=StartLimiters(
                first_per_second=settings.starts_per_second, again_per_second=settings.reconnects_per_second
            ),
            backoff=backoff or BackoffLimits(),
            rng=rng or Random(),  # noqa: S311  jitter, not a secret
        )
        self.tasks: Mapping[str, AccountTask] = MappingProxyType(self._tasks)
        self.reports = 0
        """Rises with each new observed state, also with facts of it that readers are not told."""

    def load(self, seen: Mapping[str, Observation]) -> None:
        """Take over the observations from before the restart. No account is started before ``start``."""
        self._before = seen
        self._tasks.update({name: AccountTask(name, self._deps, observed) for name, observed in seen.items()})

    async def start(self) -> None:
        """Start the background tasks, and wake every loaded account, some at each turn of the loop."""
        self._started = True
        seen, self._before = self._before, {}
        self._history.begin(seen, {name: self._is_wanted(name) for name in seen})
        self._dirt.set()  # what a crash left to be recorded waits for no new state
        self._house = [
            asyncio.create_task(self._keep_observations(), name="observations"),
            asyncio.create_task(self._resync(), name="resync"),
        ]
        for number, account_id in enumerate({**dict.fromkeys(seen), **self._early}, start=1):
            if account_id in self._tasks or self._published(account_id) is not None:  # else it was purged since
                self.wake(account_id)
            if number % STARTED_AT_ONCE == 0:
                await asyncio.sleep(0)

    async def close(self) -> None:
        """End every connection (at most the stop wait) and store the last observations."""
        self._closed = True
        tasks = dict(self._tasks)  # a purge that ends now removes its task from the original
        ended = await asyncio.gather(*(task.close(self._stop_wait_seconds) for task in tasks.values()))
        for account_id, in_time in zip(tasks, ended, strict=True):
            if not in_time:
                log.warning("connection did not end in time", account=account_id)
        owned = [*self._house, *self._vanishing.values()]
        for task in owned:
            task.cancel()
        await asyncio.gather(*owned, return_exceptions=True)
        self._end_history()
        await self._store_last()

    async def _store_last(self) -> None:
        """Store the last observations: a park record that is lost here would be tried again at the next start."""
        groups = self._gathered()
        for wait in (*LAST_WRITE_WAITS_SECONDS, None):
            try:
                await self._store_groups(groups)
            except StoreError as error:
                accounts = sum(len(group.seen) for group in groups)
                log.warning("last observations not stored", why=error.code, accounts=accounts, again=wait)
                if wait is not None:
                    await asyncio.sleep(wait)
            else:
                return

    def _end_history(self) -> None:
        """Record for every account that was not at rest that it stopped with the server."""
        for account_id, task in self._tasks.items():
            account = self._published(account_id)
            move = self._history.end(account, now_ms()) if account is not None else None
            if move is not None:
                self._dirty[account_id] = task.observation.evolve(state=move.state, reason=move.reason)

    def _is_wanted(self, account_id: str) -> bool:
        account = self._published(account_id)
        return account is not None and account.enabled

    def task(self, account_id: str) -> AccountTask:
        """Return the account's task; create it if needed."""
        task = self._tasks.get(account_id)
        if task is None:
            task = self._tasks[account_id] = AccountTask(account_id, self._deps)
        return task

    def wake(self, account_id: str, *, skip_backoff: bool = False) -> None:
        """Let the account's task read the published snapshot and act on it."""
        if not self._started:
            self._early[account_id] = None
        elif not self._closed:
            self.task(account_id).wake(skip_backoff=skip_backoff)

    def is_parked(self, account: Account) -> bool:
        """Return whether the owner must act before this account may run again."""
        return self.task(account.id).is_parked(account)

    def revive(self, account_id: str) -> None:
        """Wake the task at once, whatever it waits for; an account that was removed gets no new task."""
        if self._published(account_id) is not None:
            self.wake(account_id, skip_backoff=True)

    async def settled(self, account_id: str, within_seconds: float) -> Observation:
        """Give the account's task this long to start or stop. Return its state; it may be purged in the meantime."""
        task = self._tasks.get(account_id)
        if task is None:
            return Observation()
        return await task.settled(within_seconds) if within_seconds else task.observation

    def _follow_published(self, account_id: str, account: Account | None) -> None:
        if account is None:
            self.vanish(account_id)
        else:
            self.wake(account_id)

    def _keep_out(self, account_id: str) -> None:
        self._kept_out[account_id] = None

    def _follow(self, account_id: str) -> None:
        """Let a few of the refused accounts retry at once, because the site accepts accounts again. Their success lets
        more retry."""
        self._kept_out.pop(account_id, None)
        followers = 0
        while self._kept_out and followers < FOLLOWERS:
            other = next(iter(self._kept_out))
            del self._kept_out[other]
            task = self._tasks.get(other)
            followers += task is not None and task.follow()

    def wake_all(self) -> None:
        """Let every task compare again: this process may run other accounts now."""
        for account_id in list(self._tasks):
            self.wake(account_id)

    def _number_changed(self, number: str) -> None:
        """Let every account with that number compare again: it may start now, or must stop."""
        for account_id in self._of_number(number):
            self.wake(account_id)

    def is_vanishing(self, account_id: str) -> bool:
        """Return whether a deletion of that account is in progress."""
        return account_id in self._vanishing

    def vanish(self, account_id: str) -> None:
        """Stop a deleted account, then purge its rows. Continues after a restart."""
        if account_id not in self._vanishing and not self._closed:
            self.wake(account_id)
            self._vanishing[account_id] = asyncio.create_task(self._purge(account_id), name=f"purge:{account_id}")

    async def seen_off(self, account_id: str, *, within_seconds: float | None = None) -> bool:
        """Wait for the end of a deletion in progress, if there is one. Return whether it ended in time."""
        task = self._vanishing.get(account_id)
        if task is not None:
            await asyncio.wait({task}, timeout=within_seconds)
        return account_id not in self._vanishing

    async def _purge(self, account_id: str) -> None:
        await self.task(account_id).ended()
        while not self._deps.owns(account_id):  # noqa: ASYNC110  another machine may run it, and sees it off itself then
            await asyncio.sleep(ASKED_AGAIN_SECONDS)
        wait = 1.0
        while True:
            try:
                await self._store.purge(account_id)
                break
            except UnknownAccount:  # another machine purged it, and the id may already be in use again
                break
            except StoreError as error:
                log.warning("purge failed, trying again", account=account_id, why=error.code, wait_seconds=wait)
                await asyncio.sleep(wait)
                wait = min(60.0, wait * 2)
        self._tasks.pop(account_id, None)
        self._dirty.pop(account_id, None)
        self._kept_out.pop(account_id, None)
        self._history.forget(account_id)
        self.numbers.forget(account_id)
        del self._vanishing[account_id]
        log.info("account purged", account=account_id)

    def _report(self, account_id: str, observation: Observation, is_new: bool) -> None:
        self.reports += 1
        self._dirty[account_id] = observation
        self._dirt.set()
        if observation.parked_for is not None:  # in any state: it may be parked while it stops
            self._urgent.set()
        account, at_ms = self._published(account_id), now_ms()
        if account is not None and not self._closed:
            self._history.saw(account_id, observation, at_ms)
        if is_new and account is not None:
            event = AccountStateChanged(
                account_id=account_id, owner_id=account.owner_id, observation=observation, at_ms=at_ms
            )
            self._events.publish(event)

    async def _keep_observations(self) -> None:
        """Store observations as they come, many at a time, the latest of each account, with every move."""
        while True:
            await self._dirt.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(GATHER_SECONDS):
                    await self._urgent.wait()
            self._dirt.clear()
            self._urgent.clear()
            groups = self._gathered()
            try:
                await self._store_groups(groups)
            except StoreError as error:
                self._keep_for_later(groups)
                log.warning("observations not stored", why=error.code)
                await asyncio.sleep(1.0)
            except asyncio.CancelledError:  # the server closes, and the outcome of this write is unknown
                self._keep_for_later(groups)
                raise

    def _gathered(self) -> deque[_Group]:
        """Take what waits to be stored, in groups, each of which is one transaction. Park records come first."""
        seen, self._dirty = self._dirty, {}
        moves = self._history.take()
        names = list(dict.fromkeys([*seen, *moves]))
        names.sort(key=lambda name: name not in seen or seen[name].parked_for is None)
        parts = (names[at : at + GROUP_ACCOUNTS] for at in range(0, len(names), GROUP_ACCOUNTS))
        return deque(
            _Group(
                seen={name: seen[name] for name in part if name in seen},
                moves=[move for name in part for move in moves.get(name, ())],
            )
            for part in parts
        )

    async def _store_groups(self, groups: deque[_Group]) -> None:
        """Store group by group; those that are stored are taken out. Raises ``StoreError``."""
        while groups:
            group = groups[0]
            try:
                await self._store.observe(group.seen, group.moves)
                self._history.stored()
            except StoreError:
                raise
            except Exception:  # one of them cannot be stored: that must not prevent the others
                log.exception("observations cannot be stored together")
                await self._store_singly(group)
            groups.popleft()

    async def _store_singly(self, group: _Group) -> None:
        """Store each account by itself; the log names those that cannot be stored and are lost."""
        for account_id in dict.fromkeys([*group.seen, *(move.account_id for move in group.moves)]):
            seen = {account_id: group.seen[account_id]} if account_id in group.seen else {}
            try:
                await self._store.observe(seen, [move for move in group.moves if move.account_id == account_id])
            except Exception:  # independent of each other
                log.exception("an observation is lost", account=account_id)

    def _keep_for_later(self, groups: deque[_Group]) -> None:
        """Queue again what was not (or not certainly) stored; storing it twice is harmless."""
        for group in groups:
            for account_id, observation in group.seen.items():
                self._dirty.setdefault(account_id, observation)
            self._history.put_back(group.moves)
        self._dirt.set()

    async def _resync(self) -> None:
        """Compare every account at intervals: a lost wake-up must not have a lasting effect.

        Running accounts are stored as seen now, so that their last sign of life is known after a crash.
        """
        while True:
            await asyncio.sleep(self._resync_seconds)
            for account_id, task in list(self._tasks.items()):
                self.wake(account_id)
                if task.alive:
                    self._dirty[account_id] = task.observation
                    self._dirt.set()
