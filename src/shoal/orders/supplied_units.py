"""Fetches the units of orders whose goods come from a supplier, beside the other orders of a connection.

A supplier may take a minute. Until it has answered, the order's message stays due, and other orders are served.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from shoal.errors import Conflict, InvalidInput
from shoal.goods.stock_history import By
from shoal.goods.supplier_units import Fetched, SupplierUnits, UnitsOfOrder
from shoal.messages.task_drain import TaskDrain
from shoal.orders.delivery_rows import AUTO
from shoal.orders.explain_order import Explained
from shoal.orders.order_records import Order
from shoal.orders.order_status import NOTHING_DUE
from shoal.orders.order_store import Action, ActionState, OrderStore, Why

log = structlog.get_logger("shoal.orders")


class SuppliedUnits:
    """The units that one connection waits for."""

    def __init__(
        self, units: SupplierUnits | None, order_store: OrderStore, work: TaskDrain, *, account_id: str
    ) -> None:
        """``units`` asks the suppliers; without it no order of their goods is served. ``work`` owns the tasks."""
        self._units = units
        self._store = order_store
        self._work = work
        self._account_id = account_id
        self._fetching: set[str] = set()
        self._ready: set[str] = set()

    def are_there(self, order: Order, explained: Explained, unb: str, may: Callable[[], bool]) -> bool:
        """Return whether the order has all its units. Otherwise they are being fetched: it is looked at again then.

        ``may`` is asked before each unit. What cannot be fetched becomes the order's problem.
        """
        order_id = order.order_id
        if order_id in self._ready:
            self._ready.discard(order_id)
            return True
        if order_id not in self._fetching:
            self._fetching.add(order_id)
            work = self._fetch(order, explained, unb, may)
            if self._work.start(work, name=f"supplier:{self._account_id}:{order_id}") is None:
                self._fetching.discard(order_id)  # the connection is ending
        return False

    async def _fetch(self, order: Order, explained: Explained, unb: str, may: Callable[[], bool]) -> None:
        try:
            found = await self._found(order, explained, unb, may)
            if await self._has_ended(order.order_id):  # perhaps while a unit was being bought
                found = Fetched.STOPPED
                await self._give_back(unb, order.order_id, Why.ORDER_ENDED)
        finally:
            self._fetching.discard(order.order_id)
        if found == Fetched.STOPPED:  # perhaps the switch was turned off: then the order says so
            self._store.look(self._account_id)
            return
        if found == Fetched.READY:
            self._ready.add(order.order_id)
            self._store.look(self._account_id)
            return
        log.warning("units not fetched", account=self._account_id, order=order.order_id, why=str(found))
        await self._store.settle_action(
            self._account_id, order.order_id, Action.PAID_MESSAGE, ActionState.FAILED, str(found)
        )

    async def _found(self, order: Order, explained: Explained, unb: str, may: Callable[[], bool]) -> str:
        """Return what became of it: a ``Fetched``, or the code of another problem."""
        goods_id = explained.rule.goods_id if explained.rule is not None else None
        goods = None if goods_id is None else await self._store.goods.get(goods_id)
        if goods is None or self._units is None:
            return Fetched.REFUSED

        async def is_still_due() -> bool:
            return may() and not await self._has_ended(order.order_id)

        wanted = UnitsOfOrder(
            goods=goods,
            unb=unb,
            order_id=order.order_id,
            count=explained.wanted,
            spec=explained.rule.spec if explained.rule is not None else "",
            item_id=order.item_id or "",
        )
        by = By(actor=AUTO)
        try:
            return await self._units.fetch(wanted, by, is_still_due=is_still_due)
        except Conflict as conflict:
            if conflict.code != "order_has_other_units":
                return conflict.code
        except InvalidInput as refusal:
            return refusal.code
        # Its rule was changed: the units of before go back to their own stock.
        await self._give_back(unb, order.order_id, "planned_anew")
        return await self._units.fetch(wanted, by, is_still_due=is_still_due)

    async def _has_ended(self, order_id: str) -> bool:
        now = await self._store.order(self._account_id, order_id)
        return now is None or now.status in NOTHING_DUE

    async def _give_back(self, unb: str, order_id: str, reason: str) -> None:
        if self._units is not None:
            await self._units.give_back(unb, order_id, By(actor=AUTO), reason=reason)
