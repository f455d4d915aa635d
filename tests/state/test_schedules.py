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
import os
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from shoal.accounts.account import AccountState
from shoal.accounts.change_path import Caller
from shoal.accounts.cookie_manager import CookieManager
from shoal.accounts.journal import fold, projection
from shoal.errors import StaleGeneration
from standins import cookie_of
from state.faulty_stores import Fate, FaultySqlite, FaultyStore, Weather
from state.model import Call
from state.virtual_loop import NothingLeftError, VirtualLoop, interrupted
from state.world import ACCOUNTS, NUMBERS, Climate, Figures, Site, World, settings

PROVE = bool(os.environ.get("SHOAL_PROVE"))
SEEDS = 1000 if PROVE else 60


def told(name: str, figures: Figures) -> None:
    """Say what was explored, when asked to prove."""
    if PROVE:
        print(f"\n{name}: {figures}")  # noqa: T201


# -- the loop itself ---------------------------------------------------------------------------------------------


def order_under(seed: int | None) -> list[int]:
    loop = VirtualLoop(seed)
    seen: list[int] = []

    async def scenario() -> None:
        async def one(number: int) -> None:
            await asyncio.sleep(0)
            seen.append(number)

        await asyncio.gather(*map(one, range(6)))

    loop.run_until_complete(scenario())
    loop.finish()
    return seen


def test_a_seed_is_a_schedule() -> None:
    assert order_under(None) == list(range(6))
    assert order_under(3) == order_under(3)
    assert len({tuple(order_under(seed)) for seed in range(20)}) > 10


def test_time_costs_nothing_and_keeps_its_order() -> None:
    loop = VirtualLoop(1)
    seen: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        seen.append((name, loop.time()))

    async def scenario() -> None:
        await asyncio.gather(sleeper("late", 3600.0), sleeper("soon", 1.0))

    loop.run_until_complete(scenario())
    loop.finish()
    assert seen == [("soon", 1.0), ("late", 3600.0)]


def test_a_deadlock_is_told() -> None:
    loop = VirtualLoop()
    with pytest.raises(NothingLeftError):
        loop.run_until_complete(asyncio.Event().wait())
    loop.finish()


def test_threads_are_waited_for_before_time_moves_on() -> None:
    loop = VirtualLoop()
    gate = threading.Event()

    async def scenario() -> float:
        timer = asyncio.create_task(asyncio.sleep(1.0))
        work = asyncio.create_task(asyncio.to_thread(gate.wait, 5.0))
        await asyncio.sleep(0)
        loop.call_soon(gate.set)
        await work
        at = loop.time()
        await timer
        return at

    assert loop.run_until_complete(scenario()) == 0.0
    loop.finish()


@pytest.mark.parametrize("late", [False, True])
def test_a_caller_goes_at_the_suspension_that_was_named(late: bool) -> None:
    loop = VirtualLoop()
    reached: list[int] = []

    async def work() -> None:
        for number in range(3):
            await asyncio.sleep(1.0)
            reached.append(number)

    for at in range(1, 4):
        reached.clear()
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(_as_coroutine(interrupted(work(), at, late=late)))
        assert reached == list(range(at - 1))
    reached.clear()
    loop.run_until_complete(_as_coroutine(interrupted(work(), 4, late=late)))
    assert reached == [0, 1, 2]
    loop.finish()


async def _as_coroutine(work: Awaitable[None]) -> None:
    await work


# -- schedules ---------------------------------------------------------------------------------------------------

Scenario = Callable[[World], Awaitable[None]]
ADDED = [Call(kind="add", account=name, number=NUMBERS[name]) for name in ACCOUNTS[:3]]


def memory(world: World) -> FaultyStore:
    assert isinstance(world.store, FaultyStore)
    return world.store


def flaps(name: str, count: int) -> list[Call]:
    return [Call(kind="status", account=name, flag=bool(turn % 2)) for turn in range(count)]


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


def unknown(fate: Fate, seconds: float) -> Scenario:
    async def scenario(world: World) -> None:
        memory(world).weather.extend([Weather(), Weather(fate=fate, unknown_seconds=seconds)])
        again = [replace(call, again=True) for call in flaps("ann", 2)]
        await world.group([*flaps("ann", 3), *again, Call(kind="remark", account="bob", text="p"), ADDED[0]])

    return scenario


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


def play(figures: Figures, seed: int | None, *scenarios: Scenario) -> World:
    """One run of the scenarios, with a rest after each."""
    figures.schedules += 1
    world = World(figures, seed)
    try:
        world.run(world.group(ADDED))
        for scenario in scenarios:
            world.run(_as_coroutine(scenario(world)))
            world.run(world.rest())
    finally:
        world.close()
    return world


# -- cancellation ------------------------------------------------------------------------------------------------

CALLS = {
    "status": Call(kind="status", account="ann", flag=False),
    "status, unchanged": Call(kind="status", account="ann", flag=True),
    "auto-confirm": Call(kind="auto_confirm", account="ann", flag=True),
    "remark, if it matches": Call(kind="remark", account="ann", text="p", if_match=1),
    "keywords": Call(kind="keywords", account="ann", rules=(("a", "x"), ("b", "y"))),
    "rules": Call(kind="rules", account="ann", rules=(("a", "x"), ("b", "y"))),
    "cookie": Call(kind="cookie", account="ann", number=1, text="s2"),
    "resume": Call(kind="resume", account="ann"),
    "add": Call(kind="add", account="dan", number=NUMBERS["dan"]),
    "remove": Call(kind="remove", account="ann"),
    "batch": Call(kind="batch", account="ann", others=("bob", "dan"), flag=False),
    "atomic batch": Call(kind="atomic", account="cyd", others=("ann", "bob"), flag=False),
    "atomic batch that fails": Call(kind="atomic", account="ann", others=("dan",), flag=False),
}


def fair(world: World) -> list[Call]:
    return []


def contended(world: World) -> list[Call]:
    memory(world).weather.extend([Weather(seconds=0.5), Weather(seconds=0.5)])
    return [Call(kind="remark", account=name, text="other") for name in ("ann", "dan", "bob")]


def foul(fate: Fate, seconds: float = 0.0) -> Callable[[World], list[Call]]:
    def surroundings(world: World) -> list[Call]:
        memory(world).weather.append(Weather(fate=fate, seconds=seconds))
        return []

    return surroundings


SURROUNDINGS: dict[str, Callable[[World], list[Call]]] = {
    "fair": fair,
    "contended": contended,
    "refused": foul(Fate.REFUSED),
    "unknown, and applied": foul(Fate.UNKNOWN_APPLIED),
    "unknown, and lost": foul(Fate.UNKNOWN_LOST),
    "slower than the deadline": foul(Fate.COMMITTED, 12.0),
}


def beside(surroundings: Callable[[World], list[Call]], call: Call) -> Scenario:
    async def scenario(world: World) -> None:
        await world.group([*surroundings(world), call])

    return scenario


@pytest.mark.timeout(0 if PROVE else 300)
@pytest.mark.parametrize("around", SURROUNDINGS)
def test_a_caller_may_go_at_any_moment(around: str) -> None:
    figures = Figures()
    for call in CALLS.values():
        for asked in (call, replace(call, again=True)) if PROVE else (call,):
            go_everywhere(figures, SURROUNDINGS[around], asked)
    assert figures.cancellations > 100
    told(f"cancellation, {around}", figures)


def go_everywhere(figures: Figures, surroundings: Callable[[World], list[Call]], call: Call) -> None:
    """Cancel the call at each of its suspensions, in both ways, and after every callback of the loop."""
    suspensions = play(figures, None, beside(surroundings, replace(call, cancel_at=1_000_000))).suspensions
    for seed in (None, 1, 2, 3) if PROVE else (None,):
        for at in range(1, suspensions + 1):
            for late in (False, True):
                play(figures, seed, beside(surroundings, replace(call, cancel_at=at, late=late)))
        step = 1
        while True:
            before = figures.cancellations
            play(figures, seed, beside(surroundings, replace(call, cancel_step=step)))
            if figures.cancellations == before:
                break
            step += 1


# -- one sick account delays no other ----------------------------------------------------------------------------

SICK = {
    "crashes": Climate(mode="crash"),
    "hangs": Climate(mode="hang"),
    "parked": Climate(mode="owner"),
    "ends at once": Climate(mode="end"),
    "parts slowly": Climate(farewell_seconds=60.0),
    "never parts": Climate(stuck=True),
    "starts slowly": Climate(start_seconds=60.0),
}


def waits(climate: Climate) -> list[float]:
    """How long the calls of a healthy account take while another one has this climate and is called as often."""
    world = World(Figures())
    seconds: list[float] = []

    async def scenario() -> None:
        await world.group(ADDED)
        world.site.set_climate("ann", climate)
        world.site.break_link("ann")
        await world.pass_time(5.0)
        for call in (*flaps("bob", 4), Call(kind="cookie", account="bob", number=2, text="s2")):
            sick = [replace(call, account="ann", number=1), Call(kind="resume", account="ann")]
            for other in sick:
                world.launch(other)
            began = world.loop.time()
            await world.launch(call)
            seconds.append(world.loop.time() - began)
            await world.pass_time(1.0)
        assert world.manager.observation("bob").state is AccountState.RUNNING
        assert world.manager.observation("cyd").state is AccountState.RUNNING

    world.run(scenario())
    world.run(world.rest())
    world.close()
    return seconds


@pytest.mark.parametrize("name", SICK)
def test_one_sick_account_delays_no_other(name: str) -> None:
    healthy = waits(Climate())
    assert max(healthy) < 0.1
    assert waits(SICK[name]) == pytest.approx(healthy, abs=0.02)


# -- two writers on one store ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_two_managers_on_one_store_lose_no_update(kind: str, tmp_path: Path) -> None:
    for seed in range(SEEDS if kind == "memory" else 5):
        loop = VirtualLoop(seed)
        store = FaultyStore() if kind == "memory" else FaultySqlite(tmp_path / str(seed) / "data", loop)
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
