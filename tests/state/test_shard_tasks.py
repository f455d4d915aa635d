"""An account that comes back to a node: nothing that memory has of its sign-in is used again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection

from shoal.accounts.cookie_manager import CookieManager
from shoal.accounts.ownership import shard_of
from shoal.accounts.store import ShardContents
from shoal.storage.token_cache import SocketToken, TokenCache
from state.test_task_side import Fickle, on_virtual_time
from state.world import settings
from support.databases.memory_store import MemoryStore
from support.site.standins import ANN, FakeSite, cookie_of


def test_a_node_that_gets_an_account_back_has_forgotten_its_token_and_cookies() -> None:
    async def scenario() -> None:
        site, owner, cache = FakeSite(), Fickle(), TokenCache()
        manager = CookieManager(MemoryStore(), site.connect, settings(), ownership=owner)
        await manager.open()
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        account, shards = manager.account("shop"), [shard_of("shop")]
        runs = manager.shard_tasks(cache.drop)
        old = SocketToken(access_token="old", device_id="d", obtained_steady_ms=0, life_ms=1, is_cached=False)
        cache.slot(account).put(old, is_unkept=True)
        cache.slot(account).unkept_jar = {"cookie2": "old"}
        owner.mine = False
        await runs.losing(shards)
        assert site.live["shop"] == 0
        owner.mine = True
        await runs.claimed(shards)
        slot = cache.slot(account)
        assert (slot.token, slot.is_known, slot.unkept_jar) == (None, False, None)
        await asyncio.sleep(1)
        assert site.live["shop"] == 1
        await manager.close()

    on_virtual_time(scenario())


class Shared(Fickle):
    """Of one node among several."""

    is_shared = True


class ChangesMeanwhile(MemoryStore):
    """Lets something happen after claimed shards were read, before what was read is used."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], Awaitable[object]] | None = None

    async def load_shards(self, shards: Collection[int]) -> ShardContents:
        read = await super().load_shards(shards)
        if self.meanwhile is not None:
            await self.meanwhile()
        return read


def test_what_is_added_and_removed_while_its_shard_is_claimed_is_started_and_purged() -> None:
    async def scenario() -> None:
        site, owner, store = FakeSite(), Shared(), ChangesMeanwhile()
        manager = CookieManager(store, site.connect, settings(), ownership=owner)
        await manager.open()
        runs, shards = manager.shard_tasks(TokenCache().drop), [shard_of("old"), shard_of("new")]
        await runs.claimed(shards)
        await manager.add_cookie("old", cookie_of(1), owner_id=1, caller=ANN)
        owner.mine = False
        await runs.losing(shards)

        async def change() -> None:
            await manager.remove_cookie("old", caller=ANN)
            await manager.add_cookie("new", cookie_of(2), owner_id=1, caller=ANN)

        store.meanwhile = change
        owner.mine = True
        await runs.claimed(shards)
        await asyncio.sleep(1)
        assert (site.live["old"], site.live["new"]) == (0, 1)
        assert (await store.load()).tombstones["old"].purged
        await manager.close()

    on_virtual_time(scenario())
