"""The queue of a connection's orders, without a site."""

from __future__ import annotations

import asyncio

import pytest

from shoal.messages.task_drain import TaskDrain
from shoal.orders.order_queue import AT_ONCE, OrderQueue
from shoal.orders.order_records import Order


class Served:
    """A queue whose orders are held until the test lets them go."""

    def __init__(self) -> None:
        self.work = TaskDrain()
        self.queue = OrderQueue(self.work, self._serve, account_id="shop")
        self.begun: list[str] = []
        self.sent: list[str] = []
        self.page: dict[str, asyncio.Event] = {}
        self.confirmed: dict[str, asyncio.Event] = {}
        self.fails: set[str] = set()

    async def _serve(self, order_id: str, order: Order | None) -> None:
        self.begun.append(order_id)
        await self.page.setdefault(order_id, asyncio.Event()).wait()
        if order_id in self.fails:
            raise ValueError(order_id)
        await self.queue.first(order_id)
        self.sent.append(order_id)
        self.queue.let_pass(order_id)
        await self.confirmed.setdefault(order_id, asyncio.Event()).wait()

    async def read(self, *order_ids: str) -> None:
        for order_id in order_ids:
            self.page.setdefault(order_id, asyncio.Event()).set()
        await _settle()

    async def confirm(self, *order_ids: str) -> None:
        for order_id in order_ids:
            self.confirmed.setdefault(order_id, asyncio.Event()).set()
        await _settle()


async def _settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_the_first_payment_is_served_first_and_only_a_few_at_once() -> None:
    served = Served()
    for paid_at_ms in (3, 1, 7, 5, 2, 6, 4):
        served.queue.add(f"o{paid_at_ms}", paid_at_ms)
    await _settle()
    assert len(served.begun) == AT_ONCE
    await served.read(*(f"o{number}" for number in range(1, 8)))
    await served.confirm(*(f"o{number}" for number in range(1, 8)))
    await served.queue.idle()
    first = served.begun[:AT_ONCE]  # they began before the others were known
    assert served.sent[:AT_ONCE] == sorted(first)
    assert served.sent[AT_ONCE:] == sorted({f"o{number}" for number in range(1, 8)} - set(first))


async def test_no_message_of_a_later_payment_comes_before_an_earlier_one_that_is_being_served() -> None:
    served = Served()
    served.queue.add("late", 2)
    served.queue.add("early", 1)
    await served.read("late")
    assert served.sent == []
    await served.read("early")
    assert served.sent == ["early", "late"]  # beside the confirmation of the early one
    await served.confirm("early", "late")


async def test_an_order_that_lets_pass_holds_nobody_back() -> None:
    served = Served()
    served.queue.add("early", 1)
    served.queue.add("late", 2)
    await served.read("late")
    served.queue.let_pass("early")
    await _settle()
    assert served.sent == ["late"]
    await served.read("early")
    assert served.sent == ["late", "early"]


async def test_an_order_added_while_it_is_served_is_served_once_more() -> None:
    served = Served()
    served.queue.add("one", 1)
    await _settle()
    served.queue.add("one", 1)
    served.queue.add("one", 1)
    await served.read("one")
    await served.confirm("one")
    await served.queue.idle()
    assert served.begun == ["one", "one"]


async def test_a_failure_ends_the_queue_because_it_ends_the_connection() -> None:
    served = Served()
    served.fails.add("o1")
    for number in range(1, 10):
        served.queue.add(f"o{number}", number)
    await served.read("o1")
    with pytest.raises(ValueError, match="o1"):
        await served.work.failure()
    assert len(served.begun) == AT_ONCE
    assert await served.work.finish(0.0)
    await asyncio.wait_for(served.queue.idle(), 5)


async def test_nothing_begins_after_the_connection_has_ended() -> None:
    served = Served()
    await served.work.finish(0.0)
    served.queue.add("one", 1)
    await asyncio.wait_for(served.queue.idle(), 5)
    assert served.begun == []
