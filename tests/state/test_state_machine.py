"""A state machine over the real manager: groups of calls at once, under every kind of fault, against a model.

``SHOAL_PROVE=1`` spends more and prints what was explored.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from state.faulty_stores import Fate, FaultySqlite, FaultyStore, Weather
from state.figures import Figures
from state.model import Call
from state.sites import ACCOUNTS, NUMBERS, Climate
from state.world import World
from support.runs.quick_start import blank_database

PROVE = bool(os.environ.get("SHOAL_PROVE"))
PHASES = [Phase.generate] if os.environ.get("SHOAL_NO_SHRINKING") else [Phase.generate, Phase.shrink]

RULES = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c"]), st.sampled_from(["x", "y"])), max_size=3, unique_by=lambda rule: rule[0]
).map(tuple)
KINDS = [
    *["status"] * 4, *["remark"] * 2, "auto_confirm", "keywords", "rules", "remove_keyword", "cookie", "resume",
    *["add"] * 3, *["remove"] * 2, *["batch"] * 2, *["atomic"] * 2,
]  # fmt: skip


KIND, ACCOUNT, FLAG = st.sampled_from(KINDS), st.sampled_from(ACCOUNTS), st.booleans()
REMARK, SECRET, OTHERS = st.sampled_from(["", "p", "q"]), st.sampled_from(["s1", "s2"]), st.sets(ACCOUNT, max_size=3)
GENERATION, PLACE, SUSPENSION = st.integers(1, 6), st.integers(0, 2), st.integers(1, 6)
ONE_IN_FIVE, ONE_IN_SIX, ONE_IN_EIGHT = (st.integers(0, most).map(lambda drawn: drawn == 0) for most in (4, 5, 7))
"""Made once: what is made within ``calls``, Hypothesis looks through again for each call."""


@st.composite
def calls(draw: st.DrawFn) -> Call:
    """One call of one person."""
    kind = draw(KIND)
    account = draw(ACCOUNT)
    values: dict[str, Any] = {}
    match kind:
        case "status" | "auto_confirm":
            values["flag"] = draw(FLAG)
        case "remark":
            values["text"] = draw(REMARK)
        case "keywords" | "rules":
            values["rules"] = draw(RULES)
        case "remove_keyword":
            values["number"] = draw(PLACE)
        case "cookie" | "add":
            values["number"] = NUMBERS[draw(ACCOUNT) if draw(ONE_IN_EIGHT) else account]
            values["text"] = draw(SECRET)
        case "batch" | "atomic":
            values["flag"] = draw(FLAG)
            values["others"] = tuple(draw(OTHERS) - {account})
    if kind not in {"add", "batch", "atomic"} and draw(ONE_IN_SIX):
        values["if_match"] = draw(GENERATION)
    if draw(ONE_IN_FIVE):
        values |= {"cancel_at": draw(SUSPENSION), "late": draw(FLAG)}
    values["again"] = draw(ONE_IN_FIVE)
    return Call(kind=kind, account=account, **values)


WEATHER = st.builds(
    Weather,
    fate=st.sampled_from(Fate),
    seconds=st.sampled_from([0.0, 0.0, 0.01, 1.0, 12.0, 40.0]),
    unknown_seconds=st.sampled_from([0.01, 3.0, 50.0]),
)
CLIMATE = st.builds(
    Climate,
    mode=st.sampled_from(["fine", "fine", "crash", "temporary", "owner", "owner", "end", "hang"]),
    start_seconds=st.sampled_from([0.0, 0.0, 2.0, 20.0]),
    farewell_seconds=st.sampled_from([0.0, 0.0, 3.0, 30.0]),
    stuck=st.sampled_from([False, False, True]),
)
POINTS = st.lists(st.sampled_from(["begin", "statement", "commit", "committed"]), min_size=1, max_size=3)
UNKNOWN = st.builds(
    lambda where, barriers: [where, *["barrier"] * barriers],
    st.sampled_from(["commit", "committed"]),
    st.integers(1, 4),
)


class OnMemory(RuleBasedStateMachine):
    """The manager on a store in memory that fails in every way there is."""

    figures: ClassVar[Figures] = Figures()
    world: World

    @initialize(seed=st.none() | st.integers(0, 2**32))
    def begin(self, seed: int | None) -> None:
        self.world = self.made(seed)
        first = [Call(kind="add", account=name, number=NUMBERS[name]) for name in ACCOUNTS[:3]]
        self.world.run(self.world.group(first))

    def made(self, seed: int | None) -> World:
        return World(self.figures, seed)

    @rule(group=st.lists(calls(), min_size=2, max_size=8))
    def call_together(self, group: list[Call]) -> None:
        self.world.run(self.world.group(group))

    @rule(group=st.lists(calls(), min_size=1, max_size=4), seconds=st.sampled_from([0.0, 0.5, 35.0]))
    def call_and_go_on(self, group: list[Call], seconds: float) -> None:
        self.world.run(self.world.group_begun(group, seconds))

    @rule()
    def reload(self) -> None:
        self.world.run(self.world.reload())

    @rule(name=ACCOUNT, climate=CLIMATE, at_once=FLAG)
    def climate_changes(self, name: str, climate: Climate, at_once: bool) -> None:
        self.world.site.set_climate(name, climate)
        if at_once:
            self.world.site.break_link(name)

    @rule(name=ACCOUNT)
    def link_breaks(self, name: str) -> None:
        self.world.site.break_link(name)

    @rule(weather=st.lists(WEATHER, min_size=2, max_size=6))
    def store_fails(self, weather: list[Weather]) -> None:
        assert isinstance(self.world.store, FaultyStore)
        self.world.store.weather.extend(weather)

    @rule(reads=st.integers(0, 1), observations=st.integers(0, 2))
    def more_fails(self, reads: int, observations: int) -> None:
        assert isinstance(self.world.store, FaultyStore)
        self.world.store.read_failures += reads
        self.world.store.observe_failures += observations

    @rule(seconds=st.sampled_from([0.01, 1.0, 61.0, 400.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.run(self.world.pass_time(seconds))

    @rule()
    def restart(self) -> None:
        self.world.run(self.world.restart())

    @rule()
    def rest(self) -> None:
        self.world.run(self.world.rest())

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            if not self.world.broken:
                self.world.run(self.world.rest())
        finally:
            self.world.close()


class OnSqlite(OnMemory):
    """The same on a file, through the real writer, with faults at the points of its transactions."""

    figures: ClassVar[Figures] = Figures()
    places: ClassVar[Path]
    _numbers: ClassVar[itertools.count[int]] = itertools.count()

    def made(self, seed: int | None) -> World:
        directory = self.places / str(next(self._numbers))
        asyncio.run(blank_database(directory / "data"))
        return World(self.figures, seed, lambda loop: FaultySqlite(directory / "data", loop))

    @rule(points=POINTS | UNKNOWN)
    def store_fails(self, points: list[str]) -> None:
        assert isinstance(self.world.store, FaultySqlite)
        self.world.store.fail_at(points)

    @rule()
    def more_fails(self) -> None:
        """Reads of the real store are not made to fail here."""


def explore(machine: type[OnMemory], examples: int, steps: int) -> None:
    budget = settings(
        max_examples=examples,
        stateful_step_count=steps,
        derandomize=not PROVE,
        deadline=None,
        database=None,
        print_blob=True,
        phases=PHASES,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=budget)
    if PROVE:
        print(f"\n{machine.__name__}: {examples} runs of at most {steps} rules: {machine.figures}")  # noqa: T201


@pytest.mark.timeout(0 if PROVE else 300)
def test_on_memory() -> None:
    explore(OnMemory, *((4000, 30) if PROVE else (160, 20)))


@pytest.mark.timeout(0 if PROVE else 300)
def test_on_sqlite(tmp_path: Path) -> None:
    OnSqlite.places = tmp_path
    explore(OnSqlite, *((250, 20) if PROVE else (15, 10)))
