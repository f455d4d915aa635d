"""What a seller is told at either of two servers, while shops move between them and answers do not come."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from shoal.accounts.account import Account, AccountState, ParkReason
from shoal.accounts.account_task import Link
from shoal.accounts.backoff import Backoff
from shoal.accounts.ownership import shard_of
from shoal.accounts.remote_states import Watched
from shoal.accounts.row_reads import MOST_PER_SECOND
from shoal.accounts.store import Tombstone
from shoal.errors import ActionRequired, ShoalError
from state.test_task_side import on_virtual_time
from state.two_nodes import ACCOUNTS, Node, World, accepted
from support.site.standins import ANN, cookie_of, unb_of

SHARD = shard_of("shop")


async def opened(*, claimed_before: int | None = None) -> tuple[World, Node, Node]:
    """The shop runs at the first node; both have published it. The second may have claimed a shard before."""
    world = World(1)
    await world.open()
    one, two = world.nodes["a"], world.nodes["b"]
    if claimed_before is not None:
        await two.claim(claimed_before)
    await one.claim(SHARD)
    await one.manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
    await asyncio.sleep(2)
    return world, one, two


def test_a_wait_goes_on_where_the_shop_went() -> None:
    async def scenario() -> None:
        world, one, two = await opened()
        released = world.site.hold_farewells()
        waiting = replace(ANN, wait_seconds=30.0)
        asking = asyncio.create_task(two.manager.update_cookie_status("shop", False, caller=waiting))
        await asyncio.sleep(1)
        moving = asyncio.create_task(one.give_up(SHARD))
        await asyncio.sleep(5)
        assert not asking.done(), "the shop has not stopped anywhere"
        released.set()
        await moving
        await two.claim(SHARD)
        assert (await asking).observation.state is AccountState.STOPPED
        on = await one.manager.update_cookie_status("shop", True, caller=waiting)
        assert (on.observation.state, world.site.live["shop"]) == (AccountState.RUNNING, 1)
        await world.close()

    on_virtual_time(scenario())


def test_who_waits_at_a_node_that_gives_the_shop_up_is_told_how_it_fares_at_the_next() -> None:
    async def scenario() -> None:
        world, one, two = await opened()
        waiting = replace(ANN, wait_seconds=30.0)
        await one.manager.update_cookie_status("shop", False, caller=waiting)
        ready = asyncio.Event()

        async def starts_late(account: Account, link: Link) -> None:
            await ready.wait()
            link.running()
            await asyncio.Event().wait()

        world.site.behave = starts_late
        asking = asyncio.create_task(one.manager.update_cookie_status("shop", True, caller=waiting))
        await asyncio.sleep(1)
        await one.give_up(SHARD)
        await two.claim(SHARD)
        await asyncio.sleep(3)
        assert not asking.done(), "it starts at the other node"
        ready.set()
        assert (await asking).observation.state is AccountState.RUNNING
        assert one.manager.node_of("shop") == "b"
        await world.close()

    on_virtual_time(scenario())


def test_what_a_node_was_told_is_not_taken_back_by_what_is_stored_later() -> None:
    async def scenario() -> None:
        world, one, two = await opened()
        await two.manager.update_cookie_status("shop", False, caller=ANN)
        await asyncio.sleep(5)
        assert (await two.manager.update_cookie_status("shop", True, caller=ANN)).observation.state == "running"
        assert (await world.store.state_of("shop")).state == "stopped", "its owner gathers before it stores"
        await two.manager.remote_states.read(("shop",))
        assert two.manager.observation("shop").state is AccountState.RUNNING
        await asyncio.sleep(5)
        await one.manager.update_cookie_status("shop", False, caller=ANN)
        await asyncio.sleep(1)
        await two.manager.look(("shop",))
        assert two.manager.observation("shop").state is AccountState.STOPPED, "but what is stored later counts"
        await world.close()

    on_virtual_time(scenario())


def test_a_wait_outlasts_the_death_of_the_owner_and_wakes_the_shop_at_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first attempt at the next node fails, and its back-off is so long that only "on" said again ends it."""
    monkeypatch.setattr(Backoff, "failed", lambda *_, **__: 36_000.0)

    async def scenario() -> None:
        world, one, two = await opened()
        waiting = replace(ANN, wait_seconds=60.0)
        one.is_silent, failed, watched = True, asyncio.Event(), two.watched

        async def answers_late(*args: Any, **more: Any) -> Watched:
            found = await watched(*args, **more)
            if two.owns("shop"):
                await failed.wait()
            return found

        async def fails_once(account: Account, link: Link) -> None:
            world.site.behave = accepted
            raise ConnectionError

        monkeypatch.setattr(two, "watched", answers_late)
        asking = asyncio.create_task(two.manager.update_cookie_status("shop", True, caller=waiting))
        await asyncio.sleep(14)
        assert not asking.done(), "'on' said again has reached nobody"
        await one.lose(SHARD)
        world.site.behave = fails_once
        await two.claim(SHARD)
        await asyncio.sleep(5)
        assert two.manager.observation("shop").state is AccountState.RETRYING
        failed.set()
        assert (await asking).observation.state is AccountState.RUNNING
        assert (world.site.behave, world.site.most_at_once) == (accepted, {"shop": 1})
        await world.close()

    on_virtual_time(scenario())


def test_on_said_again_that_reaches_nobody_is_refused_and_nothing_of_a_change_is_lost() -> None:
    async def scenario() -> None:
        world, one, two = await opened()
        one.is_silent = True
        with pytest.raises(ShoalError, match="no answer"):
            await two.manager.update_cookie_status("shop", True, caller=ANN)
        off = await two.manager.update_cookie_status("shop", False, caller=ANN)
        assert off.observation.state is AccountState.STOPPED, "what it stored says that it has followed"
        await world.close()

    on_virtual_time(scenario())


def test_who_asks_for_what_does_not_exist_does_not_burden_the_database() -> None:
    async def scenario() -> None:
        world, _, two = await opened()
        read, stored = two.manager.row_reads.read, world.store.stored
        asked: list[str] = []

        async def counted(account_id: str) -> Account | Tombstone | None:
            asked.append(account_id)
            return await stored(account_id)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(world.store, "stored", counted)
            for most in (MOST_PER_SECOND, 2 * MOST_PER_SECOND):
                for _ in range(1_000):
                    await read("nobodys")
                assert asked.count("nobodys") == most
                await asyncio.sleep(1)
        await world.close()

    on_virtual_time(scenario())


def test_a_number_that_is_held_at_one_node_is_taken_at_the_other_until_it_is_freed() -> None:
    """The other node is told of no change of holders: it looks before an account meets the site, and now and then."""

    async def scenario() -> None:
        world, one, two = await opened(claimed_before=shard_of("other"))
        twin = await two.manager.add_cookie("other", cookie_of(1, secret="s2"), owner_id=2, caller=ANN)
        assert (twin.observation.state, twin.observation.reason) == (AccountState.PARKED, ParkReason.NUMBER_TAKEN)
        assert "other" not in world.site.ever, "it has not met the site"
        assert await one.manager.free_number(unb_of(1), caller=ANN) == "shop"
        await asyncio.sleep(301)
        assert world.site.live == {"shop": 0, "other": 1}
        again = await one.manager.update_cookie_status("shop", True, caller=ANN)
        assert again.observation.reason == ParkReason.NUMBER_TAKEN
        assert await one.manager.free_number(unb_of(1), caller=ANN) == "other"
        await asyncio.sleep(301)
        assert world.site.live == {"shop": 1, "other": 0}
        await world.close()

    on_virtual_time(scenario())


def test_off_and_on_at_the_other_node_reads_the_park_record() -> None:
    async def scenario() -> None:
        world, one, two = await opened()

        async def parks(account: Account, link: Link) -> None:
            raise ActionRequired(ParkReason.RISK_CONTROL)

        world.site.behave = parks
        assert one.manager.tasks["shop"].alive
        await two.manager.update_cookie("shop", cookie_of(1, secret="s2"), caller=ANN)
        await asyncio.sleep(1)
        assert one.manager.observation("shop").state is AccountState.PARKED
        world.site.behave = None
        await two.manager.update_cookie_status("shop", False, caller=ANN)
        on = await two.manager.update_cookie_status("shop", True, caller=ANN)
        assert on.observation.state is AccountState.RUNNING
        await world.close()

    on_virtual_time(scenario())


async def _switching(world: World, told: list[str], names: tuple[str, ...]) -> None:
    """Nobody else switches these accounts. Who waited long enough is not told the state of before."""
    for _ in range(12):
        node, name = world.rng.choice(list(world.nodes.values())), world.rng.choice(names)
        caller = replace(ANN, wait_seconds=world.rng.choice((0.0, 1.0, 20.0)))
        on = world.rng.random() < 0.7
        try:
            outcome = await node.manager.update_cookie_status(name, on, caller=caller)
        except ShoalError as error:
            told.append(error.code)
        else:
            told.append(outcome.observation.state)
            opposite = AccountState.STOPPED if on else AccountState.RUNNING
            assert caller.wait_seconds != 20.0 or told[-1] != opposite, (name, on)
        await asyncio.sleep(world.rng.uniform(0, 2))


async def _moving(world: World) -> None:
    for _ in range(8):
        await asyncio.sleep(world.rng.uniform(0, 3))
        name = world.rng.choice(ACCOUNTS)
        owner, shard = world.owner_of(name), shard_of(name)
        if owner is not None:
            await (owner.give_up if world.rng.random() < 0.5 else owner.lose)(shard)
        await asyncio.sleep(world.rng.uniform(0, 2))
        await world.rng.choice(list(world.nodes.values())).claim(shard)


async def _falling_silent(world: World) -> None:
    for _ in range(6):
        node = world.rng.choice(list(world.nodes.values()))
        await asyncio.sleep(world.rng.uniform(0, 4))
        node.is_silent = not node.is_silent


async def _all_tell_the_same(world: World) -> None:
    stored = (await world.store.load()).accounts
    for name in ACCOUNTS:
        wanted = AccountState.RUNNING if stored[name].enabled else AccountState.STOPPED
        owner = world.owner_of(name)
        assert owner is not None
        for node in world.nodes.values():
            account = node.manager.account(name)
            assert account == stored[name]
            assert await node.manager.observe(account) is None
            assert (node.manager.observation(name).state, node.manager.node_of(name)) == (wanted, owner.me)
        assert world.site.live.get(name, 0) == stored[name].enabled


@pytest.mark.parametrize("seed", range(12))
def test_at_rest_both_tell_the_same_and_no_shop_ever_ran_twice(seed: int) -> None:
    """Switches, deletions and additions at either node, while shards move, leases run out and nodes fall silent."""

    async def scenario() -> None:
        world = World(seed)
        await world.open()
        for number, name in enumerate(ACCOUNTS):
            await world.rng.choice(list(world.nodes.values())).claim(shard_of(name))
            await world.nodes["a"].manager.add_cookie(name, cookie_of(number), owner_id=1, caller=ANN)
        await asyncio.sleep(2)
        told: list[str] = []
        first, *others = ACCOUNTS
        await asyncio.gather(
            _switching(world, told, (first,)),
            _switching(world, told, tuple(others)),
            _moving(world),
            _falling_silent(world),
        )
        for node in world.nodes.values():
            node.is_silent = False
        await asyncio.sleep(30)
        await _all_tell_the_same(world)
        assert max(world.site.most_at_once.values()) == 1
        assert len(told) == 24
        await world.close()

    on_virtual_time(scenario())
