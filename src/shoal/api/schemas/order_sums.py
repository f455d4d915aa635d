"""Sums of orders in answers."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pydantic import BaseModel

from shoal.api.schemas.responses import example, rfc3339
from shoal.orders.order_sums import By, OrderSum, OrderSums

_FIGURES: dict[str, Any] = {
    "orders": 3, "paid": 2, "paid_fen": 3980, "quantity": 2, "refunded": 1, "refunded_fen": 1990, "unknown": 0,
}  # fmt: skip


class OrderFigures(BaseModel):
    """The sums of some orders; amounts are in fen.

    ``orders`` counts all, also unpaid ones; ``paid``: those that stand paid, with their ``paid_fen`` and ``quantity``
    (an order counts as one piece until the site says how many). ``refunded``: orders that were paid and whose refund is
    asked for or made. ``unknown``: orders of both whose amount is not known, and which are in neither sum.
    """

    orders: int
    paid: int
    paid_fen: int
    quantity: int
    refunded: int
    refunded_fen: int
    unknown: int


class OrderSumShape(OrderFigures):
    """The sums of a ``day``, of an ``account``, or of an ``item_id`` of one; the other names are empty."""

    day: str
    account: str
    item_id: str
    item_title: str
    item_picture: str


class OrderSumsShape(BaseModel):
    """Sums by day, oldest first, or by shop or item, the largest first.

    Days without an order are left out. ``timezone``: whose days are meant. ``left_out``: so many more shops or items
    have orders; those are in the ``total``.
    """

    model_config = example(
        by="day", timezone="Asia/Shanghai", since="2026-01-01T16:00:00.000Z", until="2026-01-03T16:00:00.000Z",
        items=[{"day": "2026-01-02", "account": "", "item_id": "", "item_title": "", "item_picture": "", **_FIGURES}],
        total=_FIGURES, left_out=0,
    )  # fmt: skip
    by: By
    timezone: str
    since: str
    until: str
    items: list[OrderSumShape]
    total: OrderFigures
    left_out: int


def order_sums_shape(sums: OrderSums, by: By, timezone: str, since_ms: int, until_ms: int) -> OrderSumsShape:
    """Return sums as JSON."""
    return OrderSumsShape(
        by=by,
        timezone=timezone,
        since=rfc3339(since_ms),
        until=rfc3339(until_ms),
        items=[OrderSumShape(**_facts(row)) for row in sums.rows],
        total=OrderFigures(**_facts(sums.total)),
        left_out=sums.left_out,
    )


def _facts(row: OrderSum) -> dict[str, Any]:
    facts = asdict(row)
    return facts | {"account": facts.pop("account_id")}
