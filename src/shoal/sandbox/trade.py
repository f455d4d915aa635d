"""How an order changes on the site, and what its page shows (docs/protocol.md §2.6)."""

from __future__ import annotations

from typing import Any, Final

from shoal.sandbox import codec
from shoal.sandbox.codec import OrderStatus
from shoal.sandbox.things import Order

_STAGES: Final = ("processing", "group_pending", "pending_ship", "shipped", "refunding", "completed", "cancelled")
"""a card moves its order only forward: a repeated old card changes nothing"""
_TITLES: Final[dict[OrderStatus, str]] = {
    "processing": "等待买家付款",
    "group_pending": "等待刀成",
    "pending_ship": "等待卖家发货",
    "shipped": "等待买家收货",
    "refunding": "退款中",
    "completed": "交易成功",
    "cancelled": "交易关闭",
}


def status_after(order: Order, card: str) -> OrderStatus:
    """Return the status of an order after a card of this kind; a withdrawn refund restores the one before."""
    if card == "refund_withdrawn":
        before: list[OrderStatus] = [status for status, _ in order.history if status != "refunding"]
        return before[-1] if order.status == "refunding" else order.status
    status = codec.STATUS_AFTER[card]
    return status if _STAGES.index(status) > _STAGES.index(order.status) else order.status


def order_page(order: Order) -> dict[str, Any]:
    """Return the ``data`` of the order's page, as the seller sees it."""
    item = {
        "itemId": order.item_id,
        "title": "",
        "price": _yuan(order.price_fen),
        "buyAmount": str(order.quantity),
        "skuInfo": order.spec,
    }
    info = {"itemInfo": item, "priceInfo": {"amount": {"value": _yuan(order.price_fen * order.quantity)}}}
    status = {"orderStatusInfo": {"title": _TITLES[order.status]}}
    return {
        "itemId": order.item_id,
        "peerUserId": order.buyer_id,
        "components": [{"render": "orderStatusVO", "data": status}, {"render": "orderInfoVO", "data": info}],
    }


def _yuan(fen: int) -> str:
    return f"{fen / 100:.2f}"
