"""Reads the pages of orders on the site over one connection; one that could not be read is read again later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

import structlog

from shoal.accounts.account_task import Link
from shoal.concurrency.fair_limiter import FairLimiter
from shoal.errors import InvalidInput, StoreError, TemporaryFailure
from shoal.messages.task_drain import begin
from shoal.orders.order_rows import PAGE
from shoal.orders.order_status import OrderStatus
from shoal.orders.order_store import Order, OrderStore, OrderUpdate
from shoal.storage.known_item_rows import SeenItem
from shoal.xianyu.mtop import MtopClient, MtopRefused
from shoal.xianyu.trade_texts import status_named

log = structlog.get_logger("shoal.order_pages")

AGAIN_SECONDS = (60.0, 600.0, 3600.0)
"""The waits before a page that could not be read is read again: it says how many pieces were bought."""
OnRead = Callable[[Order, bool], object]
"""Takes each order whose page was read and stored, and whether the page named its item."""


class PageRead(NamedTuple):
    """An order after its page was read, and the status that the page shows; empty when its words are not known."""

    order: Order
    status: str


class OrderPages:
    """The pages of one connection's orders."""

    def __init__(
        self,
        link: Link,
        mtop: MtopClient,
        order_store: OrderStore,
        tasks: asyncio.TaskGroup,
        *,
        account_id: str,
        pace: FairLimiter,
        on_read: OnRead | None = None,
    ) -> None:
        self._on_read = on_read
        self._link = link
        self._mtop = mtop
        self._store = order_store
        self._tasks = tasks
        self._account_id = account_id
        self._pace = pace
        self._unpaid: dict[str, bool] = {}
        """For each order asked about over this connection: whether its page says that it is unpaid."""
        self._unread: set[str] = set()
        self._followed: set[str] = set()

    def was_asked(self, order_id: str) -> bool:
        """Return whether an order's page was asked for, and its payment has not changed since."""
        return order_id in self._unpaid

    def is_unpaid(self, order_id: str) -> bool:
        """Return whether an order's page says that it is unpaid, or that there is no such order."""
        return self._unpaid.get(order_id, False)

    def outdated(self, order_id: str) -> None:
        """Forget what an order's page showed about its payment."""
        self._unpaid.pop(order_id, None)

    async def look_up(self, order: Order) -> Order | None:
        """Read the page of an order. Return the order after it, or ``None`` when the site does not answer."""
        page = await self.read(order)
        return None if page is None else page.order

    async def read(self, order: Order, *, refund: int = 0) -> PageRead | None:
        """Ask the site about an order and store the answer. Return ``None`` when it does not answer.

        A page that names another buyer than the card did is that of another order: it does not count. ``refund``: the
        id of the open refund that the page may end. Raise ``ActionRequired``.
        """
        await self._pace.acquire()
        if not self._link.allows():
            return None
        try:
            seen = await self._mtop.order_detail(order.order_id)
        except (MtopRefused, InvalidInput, TemporaryFailure) as failure:
            denied = isinstance(failure, MtopRefused) and failure.denies_existence
            self._unpaid[order.order_id] = denied
            if isinstance(failure, TemporaryFailure):
                self._unread.add(order.order_id)
            log.info("order not looked up", account=self._account_id, order=order.order_id, why=failure.code)
            return None
        account = self._link.current()
        unb = account.unb if account is not None else ""
        if order.buyer_id and seen.buyer_id and seen.buyer_id not in {order.buyer_id, unb}:
            self._unpaid[order.order_id] = False
            self._unread.add(order.order_id)
            log.warning("order's page is of another buyer", account=self._account_id, order=order.order_id)
            return None
        self._unread.discard(order.order_id)
        if unb and seen.buyer_id == unb:
            self._unpaid[order.order_id] = False
            await self._store.is_purchase(self._account_id, order.order_id)
            log.info("order is a purchase of the account", account=self._account_id, order=order.order_id)
            return None
        status = status_named(seen.status_words)
        self._unpaid[order.order_id] = status == OrderStatus.PROCESSING
        update = OrderUpdate(
            order_id=order.order_id,
            status=status,
            source=PAGE,
            item_id=seen.item_id or None,
            buyer_id="" if order.buyer_id else seen.buyer_id,
            amount=seen.amount,
            quantity=seen.quantity,
            spec_name=seen.spec_name,
            spec_value=seen.spec_value,
            words=seen.status_words,
            item=SeenItem(item_id=seen.item_id, title=seen.item_title, site_picture=seen.item_picture),
            refund=refund,
        )
        stored = (await self._store.receive(self._account_id, update)).order
        if self._on_read is not None:
            self._on_read(stored, bool(seen.item_title))
        if stored.status == OrderStatus.REFUNDING:
            self.outdated(order.order_id)  # it is read again before anything is sent
        return PageRead(stored, status)

    def follow(self, order: Order) -> None:
        """Read an order's page later if it could not be read: what was bought is not known yet."""
        if order.order_id in self._unread and order.order_id not in self._followed:
            name = f"page:{self._account_id}:{order.order_id}"
            if begin(self._tasks, self._until_read(order), name=name):
                self._followed.add(order.order_id)

    async def _until_read(self, order: Order) -> None:
        for seconds in AGAIN_SECONDS:
            await asyncio.sleep(seconds)
            if order.order_id not in self._unread:
                break
            try:
                await self.look_up(order)
                self._store.look(self._account_id)
            except StoreError as error:
                log.warning("order's page not stored", account=self._account_id, why=error.code)
        self._followed.discard(order.order_id)
