"""What an order waits for, and since when: of one order, and as the condition of a list."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, or_, select, text

from shoal.orders.open_orders import MAY_BE_SERVED, OF_ORDER
from shoal.orders.order_actions import Action, ActionState, OrderAction, Why
from shoal.orders.order_records import Order
from shoal.orders.order_status import ENDS, OrderProblem, OrderStatus
from shoal.storage.order_tables import OPEN_ACTION, order_actions, orders


class WaitsFor(StrEnum):
    """What a paid order waits for."""

    PAGE = "page"
    """Its page, or the chat with its buyer, cannot be read yet."""
    PACE = "pace"
    """Its turn: orders that were paid earlier come first, and the calls to the site have a pace."""
    UNIT = "unit"
    """Goods: they are out of stock, or their supplier has not answered."""
    SITE = "site"
    """The site: a call is under way, or it has not called the group price ready."""
    OWNER = "owner"
    """Its owner: it has a problem."""


class Waits(NamedTuple):
    """What an order waits for, and since when."""

    since_ms: int
    wants: WaitsFor


_REASONS: Final = {
    Why.PAGE_UNREAD.value: WaitsFor.PAGE,
    Why.CHAT_UNREAD.value: WaitsFor.PAGE,
    Why.SUPPLIER_ASKED.value: WaitsFor.UNIT,
}
"""The details of pending actions that are put off because something is missing, not because their rule says so."""
_ENDED: Final = [status.value for status in ENDS]
_HAS_REASON: Final = order_actions.c.detail.in_(list(_REASONS))
_SINCE_MS: Final = case(
    (_HAS_REASON, order_actions.c.created_at_ms),
    else_=func.coalesce(order_actions.c.due_at_ms, order_actions.c.created_at_ms),
)
"""Since when an open action waits."""
_NOT_READY: Final = and_(
    order_actions.c.state == ActionState.FAILED.value, order_actions.c.detail == Why.NOT_READY.value
)


def waits_of(order: Order, its_actions: Iterable[OrderAction], now_ms: int) -> Waits | None:
    """Return what an order waits for; ``None`` if it has ended, has nothing due, or waits as its rule says."""
    if order.status in ENDS:
        return None
    by_name = {one.action: one for one in its_actions}
    in_order = [by_name[action] for action in Action if action in by_name]
    if order.problem and order.status != OrderStatus.SHIPPED:
        stuck = (one for one in in_order if one.state in {ActionState.FAILED, ActionState.UNCERTAIN})
        since_ms = next((one.created_at_ms for one in stuck), order.created_at_ms)
        is_unit = order.problem == OrderProblem.OUT_OF_STOCK
        return Waits(since_ms, WaitsFor.UNIT if is_unit else WaitsFor.OWNER)
    found = (_wait_of(one, now_ms) for one in in_order)
    return next((one for one in found if one is not None), None)


def _wait_of(action: OrderAction, now_ms: int) -> Waits | None:
    if action.state is ActionState.INTENDED or (action.state is ActionState.FAILED and action.detail == Why.NOT_READY):
        return Waits(action.created_at_ms, WaitsFor.SITE)
    if action.state is not ActionState.PENDING:
        return None
    if (reason := _REASONS.get(action.detail)) is not None:
        return Waits(action.created_at_ms, reason)
    since_ms = action.created_at_ms if action.due_at_ms is None else action.due_at_ms
    return Waits(since_ms, WaitsFor.PACE) if since_ms <= now_ms else None


def waiting_since(at_ms: int) -> Select[str, int, int]:
    """Return the query of the accounts with orders that have waited for something else than their owner since then or
    longer: the account, how many these are, and since when the first one waits.
    """
    orders_of = func.count(order_actions.c.order_id.distinct())
    return (
        select(order_actions.c.account_id, orders_of, func.min(_SINCE_MS))
        .join(orders, OF_ORDER)
        .where(text(OPEN_ACTION), at_ms >= _SINCE_MS, MAY_BE_SERVED, orders.c.problem == "")
        .group_by(order_actions.c.account_id)
    )


def is_waiting(now_ms: int) -> ColumnElement[bool]:
    """Return the condition of orders that wait: those of which ``waits_of`` returns something."""
    with_problem = and_(orders.c.problem != "", orders.c.status != OrderStatus.SHIPPED.value)
    under_way = exists().where(OF_ORDER, or_(order_actions.c.state == ActionState.INTENDED.value, _NOT_READY))
    open_now = exists().where(OF_ORDER, order_actions.c.state == ActionState.PENDING.value, now_ms >= _SINCE_MS)
    return and_(orders.c.status.not_in(_ENDED), or_(with_problem, under_way, open_now))
