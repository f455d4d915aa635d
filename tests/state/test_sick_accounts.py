"""One sick account delays no other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shoal.accounts.account import AccountState
from state.figures import Figures
from state.model import Call
from state.scenarios import ADDED, flaps
from state.sites import Climate
from state.world import World

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
