"""Two managers over one store on virtual time: an invented ownership that moves, news that come late, silent nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from random import Random

from shoal.accounts.account import Account, AccountState, Observation, StateMove
from shoal.accounts.account_task import Link
from shoal.accounts.cookie_manager import CookieManager
from shoal.accounts.events import EventBus
from shoal.accounts.ownership import NOT_OWNER, Fence, carried_fences, shard_of
from shoal.accounts.published import PublishedAccounts
from shoal.accounts.remote_states import MOVING, RemoteState, Stand, Watched
from shoal.accounts.store import Tombstone
from shoal.errors import ShoalError, StoreError
from state.world import settings
from support.databases.memory_store import MemoryStore
from support.site.standins import FakeSite

ACCOUNTS = ("shop", "other", "third")


async def accepted(account: Account, link: Link) -> None:
    """The site accepts the shop, which holds its number from then on."""
    await link.hold_number()
    link.running()
    await asyncio.Event().wait()


class Shards:
    """Who owns which shard, and with which epoch: what the database would say."""

    def __init__(self) -> None:
        self.owners: dict[int, str] = {}
        self.epochs: dict[int, int] = {}

    def owner_of(self, account_id: str) -> str:
        return self.owners.get(shard_of(account_id), "")

    def give(self, shard: int, node: str) -> None:
        self.owners[shard] = node
        self.epochs[shard] = self.epochs.get(shard, 0) + 1


class FencedStore(MemoryStore):
    """A store that takes a write of an owner only behind fences that stand."""

    def __init__(self, shards: Shards) -> None:
        super().__init__(delay_seconds=0.01)
        self._shards = shards

    def _check_fences(self) -> None:
        for fence in carried_fences():
            if self._shards.epochs.get(fence.shard) != fence.epoch:
                raise StoreError("the shard has changed hands", code=NOT_OWNER)

    async def observe(self, observations: Mapping[str, Observation], moves: Sequence[StateMove] = ()) -> None:
        self._check_fences()
        await super().observe(observations, moves)

    async def purge(self, account_id: str) -> None:
        self._check_fences()
        await super().purge(account_id)

    async def state_of(self, account_id: str) -> Observation:
        return (await self.load()).observations.get(account_id, Observation())


class Node:
    """One server: its manager, its ownership, its late news, and how it is asked by the other."""

    is_shared = True

    def __init__(self, me: str, world: World) -> None:
        self.me, self._world = me, world
        self._mine: dict[int, int] = {}
        self.is_silent = False
        self.published = PublishedAccounts(EventBus(), several_nodes=True)
        self.manager = CookieManager(
            world.store, world.site.connect, settings(), published=self.published, ownership=self, nodes=self
        )
        self.runs = self.manager.shard_tasks(lambda _: None)
        self._following: asyncio.Task[None] | None = None

    # -- the ownership -------------------------------------------------------------------------------------------

    def owns(self, account_id: str) -> bool:
        return shard_of(account_id) in self._mine

    def fence(self, account_id: str) -> Fence:
        return Fence(shard_of(account_id), self._mine.get(shard_of(account_id), -1))

    async def claim(self, shard: int) -> None:
        self._world.shards.give(shard, self.me)
        self._mine[shard] = self._world.shards.epochs[shard]
        await self.runs.claimed({shard})

    async def give_up(self, shard: int) -> None:
        await self.runs.losing({shard})
        self._mine.pop(shard, None)
        self._world.shards.owners.pop(shard, None)

    async def lose(self, shard: int) -> None:
        """Its lease ran out: it may do nothing any more, and nobody owns the shard."""
        self._mine.pop(shard, None)
        self._world.shards.give(shard, "")
        await self.runs.lost({shard})

    # -- the other nodes -----------------------------------------------------------------------------------------

    lease_seconds = 15.0

    async def stored(self, names: Collection[str]) -> Mapping[str, RemoteState]:
        await asyncio.sleep(self._world.rng.uniform(0.001, 0.05))
        shards = self._world.shards
        return {name: RemoteState(await self._world.store.state_of(name), shards.owner_of(name)) for name in names}

    async def is_purged(self, account_id: str) -> bool:
        found = await self._world.store.stored(account_id)
        return not isinstance(found, Tombstone) or found.purged

    async def watched(self, stands: Mapping[str, Stand], *, revive: Collection[str], within_seconds: float) -> Watched:
        seen, failures = dict[str, RemoteState](), dict[str, ShoalError]()
        for name, stand in stands.items():
            owner = self._world.nodes.get(self._world.shards.owner_of(name))
            await asyncio.sleep(self._world.rng.uniform(0.001, 0.1))
            if owner is None or owner is self:
                failures[name] = ShoalError("nobody runs it", code=MOVING)
                continue
            if not owner.answers():
                failures[name] = ShoalError("no answer", code="node_silent")
                continue
            told = await owner.told(name, stand, name in revive, within_seconds)
            await asyncio.sleep(self._world.rng.uniform(0.001, 0.1))
            if told is None or not owner.answers():
                failures[name] = ShoalError("not here, or no answer", code=MOVING if told is None else "node_silent")
            else:
                seen[name] = RemoteState(told, owner.me)
        return Watched(seen, failures)

    def answers(self) -> bool:
        return not self.is_silent

    async def told(self, name: str, stand: Stand, is_revived: bool, seconds: float) -> Observation | None:
        """What the server says when it is asked, as ``answer_watch``."""
        for _ in range(20):
            account = self.manager.accounts.get(name)
            if account is not None and account.rev >= stand.rev:
                break
            await asyncio.sleep(0.05)
        else:
            return None
        if not (self.owns(name) and self.manager.runs_here(name)):
            return None
        seen = await self.manager.settled_here([name], seconds, revive=[name] if is_revived else [])
        found = seen.get(name)
        return None if found is None or found.state is AccountState.ELSEWHERE else found

    # -- life ----------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        await self.manager.open()
        self._following = asyncio.create_task(self._follow())

    async def close(self) -> None:
        if self._following is not None:
            self._following.cancel()
            with suppress(asyncio.CancelledError):
                await self._following
        await self.manager.close()

    async def _follow(self) -> None:
        """Publish what was committed, some time later."""
        last = 0
        while True:
            await asyncio.sleep(self._world.rng.choice((0.01, 0.1, 0.9)))
            for entry in await self._world.store.journal(after_rev=last):
                last = entry.rev
                found = await self._world.store.stored(entry.account_id)
                if isinstance(found, Tombstone):
                    self.published.follow(entry.account_id, None, found.generation)
                elif found is not None:
                    self.published.follow(entry.account_id, found, found.generation)


class World:
    """Both nodes, the store and the site."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.shards = Shards()
        self.store = FencedStore(self.shards)
        self.site = FakeSite()
        self.site.behave = accepted
        self.nodes: dict[str, Node] = {}

    async def open(self) -> None:
        self.nodes = {name: Node(name, self) for name in ("a", "b")}
        for node in self.nodes.values():
            await node.open()

    async def close(self) -> None:
        for node in self.nodes.values():
            await node.close()

    def owner_of(self, account_id: str) -> Node | None:
        return self.nodes.get(self.shards.owner_of(account_id))
