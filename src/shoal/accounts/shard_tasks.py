"""Makes the tasks of accounts whose shards this node claims, and ends those of shards that it gives up or has lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING

import structlog

from shoal.accounts.ownership import shard_of
from shoal.accounts.published import PublishedAccounts
from shoal.accounts.store import AccountStore, ShardContents
from shoal.errors import ShoalError, StoreError

if TYPE_CHECKING:
    from shoal.accounts.task_manager import TaskManager

log = structlog.get_logger("shoal.tasks")

AGAIN_SECONDS = (0.5, 10.0)
"""First and longest wait before claimed shards are read again."""
STARTED_AT_ONCE = 100
"""How many accounts begin to start at one turn of the loop."""


class ShardTasks:
    """The ``ShardListener`` of the manager. What a node knew of an account before it owned it counts for nothing."""

    def __init__(
        self,
        tasks: TaskManager,
        store: AccountStore,
        published: PublishedAccounts,
        refresh: Callable[[str], Awaitable[None]],
        forget: Callable[[str], None],
    ) -> None:
        """``refresh`` publishes an account's row. ``forget`` drops what memory has of an account's login."""
        self._tasks = tasks
        self._store = store
        self._published = published
        self._refresh = refresh
        self._forget = forget

    async def claimed(self, shards: Collection[int]) -> None:
        """Read what the last owner stored, publish rows that are newer, and start the accounts."""
        contents = await self._read(shards)
        mine = [name for name in self._published.accounts if shard_of(name) in shards]
        stale = {name for name in mine if name not in contents.revs}
        stale |= {name for name, rev in contents.revs.items() if self._published.published_up_to(name) < rev}
        for name in sorted(stale):
            try:
                await self._refresh(name)
            except ShoalError as error:  # the follower or the next resync publishes it
                log.warning("a claimed account could not be read", account=name, why=error.code)
        for name in {*mine, *contents.revs}:
            self._forget(name)
        self._tasks.adopt(shards, contents.observations)
        # What was published between the reading and now woke no task: these shards had none here.
        published = {name for name in self._published.accounts if shard_of(name) in shards}
        for name in {*contents.to_purge, *(contents.revs.keys() - published)}:
            self._tasks.purge_soon(name)  # purges nothing that is not deleted in the database
        for number, name in enumerate(sorted(published | contents.revs.keys()), start=1):
            self._tasks.wake(name)
            if number % STARTED_AT_ONCE == 0:
                await asyncio.sleep(0)

    async def _read(self, shards: Collection[int]) -> ShardContents:
        wait, longest = AGAIN_SECONDS
        while True:
            try:
                await self._tasks.numbers.load()
                return await self._store.load_shards(shards)
            except StoreError as error:
                if error.code == "store_closed":
                    raise
                log.warning("claimed shards could not be read, trying again", why=error.code, wait_seconds=wait)
            await asyncio.sleep(wait)
            wait = min(wait * 2, longest)

    async def losing(self, shards: Collection[int]) -> None:
        """End the connections of these shards, store what was last observed, and drop the tasks."""
        await self._tasks.abandon(shards, is_in_order=True)

    async def lost(self, shards: Collection[int]) -> None:
        """End the connections of these shards, and drop the tasks. Nothing of it can be stored any more."""
        await self._tasks.abandon(shards, is_in_order=False)

    def lapsed(self) -> None:
        """Let every task compare again."""
        self._tasks.wake_all()
