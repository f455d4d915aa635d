"""Follows the group prices (小刀) of one connection that wait: for the site to say that they are ready, or too long."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import structlog

from shoal.concurrency.small_event import SmallEvent
from shoal.errors import StoreError
from shoal.messages.task_drain import begin
from shoal.orders.order_records import Order
from shoal.orders.order_store import OrderStore

log = structlog.get_logger("shoal.orders")

WAITS_SECONDS = (2.0, 8.0, 20.0, 60.0, 90.0, 130.0)
"""The waits between two looks at an order. All together exceed ``GROUP_PATIENCE_MS``: the last notifies the owner."""


class Ask(Protocol):
    """Asks the site about an order and serves it when it is ready. ``is_last``: no check follows this one."""

    def __call__(self, order: Order, *, is_last: bool) -> Awaitable[None]:
        """Ask about one order."""


@dataclass(slots=True)
class _Wait:
    looks: int
    at: float


class GroupPrices:
    """Looks at the waiting group prices of one account, each at growing intervals, until they are ready or too late.

    It runs only while one waits.
    """

    def __init__(self, order_store: OrderStore, tasks: asyncio.TaskGroup, ask: Ask, *, account_id: str) -> None:
        self._store = order_store
        self._tasks = tasks
        self._ask = ask
        self._account_id = account_id
        self._waits: dict[str, _Wait] = {}
        self._is_looking = False
        self._changed = SmallEvent()

    def forget(self, order_id: str) -> None:
        """Follow an order from the beginning again if it still waits: its completion has just been settled."""
        self._waits.pop(order_id, None)

    async def look(self) -> None:
        """Follow the group prices that wait now, besides those that are followed. Raise ``StoreError``."""
        now = asyncio.get_running_loop().time()
        for order in await self._store.waiting_groups(self._account_id):
            self._waits.setdefault(order.order_id, _Wait(0, now + WAITS_SECONDS[0]))
        self._changed.set()
        if not self._is_looking and self._next_at() < math.inf:
            self._is_looking = begin(self._tasks, self._until_none_waits(), name=f"groups:{self._account_id}")

    def _next_at(self) -> float:
        return min((wait.at for wait in self._waits.values()), default=math.inf)

    async def _until_none_waits(self) -> None:
        try:
            while (at := self._next_at()) < math.inf:
                self._changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(at):
                        await self._changed.wait()  # another order may be due earlier
                try:
                    await self._look_at_those_due()
                except StoreError as error:
                    log.warning("group prices not looked at", account=self._account_id, why=error.code)
        finally:
            self._is_looking = False

    async def _look_at_those_due(self) -> None:
        now = asyncio.get_running_loop().time()
        due = [order_id for order_id, wait in self._waits.items() if wait.at <= now]
        for order_id in due:
            self._waits[order_id].at = now + WAITS_SECONDS[0]  # a look that the database cuts short does not count
        waiting = {order.order_id: order for order in await self._store.waiting_groups(self._account_id)}
        for order_id in due:
            wait = self._waits.get(order_id)
            if order_id not in waiting or wait is None:
                self.forget(order_id)
                continue
            looks = wait.looks + 1
            is_last = looks == len(WAITS_SECONDS)
            await self._ask(waiting[order_id], is_last=is_last)
            await self._store.look_again(self._account_id, order_id)
            wait.looks, wait.at = looks, math.inf if is_last else now + WAITS_SECONDS[looks]
