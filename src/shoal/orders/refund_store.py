"""Open refunds of orders: which there are, by which entry of the timeline each is known, and who asks the site."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import NamedTuple, Protocol

from sqlalchemy import ColumnElement, Connection, and_, func, select

from shoal.orders.order_records import Order, order_of
from shoal.orders.order_status import OrderStatus
from shoal.storage.database import Database
from shoal.storage.order_tables import order_events, orders

MOST_LOOKED_AT = 20
"""How many open refunds a new connection asks the site about."""
OLDEST_MS = 30 * 24 * 3600_000
"""How old their orders are at most."""


class Refund(NamedTuple):
    """An order that is being refunded. ``id`` is the newest entry of its timeline that says so, and ``at_ms`` its time.

    A refund that is asked for again has another id: what was read from the page before speaks of the earlier one.
    """

    order: Order
    id: int
    at_ms: int


class PageSays(StrEnum):
    """What the page of an order says about its refund."""

    ENDED = "ended"
    OPEN = "open"
    UNREAD = "unread"
    """It could not be read."""


class Asking(Protocol):
    """A connection that can ask the site about the refunds of an account."""

    def was_asked_for(self, order_id: str) -> None:
        """Note that the refund of an order was asked for: what its page said before does not count any more."""

    def ask_for_owner(self, order_id: str, *, actor: str) -> Awaitable[PageSays]:
        """Ask for the page of an order that its owner wants served. Do not raise."""


def refund_id(connection: Connection, account_id: str, order_id: str) -> int:
    """Return the id of the newest entry of an order's timeline by which it is being refunded; 0 without one."""
    mine = and_(order_events.c.account_id == account_id, order_events.c.order_id == order_id)
    says_so = and_(mine, order_events.c.status == OrderStatus.REFUNDING.value)
    return connection.scalar(select(func.max(order_events.c.id)).where(says_so)) or 0


class RefundStore:
    """The open refunds of all accounts."""

    def __init__(self, database: Database, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._now_ms = now_ms
        self._asking: dict[str, Asking] = {}

    @contextmanager
    def asking(self, account_id: str, connection: Asking) -> Iterator[None]:
        """Until the block ends, let ``connection`` ask about the account's refunds. A late end ends no later one."""
        self._asking[account_id] = connection
        try:
            yield
        finally:
            if self._asking.get(account_id) is connection:
                del self._asking[account_id]

    def changed(self, order: Order) -> None:
        """Tell the connection of an account that an order is being refunded, after that is stored."""
        if order.status == OrderStatus.REFUNDING and (connection := self._asking.get(order.account_id)) is not None:
            connection.was_asked_for(order.order_id)

    async def ask_for_owner(self, account_id: str, order_id: str, *, actor: str) -> PageSays:
        """Ask the site for the page of an order that its owner wants served: a page that says so ends the refund.

        It stays open when the account has no connection on this server.
        """
        connection = self._asking.get(account_id)
        return PageSays.OPEN if connection is None else await connection.ask_for_owner(order_id, actor=actor)

    async def of_order(self, account_id: str, order_id: str) -> Refund | None:
        """Return the open refund of an order, or ``None``."""
        query = select(orders).where(orders.c.account_id == account_id, orders.c.order_id == order_id, _OPEN)

        def job(connection: Connection) -> Refund | None:
            row = connection.execute(query).mappings().first()
            if row is None:
                return None
            entry = refund_id(connection, account_id, order_id)
            at_ms = connection.scalar(select(order_events.c.at_ms).where(order_events.c.id == entry))
            return Refund(order_of(row), entry, at_ms or 0)

        return await self._database.read(job)

    async def in_chat(self, account_id: str, chat_id: str) -> list[Order]:
        """Return the orders of a chat that are being refunded."""
        return await self._orders(and_(orders.c.account_id == account_id, orders.c.chat_id == chat_id))

    async def newest(self, account_id: str) -> list[Order]:
        """Return the newest orders of an account that are being refunded."""
        since_ms = self._now_ms() - OLDEST_MS
        return await self._orders(and_(orders.c.account_id == account_id, orders.c.created_at_ms > since_ms))

    async def _orders(self, which: ColumnElement[bool]) -> list[Order]:
        query = select(orders).where(which, _OPEN).order_by(orders.c.created_at_ms.desc()).limit(MOST_LOOKED_AT)
        return await self._database.read(
            lambda connection: [order_of(row) for row in connection.execute(query).mappings()]
        )


_OPEN = orders.c.status == OrderStatus.REFUNDING.value
