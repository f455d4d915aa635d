"""The task manager: one ``AccountTask`` per account; stores and publishes observations, and purges deleted accounts."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from contextlib import suppress
from random import Random
from types import MappingProxyType

import structlog

from shoal.accounts.account import Account, Observation
from shoal.accounts.account_task import AccountTask, Connect, TaskDeps
from shoal.accounts.backoff import BackoffLimits
from shoal.accounts.events import AccountStateChanged
from shoal.accounts.observation_writer import ObservationWriter
from shoal.accounts.ownership import LocalOwnership, Ownership, carrying, shard_of
from shoal.accounts.published import PublishedAccounts
from shoal.accounts.remote_states import RemoteStates
from shoal.accounts.seller_numbers import SellerNumbers
from shoal.accounts.state_history import StateHistory
from shoal.accounts.store import AccountStore
from shoal.clock import now_ms
from shoal.concurrency.fair_limiter import StartLimiters, in_bursts
from shoal.config import Settings
from shoal.errors import StoreError, UnknownAccount

log = structlog.get_logger("shoal.tasks")

FOLLOWERS = 4
"""How many accounts retry for each one that the site accepts after an outage, so that a weak site is not overloaded."""

ASKED_AGAIN_SECONDS = 1.0
"""How often a purge asks whether the account is owned here."""
NUMBERS_LOOK_SECONDS = 2.0
"""How often the numbers are looked at for which accounts wait here, where another node may free them."""
STARTED_AT_ONCE = 20
"""How many accounts begin to start at one turn of the loop: it takes some 2 ms, and requests, which need
several turns, are answered between."""


def own_starts(settings: Settings) -> StartLimiters:
    """Return the limits of the connections that this process starts."""
    return StartLimiters(in_bursts(settings.starts_per_second), in_bursts(settings.reconnects_per_second))


class TaskManager:
    """Wakes tasks after changes; stores and publishes what they report."""

    def __init__(
        self,
        store: AccountStore,
        connect: Connect,
        settings: Settings,
        published: PublishedAccounts,
        *,
        ownership: Ownership | None = None,
        remote: RemoteStates | None = None,
        starts: StartLimiters | None = None,
        rng: Random | None = None,
        backoff: BackoffLimits | None = None,
    ) -> None:
        self._store = store
        self._events = published.events
        self._published, self._all = published.accounts.get, published.accounts
        self._stop_wait_seconds = settings.stop_wait_seconds
        self._resync_seconds = settings.resync_seconds
        self._tasks: dict[str, AccountTask] = {}
        self._purges: dict[str, asyncio.Task[None]] = {}
        self._kept_out: dict[str, None] = {}
        self._before: Mapping[str, Observation] = {}
        self._early: dict[str, None] = {}
        """The accounts that were to be woken before ``start``: the server takes changes while it starts."""
        self._history = StateHistory()
        self.moves = self._history.moves
        self._house: list[asyncio.Task[None]] = []
        self._started = self._closed = False
        self._ownership = ownership or LocalOwnership()
        self._remote = remote or RemoteStates()
        self._writer = ObservationWriter(store, self._history, self._ownership.fence)
        self._dirty = self._writer.dirty
        self._shards: set[int] = set()
        """Of a database that several nodes share: the shards whose accounts have their tasks here."""
        self._of_number, self._shared_numbers = published.of_number, published.shared_numbers
        published.subscribe(self._follow_published)
        self.numbers = SellerNumbers(store, self._number_changed, is_shared=self._ownership.is_shared)
        self._deps = TaskDeps(
            connect=connect,
            published=self._published,
            owns=self._ownership.owns,
            fence=self._ownership.fence,
            report=self._report,
            numbers=self.numbers,
            kept_out=self._keep_out,
            got_in=self._follow,
            limiters=starts or own_starts(settings),
            backoff=backoff or BackoffLimits(),
            rng=rng or Random(),  # noqa: S311  jitter, not a secret
        )
        self.tasks: Mapping[str, AccountTask] = MappingProxyType(self._tasks)
        self.reports = 0
        """Rises with each new observed state, also with facts of it that are not reported to readers."""

    def load(self, seen: Mapping[str, Observation]) -> None:
        """Take over the observations from before the restart. No account is started before ``start``."""
        if self._ownership.is_shared:
            self._remote.remember(seen)  # it is read again when the account is claimed
            return
        self._before = seen
        self._tasks.update({name: AccountTask(name, self._deps, observed) for name, observed in seen.items()})

    async def start(self) -> None:
        """Start the background tasks, and wake every loaded account, some at each turn of the loop."""
        self._started = True
        seen, self._before = self._before, {}
        self._history.begin(seen, {name: self._is_wanted(name) for name in seen})
        self._writer.look()  # what a crash left to be recorded waits for no new state
        self._house = [
            asyncio.create_task(self._writer.keep(), name="observations"),
            asyncio.create_task(self._resync(), name="resync"),
        ]
        if self._ownership.is_shared:
            self._house.append(asyncio.create_task(self._look_at_numbers(), name="numbers"))
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
        owned = [*self._house, *self._purges.values()]
        for task in owned:
            task.cancel()
        await asyncio.gather(*owned, return_exceptions=True)
        self._end_history(self._tasks)
        await self._writer.store_last()

    # -- shards of a database that several nodes share -------------------------------------------------------------

    def has_place(self, account_id: str) -> bool:
        """Return whether the account has its task in this process."""
        return not self._ownership.is_shared or shard_of(account_id) in self._shards

    def adopt(self, shards: Collection[int], seen: Mapping[str, Observation]) -> None:
        """Make a task for each account of claimed shards from what its last owner observed. Nothing is started."""
        self._shards.update(shards)
        self._remote.forget(name for name in self._all if shard_of(name) in shards)
        mine = {name: seen.get(name, Observation()) for name in self._all if shard_of(name) in shards}
        self._history.begin(mine, {name: self._is_wanted(name) for name in mine})
        self._tasks.update({name: AccountTask(name, self._deps, observed) for name, observed in mine.items()})
        self._writer.look()

    async def abandon(self, shards: Collection[int], *, is_in_order: bool) -> None:
        """End the connections of these shards, however long that takes, and drop their tasks.

        ``is_in_order``: they are still owned, so what was last observed is stored.
        """
        self._shards.difference_update(shards)
        tasks = {name: task for name, task in self._tasks.items() if shard_of(name) in shards}
        await asyncio.gather(*(task.close(self._stop_wait_seconds) for task in tasks.values()))
        await asyncio.gather(*(task.ended() for task in tasks.values()))
        purges = [purge for name, purge in self._purges.items() if shard_of(name) in shards]
        for purge in purges:
            purge.cancel()
        await asyncio.gather(*purges, return_exceptions=True)
        if is_in_order:
            self._end_history(tasks)
            await self._writer.store_last()
        for name in tasks:
            self._forget(name)

    def _forget(self, account_id: str) -> None:
        self._tasks.pop(account_id, None)
        self._dirty.pop(account_id, None)
        self._kept_out.pop(account_id, None)
        self._purges.pop(account_id, None)
        self._history.forget(account_id)

    # -- the end ---------------------------------------------------------------------------------------------------

    def _end_history(self, tasks: Mapping[str, AccountTask]) -> None:
        """Record for every account that was not at rest that it stopped with the server."""
        for account_id, task in tasks.items():
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
        elif not self._closed and self.has_place(account_id):
            self.task(account_id).wake(skip_backoff=skip_backoff)

    def is_parked(self, account: Account) -> bool:
        """Return whether the owner must act before this account may run again."""
        if self.has_place(account.id):
            return self.task(account.id).is_parked(account)
        return self._remote.of(account.id).parked_for == account.park_key

    def observation(self, account_id: str) -> Observation:
        """Return the account's observed state; of one that another node runs, as far as it is known here."""
        return self.task(account_id).observation if self.has_place(account_id) else self._remote.of(account_id)

    def revive(self, account_id: str) -> None:
        """Wake the task at once, whatever it waits for; an account that was removed gets no new task."""
        if self._published(account_id) is not None:
            self.wake(account_id, skip_backoff=True)

    async def settled(self, account_id: str, within_seconds: float) -> Observation:
        """Give the account's task this long to start or stop. Return its state; it may be purged in the meantime."""
        task = self._tasks.get(account_id)
        if task is None:
            return Observation() if self.has_place(account_id) else self._remote.of(account_id)
        return await task.settled(within_seconds) if within_seconds else task.observation

    def _follow_published(self, account_id: str, account: Account | None) -> None:
        if account is None:
            self._remote.forget((account_id,))
            self.purge_soon(account_id)
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

    async def _look_at_numbers(self) -> None:
        """Read who holds the numbers for which accounts wait here. Another node frees a number without a word.

        Asks the database nothing while no account waits.
        """
        while True:
            await asyncio.sleep(NUMBERS_LOOK_SECONDS)
            with suppress(StoreError):  # again in a moment
                await self.numbers.look(*(number for number in self._shared_numbers if self._is_waited_for(number)))

    def _is_waited_for(self, number: str) -> bool:
        accounts = [self._all[account_id] for account_id in self._of_number(number) if self.has_place(account_id)]
        return any(account.enabled and self.numbers.is_taken(account) for account in accounts)

    def is_purging(self, account_id: str) -> bool:
        """Return whether a deletion of that account is in progress."""
        return account_id in self._purges

    def purge_soon(self, account_id: str) -> None:
        """Stop a deleted account, then purge its rows. Continues after a restart."""
        if account_id not in self._purges and not self._closed and self.has_place(account_id):
            self.wake(account_id)
            self._purges[account_id] = asyncio.create_task(self._purge(account_id), name=f"purge:{account_id}")

    async def wait_until_purged(self, account_id: str, *, within_seconds: float | None = None) -> bool:
        """Wait for the end of a deletion in progress, if there is one. Return whether it ended in time."""
        task = self._purges.get(account_id)
        if task is not None:
            await asyncio.wait({task}, timeout=within_seconds)
        return account_id not in self._purges

    async def _purge(self, account_id: str) -> None:
        await self.task(account_id).ended()
        while not self._deps.owns(account_id):  # noqa: ASYNC110  another machine may run it, and sees it off itself then
            await asyncio.sleep(ASKED_AGAIN_SECONDS)
        wait = 1.0
        while True:
            try:
                with carrying(self._writer.fences([account_id])):
                    await self._store.purge(account_id)
                break
            except UnknownAccount:  # another machine purged it, and the id may already be in use again
                break
            except StoreError as error:
                log.warning("purge failed, trying again", account=account_id, why=error.code, wait_seconds=wait)
                await asyncio.sleep(wait)
                wait = min(60.0, wait * 2)
        self._forget(account_id)
        self.numbers.forget(account_id)
        log.info("account purged", account=account_id)

    def _report(self, account_id: str, observation: Observation, is_new: bool) -> None:
        self.reports += 1
        is_ours = not self._ownership.is_shared or self._ownership.owns(account_id)  # else its owner stores it
        if is_ours:
            self._writer.add(account_id, observation)
        account, at_ms = self._published(account_id), now_ms()
        if account is not None and is_ours and not self._closed:
            self._history.saw(account_id, observation, at_ms)
        if is_new and account is not None:
            event = AccountStateChanged(
                account_id=account_id, owner_id=account.owner_id, observation=observation, at_ms=at_ms
            )
            self._events.publish(event)

    async def _resync(self) -> None:
        """Compare every account at intervals: a lost wake-up must not have a lasting effect.

        Running accounts are stored as seen now, so that their last sign of life is known after a crash.
        """
        while True:
            await asyncio.sleep(self._resync_seconds)
            if self._ownership.is_shared:
                with suppress(StoreError):  # again in a while
                    await self.numbers.load()
            for account_id, task in list(self._tasks.items()):
                self.wake(account_id)
                if task.alive:
                    self._dirty[account_id] = task.observation
                    self._writer.look()
