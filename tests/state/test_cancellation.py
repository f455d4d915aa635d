"""A caller may be cancelled at every suspension of its call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from state.faulty_stores import Fate, Weather
from state.figures import Figures
from state.model import Call
from state.scenarios import PROVE, Scenario, memory, play, told
from state.sites import NUMBERS
from state.world import World

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
    assert figures.cancellations > 80
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
