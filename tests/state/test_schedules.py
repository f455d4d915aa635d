"""Explored schedules, and a caller who goes away at every moment there is, on a virtual clock.

Each scenario runs under many seeds, of which each is another order of everything that could come next. Then one call
at a time is cancelled: at each of its suspensions, just as it suspends and just as what it waits for has come, and
after every single callback of the loop until it ends. After each run the world comes to rest within ten virtual
minutes and is judged whole (``World.judge``).

Written here rather than taken from a package: the order of everything must be ours, the database's threads must be
let in, and cancelling must need no marks in the code under test.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from shoal.accounts.change_path import Caller
from shoal.accounts.cookie_manager import CookieManager
from shoal.accounts.journal import fold, projection
from shoal.errors import StaleGeneration
from state.faulty_stores import Fate, FaultySqlite, FaultyStore, Weather
from state.figures import Figures
from state.model import Call
from state.scenarios import ADDED, PROVE, Scenario, flaps, memory, play, told, unknown
from state.sites import Climate, Site
from state.virtual_loop import VirtualLoop
from state.world import World, settings
from support.runs.quick_start import blank_database
from support.site.standins import cookie_of

SEEDS = 1000 if PROVE else 60


async def flapping(world: World) -> None:
    world.site.set_climate("ann", Climate(farewell_seconds=0.5))
    await world.group(flaps("ann", 8))


async def many_hands(world: World) -> None:
    await world.group(
        [
            Call(kind="remark", account="ann", text="p"),
            Call(kind="keywords", account="ann", rules=(("a", "x"),)),
            Call(kind="auto_confirm", account="ann", flag=True),
            Call(kind="cookie", account="ann", number=1, text="s2"),
            Call(kind="status", account="ann", flag=False),
            Call(kind="resume", account="ann"),
            Call(kind="remove_keyword", account="ann", number=0),
            Call(kind="remark", account="ann", text="q", if_match=1),
        ]
    )


async def added_and_removed(world: World) -> None:
    add, remove = ADDED[0], Call(kind="remove", account="ann")
    await world.group([remove, add, remove, add, replace(ADDED[1], number=1), add, remove, add])


async def batches_meet(world: World) -> None:
    await world.group(
        [
            Call(kind="atomic", account="ann", others=("bob", "cyd"), flag=False),
            Call(kind="atomic", account="cyd", others=("bob", "ann"), flag=True),
            Call(kind="batch", account="bob", others=("ann", "dan"), flag=False),
            Call(kind="atomic", account="ann", others=("dan",), flag=True),
            Call(kind="remove", account="bob"),
            Call(kind="status", account="cyd", flag=False),
        ]
    )
    assert "lock_timeout" not in world.figures.answers, "locks are taken in one order"


async def slow_store(world: World) -> None:
    memory(world).weather.extend([Weather(seconds=12.0), Weather(seconds=25.0)])
    await world.group([*flaps("ann", 4), Call(kind="remove", account="bob"), ADDED[1]])


async def stuck(world: World) -> None:
    world.site.set_climate("ann", Climate(stuck=True))
    await world.group(flaps("ann", 3))
    await world.group([Call(kind="cookie", account="ann", number=1, text="s2"), Call(kind="remove", account="ann")])
    await world.pass_time(100.0)


async def parked_and_back(world: World) -> None:
    world.site.set_climate("ann", Climate(mode="owner"))
    world.site.break_link("ann")
    await world.pass_time(2.0)
    world.site.set_climate("ann", Climate())
    batch = [Call(kind="batch", account="ann", flag=flag) for flag in (False, True)]
    await world.group([*batch, Call(kind="status", account="ann", flag=True)])
    await world.group([*batch, Call(kind="resume", account="ann"), *flaps("ann", 2)])


async def crashing(world: World) -> None:
    world.site.set_climate("ann", Climate(mode="crash", farewell_seconds=0.2))
    world.site.break_link("ann")
    await world.group([*flaps("ann", 2), Call(kind="status", account="ann", flag=True)])
    await world.pass_time(500.0)


async def reloaded(world: World) -> None:
    reloads = [asyncio.create_task(world.reload()) for _ in range(3)]
    await world.group([*flaps("ann", 3), Call(kind="remove", account="bob"), ADDED[1]])
    await asyncio.gather(*reloads)


async def restarted(world: World) -> None:
    world.site.set_climate("bob", Climate(farewell_seconds=3.0))
    await world.group_begun([*flaps("ann", 3), Call(kind="remove", account="bob"), ADDED[1]], 0.001)
    await world.restart()


SCENARIOS: dict[str, Scenario] = {
    "flapping": flapping,
    "many hands on one account": many_hands,
    "added and removed": added_and_removed,
    "batches meet": batches_meet,
    "unknown, and applied": unknown(Fate.UNKNOWN_APPLIED, 3.0),
    "unknown, and lost": unknown(Fate.UNKNOWN_LOST, 3.0),
    "unknown for longer than anybody waits": unknown(Fate.UNKNOWN_APPLIED, 50.0),
    "slow store": slow_store,
    "stuck": stuck,
    "parked and back": parked_and_back,
    "crashing": crashing,
    "reloaded": reloaded,
    "restarted": restarted,
}


@pytest.mark.timeout(0 if PROVE else 300)
@pytest.mark.parametrize("name", SCENARIOS)
def test_schedules(name: str) -> None:
    figures = Figures()
    for seed in [None, *range(SEEDS)]:
        play(figures, seed, SCENARIOS[name])
    told(f"schedules of {name!r}", figures)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_two_managers_on_one_store_lose_no_update(kind: str, tmp_path: Path) -> None:
    for seed in range(SEEDS if kind == "memory" else 5):
        loop, directory = VirtualLoop(seed), tmp_path / str(seed) / "data"
        if kind == "sqlite":
            asyncio.run(blank_database(directory))
        store = FaultyStore() if kind == "memory" else FaultySqlite(directory, loop)
        loop.run_until_complete(_two_writers(store))
        loop.finish()


async def _two_writers(store: FaultyStore | FaultySqlite) -> None:
    if isinstance(store, FaultySqlite):
        await store.database.open()
    sites = (Site(), Site())
    managers = [CookieManager(store, site.connect, settings()) for site in sites]
    first, second = managers
    await first.open()
    ask = Caller(actor="user:ann", wait_seconds=0)
    await first.add_cookie("ann", cookie_of(1), owner_id=1, caller=ask)
    await second.open()
    made: list[int] = []

    async def writes(manager: CookieManager, field: str, values: list[object]) -> None:
        for value in values:
            with_if_match = replace(ask, if_match=manager.account("ann").generation)
            try:
                outcome = await manager.update_settings("ann", {field: value}, caller=with_if_match)
            except StaleGeneration:
                outcome = await manager.update_settings("ann", {field: value}, caller=ask)
            made.append(outcome.generation)

    await asyncio.gather(
        writes(first, "remark", ["a", "b"]),
        writes(second, "paid_message", ["c", "d"]),
        writes(second, "default_reply", ["e"]),
    )
    for manager in managers:
        await manager.reload_from_db()
    stored = (await store.load()).accounts["ann"]
    assert (stored.remark, stored.paid_message, stored.default_reply) == ("b", "d", "e")
    assert sorted(made) == [2, 3, 4, 5, 6]
    assert first.account("ann") == second.account("ann") == stored
    assert fold(await store.journal())["ann"] == projection(stored)
    for manager in managers:
        await manager.close()
    if isinstance(store, FaultySqlite):
        await store.database.close()
