"""The incidents of orders: an order needs its owner, or its buyer asks for a refund."""

from __future__ import annotations

from sqlalchemy import Connection

from shoal.orders.order_records import Order
from shoal.orders.order_status import OrderProblem
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.incident_rows import Opening, close_incidents, open_incidents, order_subject
from shoal.storage.known_item_rows import UNKNOWN, item_facts

_OF_ORDERS = (IncidentKind.ORDER_PROBLEM, IncidentKind.REFUND_ASKED)


def note_problem(connection: Connection, order: Order, problem: str, reason: str, at_ms: int) -> None:
    """Open and close the incidents of an order whose problem has just changed. ``reason``: the site's, if any."""
    subject = order_subject(order.account_id, order.order_id)
    kind = IncidentKind.REFUND_ASKED if problem == OrderProblem.REFUND_ASKED else IncidentKind.ORDER_PROBLEM
    close_incidents(connection, [subject], [one for one in _OF_ORDERS if not problem or one is not kind], at_ms)
    if problem:
        key = (order.account_id, order.item_id or "")
        title = item_facts(connection, [key]).get(key, UNKNOWN).title
        opening = Opening(
            subject=subject,
            kind=kind,
            at_ms=at_ms,
            account_id=order.account_id,
            detail=problem,
            facts={
                "order_id": order.order_id,
                "item": " · ".join(filter(None, (title, order.item_id))),
                "quantity": order.quantity,
                "spec": order.spec,
                "reason": reason,
            },
        )
        open_incidents(connection, [opening])
