"""The disk fails at one write of an order, each in turn: nothing is done twice, and what is not done is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection

from shoal.errors import CommitUnknown, NotApplied, StoreError
from shoal.orders import order_pages, orders
from shoal.orders.order_store import ActionState, Order
from support.orders.order_steps import CONSIGN, PATIENCE, pay, paying_shop, running
from support.site.sandboxed import Shoal

_AT_REST = {ActionState.DONE, ActionState.NOT_NEEDED, ActionState.FAILED, ActionState.UNCERTAIN}


class Disk:
    """Lets one write fail: before it is done (full), or after it (its outcome is unknown)."""

    def __init__(self, shoal: Shoal, error: type[StoreError]) -> None:
        self._write = shoal.database.write
        self._error = error
        self._left = -1
        self.failed = False

    def fail_after(self, writes: int) -> None:
        """Let so many writes pass first."""
        self._left, self.failed = writes, False

    async def write(self, job: Callable[[Connection], Any], **told: Any) -> Any:
        self._left -= 1
        if self._left != -1:
            return await self._write(job, **told)
        self.failed = True
        if self._error is CommitUnknown:
            await self._write(job, **told)
        raise self._error("the disk is full")


@pytest.mark.parametrize("error", [NotApplied, CommitUnknown])
async def test_c8_a_write_that_fails_at_any_step_repeats_nothing_and_hides_nothing(
    shoal: Shoal, error: type[StoreError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "FIRST_WAIT_SECONDS", 0.2)
    monkeypatch.setattr(order_pages, "AGAIN_SECONDS", (0.2,) * 100)
    unb = await paying_shop(shoal)
    disk = Disk(shoal, error)
    monkeypatch.setattr(shoal.database, "write", disk.write)
    done, told = 0, set()
    for place in range(100):
        disk.fail_after(place)
        order_id = await pay(shoal, unb, mark=False)
        order = await _at_rest(shoal, order_id)
        has_failed = disk.failed
        disk.fail_after(-1)
        words = [line for line in await shoal.sandbox.seen(unb, "小鱼") if line.endswith(order_id)]
        site = next(one for one in (await shoal.sandbox.get("orders"))["items"] if one["id"] == order_id)
        confirmed = [attempt for attempt in site["attempts"] if CONSIGN in attempt["api"]]
        assert len(words) <= 1, place
        assert len(confirmed) <= 1, place
        if order.problem:
            told.add(order.problem)
        else:
            assert (order.status, len(words), len(confirmed)) == ("shipped", 1, 1), place
            done += 1
        if not has_failed:
            break
        await running(shoal)
    assert not has_failed
    assert done > 5
    assert told <= {"message_uncertain", "confirm_uncertain"}


async def _at_rest(shoal: Shoal, order_id: str) -> Order:
    """Wait until nothing is due for an order or under way."""
    async with asyncio.timeout(PATIENCE):
        while True:
            order = await shoal.book.order("shop", order_id)
            states = {order_action.state for order_action in await shoal.book.order_actions("shop", order_id)}
            if order is not None and states and states <= _AT_REST and (order.problem or order.status == "shipped"):
                return order
            await asyncio.sleep(0.02)
