"""Scenarios that tests of schedules play in a world."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import replace

from state.faulty_stores import Fate, FaultyStore, Weather
from state.figures import Figures
from state.model import Call
from state.sites import ACCOUNTS, NUMBERS
from state.world import World

PROVE = bool(os.environ.get("SHOAL_PROVE"))


def told(name: str, figures: Figures) -> None:
    """Say what was explored, when asked to prove."""
    if PROVE:
        print(f"\n{name}: {figures}")  # noqa: T201


async def _as_coroutine(work: Awaitable[None]) -> None:
    await work


Scenario = Callable[[World], Awaitable[None]]

ADDED = [Call(kind="add", account=name, number=NUMBERS[name]) for name in ACCOUNTS[:3]]


def memory(world: World) -> FaultyStore:
    assert isinstance(world.store, FaultyStore)
    return world.store


def flaps(name: str, count: int) -> list[Call]:
    return [Call(kind="status", account=name, flag=bool(turn % 2)) for turn in range(count)]


def unknown(fate: Fate, seconds: float) -> Scenario:
    async def scenario(world: World) -> None:
        memory(world).weather.extend([Weather(), Weather(fate=fate, unknown_seconds=seconds)])
        again = [replace(call, again=True) for call in flaps("ann", 2)]
        await world.group([*flaps("ann", 3), *again, Call(kind="remark", account="bob", text="p"), ADDED[0]])

    return scenario


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
