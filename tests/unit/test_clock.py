from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace

import pytest

from shoal import clock
from shoal.clock import SiteClock, now_ms, reading, steady_ms


def test_it_is_the_machines_clock_unless_another_is_given() -> None:
    assert abs(now_ms() - time.time() * 1000) < 1000


async def test_another_clock_is_read_by_what_is_started_from_there_and_by_nobody_else() -> None:
    async def ask() -> int:
        await asyncio.sleep(0)
        return now_ms()

    with reading(lambda: 7):
        inside = asyncio.create_task(ask())
    outside = asyncio.create_task(ask())
    assert await inside == 7
    assert await outside > 7


HOUR_MS = 3600_000


class Machine:
    """A machine whose clock can be set: ``wall`` is what it shows, ``steady`` goes on evenly."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, wall_ms: int) -> None:
        self.wall_ms, self.steady = wall_ms, 500
        kinds = {"time_ns": lambda: self.wall_ms * 10**6, "monotonic_ns": lambda: self.steady * 10**6}
        monkeypatch.setattr(clock, "time", SimpleNamespace(**kinds))

    def pass_by(self, ms: int) -> None:
        self.wall_ms += ms
        self.steady += ms


@pytest.mark.parametrize("wrong_by_ms", [-30 * HOUR_MS, -6_000, 6_000, 30 * HOUR_MS])
def test_what_the_site_told_is_as_long_ago_by_our_clock_however_wrong_that_is(
    monkeypatch: pytest.MonkeyPatch, wrong_by_ms: int
) -> None:
    site_ms = 1_750_000_000_000
    machine = Machine(monkeypatch, site_ms + wrong_by_ms)
    site = SiteClock(site_ms)
    machine.pass_by(60_000)
    assert site.ours(site_ms + 59_000) == now_ms() - 1_000
    machine.wall_ms += HOUR_MS
    assert site.ours(site_ms + 59_000) == now_ms() - 1_000, "also when it is set in between"


def test_clocks_that_nearly_agree_are_taken_for_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, 1_750_000_000_000)
    site = SiteClock(machine.wall_ms + 4_000)
    assert site.ours(1_750_000_000_123) == 1_750_000_000_123


@pytest.mark.parametrize("told_ms", [0, -1, 2**53, 10**30])
def test_a_site_that_tells_no_moment_is_taken_to_agree(told_ms: int) -> None:
    assert (SiteClock(told_ms).ours(7), SiteClock(told_ms).ahead_ms) == (7, 0)


def test_nothing_happened_before_1970(monkeypatch: pytest.MonkeyPatch) -> None:
    Machine(monkeypatch, 1_000)
    assert SiteClock(1_750_000_000_000).ours(1) == 0


def test_on_a_clock_of_ones_own_time_goes_on_as_that_says() -> None:
    with reading(lambda: 7):
        assert steady_ms() == 7
