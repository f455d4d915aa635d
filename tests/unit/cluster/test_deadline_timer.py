"""The end of a lease is told once its deadline has passed, also by loops whose timers ring early or stand still."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from contextvars import Context
from pathlib import Path
from typing import TypeVarTuple

import pytest
import uvloop

from shoal.cluster.cluster_ownership import ClusterOwnership
from shoal.cluster.deadline_timer import DeadlineTimer
from shoal.cluster.lease_watchdog import boot_clock
from shoal.cluster.server_lease import LeaseTimes, ServerLease
from support.site.standins import until

Ts = TypeVarTuple("Ts")


class EarlyLoop(asyncio.SelectorEventLoop):
    """A loop whose timers ring 20 ms early. Those of uvloop ring up to half a millisecond early."""

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return super().call_later(max(0.0, delay - 0.02), callback, *args, context=context)


LOOPS = pytest.mark.parametrize("new_loop", [EarlyLoop, uvloop.new_event_loop])


class Told:
    """A listener that notes whether each shop was owned when it was told of the end."""

    def __init__(self, is_owned: Callable[[], bool]) -> None:
        self.owned: list[bool] = []
        self._is_owned = is_owned

    async def claimed(self, shards: Collection[int]) -> None:
        raise AssertionError

    losing = lost = claimed

    def lapsed(self) -> None:
        self.owned.append(self._is_owned())


@LOOPS
def test_a_node_tells_of_its_lease_after_the_deadline(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def run() -> None:
        node = ClusterOwnership("one", end=lambda: None)
        node._mine = dict.fromkeys(range(1024), 1)
        told = node._listener = Told(lambda: node.owns("shop"))
        node._deadline = boot_clock() + 0.05
        node._arm()
        await until(lambda: told.owned == [False])

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(run())


@LOOPS
def test_a_single_server_tells_of_its_lease_after_the_deadline(
    new_loop: Callable[[], asyncio.AbstractEventLoop], tmp_path: Path
) -> None:
    async def run() -> None:
        lease, owned = ServerLease(tmp_path / "lock", LeaseTimes(renew_seconds=3600.0)), []
        lease._deadline = boot_clock() + 0.05
        lease.keep(lambda: owned.append(lease.owns("shop")))
        await until(lambda: owned == [False])
        await lease.close()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(run())


@LOOPS
def test_no_timer_of_many_rings_before_its_deadline(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def run() -> None:
        early: list[float] = []
        rung = []

        def timer(deadline: float) -> DeadlineTimer:
            def passed() -> None:
                rung.append(deadline)
                if boot_clock() < deadline:
                    early.append(deadline - boot_clock())

            return DeadlineTimer(boot_clock, lambda: deadline, passed)

        now = boot_clock()
        for number in range(400):
            timer(now + 0.02 + number * 0.00013).arm()
        await until(lambda: len(rung) == 400)
        assert not early

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(run())


async def test_a_machine_that_slept_beyond_the_deadline_tells_soon_after_it_woke() -> None:
    slept, rung = 0.0, []
    deadline = boot_clock() + 3600
    timer = DeadlineTimer(lambda: boot_clock() + slept, lambda: deadline, lambda: rung.append(True))
    timer.arm()
    await asyncio.sleep(0)
    assert not rung
    slept = 4000.0
    await until(lambda: bool(rung))
    assert rung == [True]


async def test_a_deadline_that_is_moved_is_waited_for_and_one_that_is_cancelled_is_not() -> None:
    rung: list[str] = []
    deadline = boot_clock() + 0.01
    moved = DeadlineTimer(boot_clock, lambda: deadline, lambda: rung.append("moved"))
    moved.arm()
    deadline = boot_clock() + 3600
    cancelled = DeadlineTimer(boot_clock, lambda: 0.0, lambda: rung.append("cancelled"))
    cancelled.arm()
    cancelled.cancel()
    other = DeadlineTimer(boot_clock, lambda: 0.0, lambda: rung.append("other"))
    await asyncio.sleep(0.02)
    other.arm()
    await until(lambda: bool(rung))
    assert rung == ["other"]
    deadline = boot_clock()
    await until(lambda: rung == ["other", "moved"])
