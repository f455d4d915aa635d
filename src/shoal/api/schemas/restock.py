"""Orders that wait for units, as JSON, and what a caller may ask of them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from shoal.api.schemas.request_texts import Text, body_example
from shoal.api.schemas.responses import example, rfc3339
from shoal.language.catalogue import translate
from shoal.language.choice import Language
from shoal.orders.explain_order import Obstacle
from shoal.orders.waiting_orders import MOST_WAITING, WaitingOrder

_WAITING: dict[str, Any] = {
    "account": "my-shop", "order_id": "4500000000000000001", "buyer_name": "buyer", "item_id": "700000000001",
    "wanted": 2, "gets": 2, "obstacle": None, "detail": "", "created_at": "2026-01-02T03:04:05.120Z",
}  # fmt: skip


class WaitingOrderShape(BaseModel):
    """An order that was not served because the stock was too small. It ``gets`` all the units it wants, or none.

    ``obstacle`` is why none, and ``detail`` says it.
    """

    account: str
    order_id: str
    buyer_name: str
    item_id: str | None
    wanted: int
    gets: int
    obstacle: Obstacle | None
    detail: str
    created_at: str


class WaitingList(BaseModel):
    """The orders that wait for goods, the oldest first, and how many units are free."""

    model_config = example(free=3, items=[_WAITING])
    free: int
    items: list[WaitingOrderShape]


class NamedOrder(BaseModel):
    """An order of an account."""

    model_config = body_example(account="my-shop", order_id="4500000000000000001")
    account: Text
    order_id: Text


class ServeWaitingBody(BaseModel):
    """Which of the waiting orders to serve; `null`: all that the stock is enough for."""

    model_config = body_example(orders=[{"account": "my-shop", "order_id": "4500000000000000001"}])
    orders: list[NamedOrder] | None = Field(None, max_length=MOST_WAITING)


class ServedWaiting(BaseModel):
    """How many deliveries were requested, and the orders as they waited; ``gets`` of the others is 0."""

    model_config = example(requested=1, items=[_WAITING])
    requested: int
    items: list[WaitingOrderShape]


def waiting_shape(one: WaitingOrder, buyer_name: str, language: Language) -> WaitingOrderShape:
    """Return a waiting order as JSON."""
    detail = "" if one.obstacle is None else translate(f"obstacle.{one.obstacle.value}.detail", language)
    return WaitingOrderShape(
        account=one.order.account_id,
        order_id=one.order.order_id,
        buyer_name=buyer_name,
        item_id=one.order.item_id,
        wanted=one.wanted,
        gets=one.gets,
        obstacle=one.obstacle,
        detail=detail,
        created_at=rfc3339(one.order.created_at_ms),
    )
