"""Orders with which a connection has something to do: what is due, what is uncertain, what was never read."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, exists, func, select

from shoal.orders.delivery_rows import Delivery
from shoal.orders.order_actions import Action, ActionState, OrderAction
from shoal.orders.order_records import Order, order_of
from shoal.orders.order_status import BLOCKED, OrderStatus
from shoal.storage.order_tables import order_actions, orders

MOST_UNREAD = 20
"""How many orders a new connection asks the site about because their page was never read."""


OF_ORDER = and_(order_actions.c.account_id == orders.c.account_id, order_actions.c.order_id == orders.c.order_id)
MAY_BE_SERVED = orders.c.status.not_in([status.value for status in BLOCKED])
_DUE_SINCE_MS = func.coalesce(order_actions.c.due_at_ms, order_actions.c.created_at_ms)


class Due(NamedTuple):
    """An order, its action that is due, and its delivery when one was begun."""

    order: Order
    order_action: OrderAction
    delivery: Delivery | None


def due_before(at_ms: int) -> ColumnElement[bool]:
    """Return the condition of actions that are pending and were due then."""
    return and_(order_actions.c.state == ActionState.PENDING.value, _DUE_SINCE_MS.between(0, at_ms))


def unfinished(connection: Connection, account_id: str, now_ms: int) -> list[tuple[str, int]]:
    """Return the ids of the orders with an action that is due now, and when they were paid; the first payment first."""
    is_due = exists().where(OF_ORDER, due_before(now_ms))
    due = select(orders.c.order_id).where(orders.c.account_id == account_id, MAY_BE_SERVED, is_due)
    paid_at_ms = func.min(order_actions.c.created_at_ms)
    query = (
        select(order_actions.c.order_id, paid_at_ms)
        .where(order_actions.c.account_id == account_id, order_actions.c.order_id.in_(due))
        .group_by(order_actions.c.order_id)
        .order_by(paid_at_ms, order_actions.c.order_id)
    )
    return [(order_id, at_ms) for order_id, at_ms in connection.execute(query)]


def unsettled(connection: Connection, account_id: str, newer_than_ms: int) -> list[Order]:
    """Return the orders with an action at the site whose result is unknown since then, and that have not ended."""
    at_site = order_actions.c.action.in_([Action.FREE_SHIPPING.value, Action.CONFIRM.value])
    unknown = and_(order_actions.c.state == ActionState.UNCERTAIN.value, order_actions.c.settled_at_ms > newer_than_ms)
    query = select(orders).where(
        orders.c.account_id == account_id, MAY_BE_SERVED, exists().where(OF_ORDER, at_site, unknown)
    )
    return [order_of(row) for row in connection.execute(query).mappings()]


def unread(connection: Connection, account_id: str, newer_than_ms: int) -> list[Order]:
    """Return the newest orders whose message was sent since then, and whose page was never read."""
    sent = exists().where(
        OF_ORDER,
        order_actions.c.action == Action.PAID_MESSAGE.value,
        order_actions.c.state == ActionState.DONE.value,
        order_actions.c.settled_at_ms > newer_than_ms,
    )
    never_read = and_(orders.c.quantity == "", orders.c.amount == "", orders.c.status != OrderStatus.CANCELLED.value)
    query = select(orders).where(orders.c.account_id == account_id, never_read, sent)
    query = query.order_by(orders.c.created_at_ms.desc()).limit(MOST_UNREAD)
    return [order_of(row) for row in connection.execute(query).mappings()]
