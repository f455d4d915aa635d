"""Says whether the one text that was sent for an order may be too little."""

from __future__ import annotations

from sqlalchemy import Connection, select

from shoal.orders.order_records import Order
from shoal.storage.order_tables import orders


def why_too_little(connection: Connection, order: Order) -> str:
    """Return why the one text that was sent may be too little: ``pieces`` for several of them, ``specs`` for an item
    that is sold in several; empty: it is enough.

    An order whose page was not read yet says neither.
    """
    if order.quantity.isdigit() and int(order.quantity) > 1:
        return "pieces"
    if not order.item_id or not order.spec_value:
        return ""
    in_another_spec = select(orders.c.order_id).where(
        orders.c.account_id == order.account_id,
        orders.c.item_id == order.item_id,
        orders.c.spec_value.not_in(["", order.spec_value]),
    )
    return "specs" if connection.scalar(in_another_spec.limit(1)) is not None else ""
