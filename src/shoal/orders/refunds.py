"""Asks the site whether refunds of one connection's orders have ended: the page of the order decides.

It is asked after each update of such an order, whatever that says, and when the owner wants the order served.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import structlog

from shoal.clock import now_ms
from shoal.errors import StoreError
from shoal.messages.task_drain import TaskDrain, begin
from shoal.orders.order_pages import OrderPages, PageRead
from shoal.orders.order_records import Order, OrderUpdate
from shoal.orders.order_status import REFUND_CANCELLED, OrderStatus
from shoal.orders.order_store import OrderStore
from shoal.orders.refund_store import PageSays, Refund

log = structlog.get_logger("shoal.orders")

LAG_SECONDS = 3.0
"""How long a page may lag behind the card of a request: it is not asked earlier, for it would still say "paid"."""
WAITS_SECONDS = (0.0, 3.0, 30.0, 300.0)
"""The waits before a page is asked after an update; the later ones because it may lag behind the card, or fail."""


class Refunds:
    """The open refunds of one connection's orders."""

    def __init__(
        self,
        order_store: OrderStore,
        pages: OrderPages,
        tasks: asyncio.TaskGroup,
        work: TaskDrain,
        serve: Callable[[Order], None],
        *,
        account_id: str,
    ) -> None:
        """``tasks`` are those of the connection, ``work`` those that may finish when it ends.

        ``serve`` is called with each order whose refund has ended.
        """
        self._store = order_store
        self._pages = pages
        self._tasks = tasks
        self._work = work
        self._serve = serve
        self._account_id = account_id
        self._noted: dict[str, asyncio.Event] = {}

    def note(self, order: Order) -> None:
        """Ask for the page of an order that is being refunded, because there is an update of it."""
        if (noted := self._noted.get(order.order_id)) is not None:
            noted.set()
            return
        name = f"refund:{self._account_id}:{order.order_id}"
        self._noted[order.order_id] = asyncio.Event()
        if not begin(self._tasks, self._until_ended(order.order_id), name=name):
            del self._noted[order.order_id]

    async def _until_ended(self, order_id: str) -> None:
        noted, waits = self._noted[order_id], list(WAITS_SECONDS)
        try:
            while waits:
                with suppress(TimeoutError):
                    async with asyncio.timeout(waits.pop(0)):
                        await noted.wait()
                if noted.is_set():
                    noted.clear()
                    waits = list(WAITS_SECONDS[1:])
                if await self._has_ended(order_id):
                    return
        finally:
            del self._noted[order_id]

    async def _has_ended(self, order_id: str) -> bool:
        try:
            refund = await self._store.refunds.of_order(self._account_id, order_id)
            if refund is None:
                return True
            page = await self._read(refund)
            if page is None or page.order.status == OrderStatus.REFUNDING:
                return False
            self._serve(page.order)
        except StoreError as error:
            log.warning("refund not looked at", account=self._account_id, order=order_id, why=error.code)
            return False
        return True

    async def _read(self, refund: Refund) -> PageRead | None:
        """Ask for the page of an order; not so early that it may show what was before the request."""
        rest = LAG_SECONDS - (now_ms() - refund.at_ms) / 1000
        await asyncio.sleep(min(max(rest, 0.0), LAG_SECONDS))
        return await self._pages.read(refund.order, refund=refund.id)

    # ── for ``RefundStore`` ─────────────────────────────────────────────────────────────────────────────────────

    def was_asked_for(self, order_id: str) -> None:
        """Let the page of an order be read again before the order is served: it was read before its refund."""
        self._pages.outdated(order_id)

    async def ask_for_owner(self, order_id: str, *, actor: str) -> PageSays:
        """Ask for the page of an order that its owner wants served.

        Where its words are not known, the owner's word counts: who asks for the order has seen the page.
        """
        answers = [PageSays.UNREAD]
        asking = self._work.start(self._asked(order_id, actor, answers), name=f"refund:{self._account_id}:{order_id}")
        if asking is not None:
            await asyncio.wait({asking})  # it reports its own error
        return answers[-1]

    async def _asked(self, order_id: str, actor: str, answers: list[PageSays]) -> None:
        refund = await self._store.refunds.of_order(self._account_id, order_id)
        page = None if refund is None else await self._read(refund)
        if refund is None:
            answers.append(PageSays.ENDED)
        elif page is not None:
            order = page.order
            if order.status == OrderStatus.REFUNDING and not page.status:
                ended = OrderUpdate(order_id=order_id, status=REFUND_CANCELLED, source=actor, refund=refund.id)
                order = (await self._store.receive(self._account_id, ended)).order
            answers.append(PageSays.OPEN if order.status == OrderStatus.REFUNDING else PageSays.ENDED)
