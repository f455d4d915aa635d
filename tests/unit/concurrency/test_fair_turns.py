"""Who gets the next turn, and what is refused."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from shoal.concurrency.fair_queues import FairQueues
from shoal.concurrency.fair_threads import FairThreads, beside, beside_for_buyers
from shoal.concurrency.fair_turns import FairTurns, ServerBusy, asking_user
from shoal.errors import TooManyCalls
from support.site.standins import until


@contextmanager
def asked_by(person: int) -> Iterator[None]:
    token = asking_user.set(person)
    try:
        yield
    finally:
        asking_user.reset(token)


async def test_f9_turns_go_round_by_person_however_much_one_of_them_asks_for() -> None:
    turns, ending = FairTurns(1, waiting_each=10, waiting_all=20), asyncio.Event()
    order: list[int] = []

    async def work(person: int) -> None:
        with asked_by(person):
            async with turns.turn():
                order.append(person)
                await ending.wait()

    tasks = [asyncio.create_task(work(person)) for person in (1, 1, 1, 1, 2, 2, 3)]
    await until(lambda: order == [1])
    ending.set()
    await asyncio.gather(*tasks)
    assert order == [1, 1, 2, 3, 1, 2, 1]


async def test_turns_whose_callers_all_leave_at_once_are_passed_over_however_many_they_are() -> None:
    queues = FairQueues()
    leaving = [asyncio.create_task(queues.wait(number % 7, lambda: None)) for number in range(5_000)]
    await until(lambda: len(queues) == len(leaving))
    last = asyncio.create_task(queues.wait(1, lambda: None))
    await asyncio.sleep(0)
    for task in leaving:
        task.cancel()  # none of them has run since
    assert queues.give() == 1
    assert queues.give() is None
    await asyncio.wait_for(last, 60)
    assert all(
        isinstance(told, asyncio.CancelledError) for told in await asyncio.gather(*leaving, return_exceptions=True)
    )
    assert len(queues) == 0


async def test_f9_a_person_with_much_waiting_is_refused_but_never_one_with_nothing_waiting() -> None:
    turns, ending = FairTurns(2, waiting_each=2, waiting_all=3), asyncio.Event()

    async def work(person: int) -> None:
        with asked_by(person):
            async with turns.turn():
                await ending.wait()

    one = [asyncio.create_task(work(1)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyCalls) as mine:
        await work(1)
    assert (mine.value.code, mine.value.params["limit"]) == ("too_much_work", 2)
    two = [asyncio.create_task(work(2)) for _ in range(2)]  # the second place was never that of the first person
    await asyncio.sleep(0)
    with pytest.raises(ServerBusy):
        await work(2)
    three = [asyncio.create_task(work(3))]  # two with much waiting do not keep a third out
    await asyncio.sleep(0)
    with pytest.raises(ServerBusy):
        await work(3)
    for leaving in (one[2], three[0]):  # who leaves makes room in the queue
        leaving.cancel()
        await asyncio.wait({leaving})
    three = [asyncio.create_task(work(2)), asyncio.create_task(work(3))]
    await asyncio.sleep(0)
    ending.set()
    await asyncio.gather(*one[:2], *two, *three)
    async with asyncio.timeout(60):
        await work(4)


async def test_f9_who_leaves_in_the_moment_of_their_turn_gives_it_back() -> None:
    turns = FairTurns(1, waiting_each=2, waiting_all=4)
    person = await turns.take(1)
    waiting = asyncio.create_task(turns.take(2))
    await asyncio.sleep(0)
    turns.give_back(person)
    waiting.cancel()
    await asyncio.wait({waiting})
    async with asyncio.timeout(60):
        turns.give_back(await turns.take(3))


async def test_f9_a_flood_of_rule_checks_by_one_holds_up_neither_another_nor_buyers_nor_the_loops_own_threads() -> None:
    held = threading.Event()
    try:
        with asked_by(1):
            flood = [asyncio.create_task(beside(held.wait, 60)) for _ in range(30)]
            await asyncio.sleep(0)
        async with asyncio.timeout(60):
            with asked_by(2):
                assert await beside(sum, (1, 2)) == 3
            assert await beside_for_buyers(1, sum, (1, 2)) == 3
            assert await asyncio.to_thread(sum, (1, 2)) == 3
        assert not any(task.done() for task in flood)
    finally:
        held.set()
    await asyncio.gather(*flood)


async def test_f9_what_runs_for_a_person_who_left_keeps_its_place_until_it_has_ended() -> None:
    threads, held = FairThreads(1, name="test", waiting_each=4, waiting_all=4), threading.Event()
    try:
        left = asyncio.create_task(threads.run(held.wait, 60))
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.wait({left})
        next_one = asyncio.create_task(threads.run(sum, (1, 2)))
        await asyncio.sleep(0.05)
        assert not next_one.done()
        held.set()
        assert await next_one == 3
    finally:
        held.set()


def test_the_threads_of_a_loop_end_with_it() -> None:
    def mine() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if thread.name.startswith("shoal-work")}

    before = mine()

    async def both() -> set[threading.Thread]:
        await asyncio.gather(beside(sum, (1, 2)), beside(sum, (3, 4)))
        return mine() - before

    with asyncio.Runner() as runner:
        begun = runner.run(both())
    assert begun
    del runner
    gc.collect()
    for thread in begun:
        thread.join(60)
        assert not thread.is_alive()
