"""An account that comes back to a node: nothing that memory has of its sign-in is used again."""

from __future__ import annotations

import asyncio

from memory_store import MemoryStore
from shoal.accounts.cookie_manager import CookieManager
from shoal.accounts.ownership import shard_of
from shoal.storage.token_cache import SocketToken, TokenCache
from standins import ANN, FakeSite, cookie_of
from state.test_task_side import Fickle, on_virtual_time
from state.world import settings


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
