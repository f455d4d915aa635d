"""The queue of one connection's orders: who paid first is served first, a few at the same time.

What is due is stored in the database; a new connection adds it again. So nothing is lost when the queue ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from heapq import heappop, heappush
from typing import Any, NamedTuple

from shoal.messages.task_drain import TaskDrain
from shoal.orders.order_records import Order

AT_ONCE = 4
"""How many orders are served at the same time: the page of one is read while the shipment of another is confirmed."""

Serve = Callable[[str, Order | None], Coroutine[Any, Any, None]]
"""Serves an order by its id; the order is given when it was read already."""


class _Place(NamedTuple):
    """The place of an order in the queue."""

    paid_at_ms: int
    order_id: str


class OrderQueue:
    """Serves orders by their time of payment."""

    def __init__(self, work: TaskDrain, serve: Serve, *, account_id: str) -> None:
        self._work = work
        self._serve = serve
        self._account_id = account_id
        self._places: list[_Place] = []
        """The places of ``_waiting``, as a heap."""
        self._waiting: dict[str, Order | None] = {}
        self._served: set[str] = set()
        self._again: dict[str, _Place] = {}
        """The orders that were added again while they were served."""
        self._before: dict[str, _Place] = {}
        """The orders that are served and have not let later payments pass."""
        self._passed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def add(self, order_id: str, paid_at_ms: int, order: Order | None = None) -> None:
        """Serve an order when it is its turn. One that is being served is served once more afterwards."""
        place = _Place(paid_at_ms, order_id)
        if order_id in self._served:
            self._again[order_id] = place
            return
        if order_id not in self._waiting:
            heappush(self._places, place)
        self._waiting[order_id] = order
        self._begin()

    async def first(self, order_id: str) -> None:
        """Wait until no order that is being served and was paid earlier comes before this one."""
        while (place := self._before.get(order_id)) is not None and min(self._before.values()) < place:
            self._passed.clear()
            await self._passed.wait()

    def let_pass(self, order_id: str) -> None:
        """Let orders that were paid later pass this one: it has what it needs from the queue, or it must wait."""
        if self._before.pop(order_id, None) is not None:
            self._passed.set()

    async def idle(self) -> None:
        """Wait until no order waits or is being served."""
        await self._idle.wait()

    def _begin(self) -> None:
        while self._places and len(self._served) < AT_ONCE:
            place = heappop(self._places)
            order = self._waiting.pop(place.order_id)
            name = f"order:{self._account_id}:{place.order_id}"
            serving = self._work.start(self._serve(place.order_id, order), name=name)
            if serving is None:  # the connection ends: the next one finds in the database what is due
                self._drop()
                break
            self._idle.clear()
            self._served.add(place.order_id)
            self._before[place.order_id] = place
            serving.add_done_callback(partial(self._ended, place.order_id))

    def _ended(self, order_id: str, serving: asyncio.Task[None]) -> None:
        self.let_pass(order_id)
        self._served.discard(order_id)
        again = self._again.pop(order_id, None)
        if serving.cancelled() or serving.exception() is not None:  # ``TaskDrain`` reports it: the connection ends
            self._drop()
        elif again is not None:
            self.add(order_id, again.paid_at_ms)
        self._begin()
        if not self._served:
            self._idle.set()

    def _drop(self) -> None:
        self._places.clear()
        self._waiting.clear()
        self._again.clear()
