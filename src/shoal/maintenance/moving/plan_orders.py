"""Plans orders: they are known here afterwards, and never served."""

from __future__ import annotations

import re
from collections.abc import Set
from datetime import UTC, datetime
from typing import Final

from shoal.maintenance.moving.old_shop import Fate, OldAccount, OldOrder
from shoal.maintenance.moving.plan import Kind, Tally
from shoal.orders.order_status import OrderStatus

_ORDER_ID: Final = re.compile(r"[0-9A-Za-z_-]{1,64}")
STATUSES: Final = {
    "processing": OrderStatus.PROCESSING,
    "pending_ship": OrderStatus.PENDING_SHIP,
    "pending_delivery": OrderStatus.PENDING_SHIP,
    "shipped": OrderStatus.SHIPPED,
    "completed": OrderStatus.COMPLETED,
    "refunding": OrderStatus.REFUNDING,
    "refund_cancelled": OrderStatus.UNKNOWN,
    "cancelled": OrderStatus.CANCELLED,
    "unknown": OrderStatus.UNKNOWN,
    "": OrderStatus.UNKNOWN,
}


def plan_orders(old: OldAccount, tally: Tally, known: Set[str] = frozenset()) -> tuple[OldOrder, ...]:
    """Return the orders of an account that can be added here; each id once, and none that is ``known``."""
    found: dict[str, OldOrder] = {}
    for order in old.orders:
        label = f"{old.id}: {order.order_id[:64]}"
        if not _ORDER_ID.fullmatch(order.order_id):
            tally.skip(Kind.ORDERS, "orders", label, "bad_order_id")
            continue
        if order.order_id in known:
            tally.count(Kind.ORDERS, Fate.KNOWN)
            continue
        fate = Fate.TAKEN
        if order.status not in STATUSES:
            fate = Fate.CHANGED
            tally.note("orders", label, "order_status_unknown", fate, status=order.status[:40])
        if order.created_at and time_of(order.created_at) is None:
            fate = Fate.CHANGED
            tally.note("orders", label, "order_time_unknown", fate, time=order.created_at[:40])
        found[order.order_id] = order
        tally.count(Kind.ORDERS, fate)
    return tuple(found.values())


def time_of(text: str) -> int | None:
    """Return a time of the old system, which is in UTC, in milliseconds; ``None`` when it is none."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return max(0, int(moment.timestamp() * 1000))
