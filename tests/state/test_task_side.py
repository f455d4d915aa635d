"""How connections are started, tried again and looked after, on a virtual clock: an hour costs nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from itertools import pairwise
from random import Random
from typing import Any

from shoal.accounts.account import Account, AccountState
from shoal.accounts.account_task import Link
from shoal.accounts.backoff import BackoffLimits
from shoal.accounts.change_path import Caller
from shoal.accounts.cookie_manager import CookieManager
from shoal.errors import NotApplied, TemporaryFailure
from state.virtual_loop import VirtualLoop
from state.world import settings
from support.databases.memory_store import MemoryStore
from support.site.standins import ANN, FakeSite, cookie_of

AT_ONCE = Caller(actor="user:ann", wait_seconds=0)


def on_virtual_time(scenario: Coroutine[Any, Any, None]) -> None:
    loop = VirtualLoop()
    try:
        loop.run_until_complete(scenario)
    finally:
        loop.finish()


def starts(site: FakeSite) -> list[float]:
    """Let the site note when each connection began."""
    began: list[float] = []
    connect = site.connect

    async def noting(account: Account, link: Link) -> None:
        began.append(asyncio.get_running_loop().time())
        await connect(account, link)

    site.connect = noting  # type: ignore[method-assign]
    return began


async def populated(count: int) -> MemoryStore:
    """A store with so many accounts that are on."""
    store = MemoryStore()
    manager = CookieManager(store, FakeSite().connect, settings())
    await manager.open()
    for number in range(count):
        await manager.add_cookie(f"shop{number}", cookie_of(number), owner_id=1, caller=AT_ONCE)
    await manager.close()
    return store


def test_a_start_is_staggered_and_who_waits_says_so() -> None:
    """A hundred accounts: twenty at once, then twenty a second, and each call about one that waits answers at once."""

    async def scenario() -> None:
        site = FakeSite()
        began = starts(site)
        manager = CookieManager(await populated(100), site.connect, settings())
        opened_at = asyncio.get_running_loop().time()
        await manager.open()
        await asyncio.sleep(0.01)
        states = Counter(manager.observation(name).state for name in manager.accounts)
        assert states == {AccountState.RUNNING: 20, AccountState.WAITING: 80}
        asked_at = asyncio.get_running_loop().time()
        outcome = await manager.update_cookie_status("shop99", True, caller=ANN)
        assert outcome.observation.state is AccountState.WAITING
        assert asyncio.get_running_loop().time() - asked_at < 0.01
        await asyncio.sleep(10)
        assert {manager.observation(name).state for name in manager.accounts} == {AccountState.RUNNING}
        for second in range(5):
            until = opened_at + second + 0.001
            assert sum(at <= until for at in began) <= 20 * (second + 1)
        assert max(began) - opened_at <= 4.1
        await manager.close()

    on_virtual_time(scenario())


def test_an_account_that_is_switched_off_while_it_waits_never_connects() -> None:
    async def scenario() -> None:
        site = FakeSite()
        manager = CookieManager(await populated(60), site.connect, settings())
        await manager.open()
        await asyncio.sleep(0.01)
        outcome = await manager.update_cookie_status("shop59", False, caller=ANN)
        assert outcome.observation.state is AccountState.STOPPED
        await asyncio.sleep(10)
        assert "shop59" not in site.ever
        await manager.close()

    on_virtual_time(scenario())


def test_reconnects_have_their_own_pace() -> None:
    """Three hundred connections that drop together come back at 200 a second, not at the 20 of a first start."""

    async def scenario() -> None:
        site, dropped = FakeSite(), asyncio.Event()

        async def until_the_drop(account: Account, link: Link) -> None:
            link.running()
            await dropped.wait()

        site.behave = until_the_drop
        began = starts(site)
        no_wait = BackoffLimits(first_seconds=0.0)
        manager = CookieManager(await populated(300), site.connect, settings(), backoff=no_wait)
        await manager.open()
        await asyncio.sleep(60)
        assert len(began) == 300
        site.behave = None
        dropped_at = asyncio.get_running_loop().time()
        dropped.set()
        await asyncio.sleep(10)
        assert {manager.observation(name).state for name in manager.accounts} == {AccountState.RUNNING}
        again = began[300:]
        assert len(again) == 300
        assert sum(at - dropped_at < 0.004 for at in again) == 200
        assert 0.4 < max(again) - dropped_at < 0.6
        await manager.close()

    on_virtual_time(scenario())


def test_a_crash_loop_is_flagged_for_as_long_as_it_lasts_and_tried_every_five_minutes() -> None:
    async def scenario() -> None:
        site = FakeSite()
        began = starts(site)
        loop = asyncio.get_running_loop()

        async def crash(account: Account, link: Link) -> None:
            raise RuntimeError("boom")

        site.behave = crash
        manager = CookieManager(MemoryStore(), site.connect, settings(), rng=Random(2))
        await manager.open()
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        while not manager.observation("shop").crash_loop:
            await asyncio.sleep(1)
        assert len(began) == 9
        for _ in range(10):
            before = len(began)
            await asyncio.sleep(299)
            assert len(began) <= before + 1
            seen = manager.observation("shop")
            assert (seen.state, seen.reason, seen.crash_loop) == (AccountState.RETRYING, "crashed", True)
            assert seen.next_attempt_at_ms is not None
            await asyncio.sleep(1)
        assert len(began) == 19
        assert manager.get_cookie_status("shop"), "a failure never edits a wish"

        site.behave = None
        asked_at = loop.time()
        outcome = await manager.update_cookie_status("shop", True, caller=ANN)
        assert (outcome.observation.state, outcome.changed) == (AccountState.RUNNING, False)
        assert loop.time() - asked_at < 1, "saying it again skips the wait"
        assert not outcome.observation.crash_loop
        await manager.close()

    on_virtual_time(scenario())


def test_f3_a_shop_whose_line_is_cut_every_ten_seconds_is_back_within_half_a_minute_each_time() -> None:
    async def scenario() -> None:
        site = FakeSite()
        began = starts(site)

        async def cut(account: Account, link: Link) -> None:
            link.running()
            await asyncio.sleep(10)
            raise TemporaryFailure(code="socket_closed")

        site.behave = cut
        manager = CookieManager(MemoryStore(), site.connect, settings(), rng=Random(2))
        await manager.open()
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        await asyncio.sleep(3600)
        assert len(began) > 3600 / 41
        assert max(later - before for before, later in pairwise(began)) <= 40.1
        assert not manager.observation("shop").crash_loop
        await manager.close()

    on_virtual_time(scenario())


def test_f3_shops_whose_lines_were_cut_follow_the_first_that_got_in_again() -> None:
    async def scenario() -> None:
        site, cut = FakeSite(), asyncio.Event()

        async def until_the_cut(account: Account, link: Link) -> None:
            link.running()
            await cut.wait()
            raise TemporaryFailure(code="socket_closed")

        site.behave = until_the_cut
        sits_long = BackoffLimits(first_seconds=10_000.0, longest_seconds=10_000.0, outside_seconds=10_000.0)
        manager = CookieManager(await populated(30), site.connect, settings(), rng=Random(2), backoff=sits_long)
        await manager.open()
        await asyncio.sleep(10)
        cut.set()
        await asyncio.sleep(1)
        assert {manager.observation(name).state for name in manager.accounts} == {AccountState.RETRYING}
        site.behave = None
        await manager.update_cookie_status("shop0", True, caller=ANN)
        await asyncio.sleep(1)
        assert {manager.observation(name).state for name in manager.accounts} == {AccountState.RUNNING}
        await manager.close()

    on_virtual_time(scenario())


def test_shops_whose_messages_could_not_be_stored_for_minutes_are_back_soon_after_they_can_be() -> None:
    async def scenario() -> None:
        site, mended = FakeSite(), asyncio.Event()

        async def until_something_is_to_be_stored(account: Account, link: Link) -> None:
            link.running()
            if mended.is_set():
                await asyncio.Event().wait()
            await asyncio.sleep(14)
            raise NotApplied

        site.behave = until_something_is_to_be_stored
        manager = CookieManager(await populated(30), site.connect, settings(), rng=Random(2))
        await manager.open()
        await asyncio.sleep(900)
        mended.set()
        await asyncio.sleep(14 + 31)
        seen = [manager.observation(name) for name in manager.accounts]
        assert {(one.state, one.crash_loop) for one in seen} == {(AccountState.RUNNING, False)}
        await manager.close()

    on_virtual_time(scenario())


class Fickle:
    """Owns everything, or nothing, and does not report when that changes."""

    is_shared = False
    mine = True

    def fence(self, account_id: str) -> None:
        return None

    def owns(self, account_id: str) -> bool:
        return self.mine


def test_what_nobody_was_told_of_is_found_within_five_minutes_in_both_directions() -> None:
    async def scenario() -> None:
        site, owner = FakeSite(), Fickle()
        manager = CookieManager(MemoryStore(), site.connect, settings(), ownership=owner)
        await manager.open()
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        owner.mine = False
        assert not site.links["shop"].allows(), "the gate is shut at once"
        await asyncio.sleep(301)
        assert (site.live["shop"], manager.observation("shop").state) == (0, AccountState.ELSEWHERE)
        owner.mine = True
        await asyncio.sleep(301)
        assert (site.live["shop"], manager.observation("shop").state) == (1, AccountState.RUNNING)
        await manager.close()

    on_virtual_time(scenario())


def test_a_deleted_account_is_purged_only_by_the_machine_that_may_run_it() -> None:
    async def scenario() -> None:
        store, site, owner = MemoryStore(), FakeSite(), Fickle()
        manager = CookieManager(store, site.connect, settings(), ownership=owner)
        await manager.open()
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        owner.mine = False
        await manager.remove_cookie("shop", caller=ANN)
        await asyncio.sleep(60)
        assert not (await store.load()).tombstones["shop"].purged, "its connection elsewhere may still write"
        owner.mine = True
        await asyncio.sleep(2)
        assert (await store.load()).tombstones["shop"].purged
        await manager.close()

    on_virtual_time(scenario())
