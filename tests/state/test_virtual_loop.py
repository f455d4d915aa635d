"""The virtual loop: a seed is a schedule, time costs nothing, a deadlock is told."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from state.scenarios import _as_coroutine
from state.virtual_loop import NothingLeftError, VirtualLoop, interrupted


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


def test_time_stands_still_for_a_thread_of_which_the_loop_has_not_learnt() -> None:
    loop, at_work, times = VirtualLoop(), threading.Event(), list[float]()
    loop.stands_still = at_work.is_set

    def note() -> None:
        times.append(loop.time())

    def elsewhere() -> None:
        time.sleep(0.05)  # in which a virtual hour passes many times
        at_work.clear()
        loop.call_soon_threadsafe(note)

    async def scenario() -> None:
        at_work.set()
        threading.Thread(target=elsewhere).start()
        await asyncio.sleep(3600)

    loop.run_until_complete(scenario())
    loop.finish()
    assert times == [0.0]


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
