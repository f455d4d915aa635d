"""How an order changes on the site, and what its page shows (docs/protocol.md §2.6)."""

from __future__ import annotations

from typing import Any, Final

from shoal.sandbox import codec
from shoal.sandbox.codec import OrderStatus
from shoal.sandbox.site import Site
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


def turn(site: Site, order: Order, card: str) -> None:
    """Let an order become what a card of this kind says."""
    status = status_after(order, card)
    order.is_ready = order.is_ready or card == "group_ready"
    if status != order.status:
        site.move_order(order, status)


def buyer_acts(site: Site, order: Order, which: str) -> None:
    """Let the buyer do what the fault ``buyer_acts`` says, as a call about the order or a message to it arrives."""
    fault = site.faults.find("buyer_acts", order.seller_id, which)
    if fault is None:
        return
    if fault.options.get("passes"):
        fault.options["passes"] -= 1
        return
    site.faults.play(fault)
    card = str(fault.options["card"])
    turn(site, order, card)
    site.card(order, card)


def shown_page(site: Site, order: Order) -> dict[str, Any]:
    """Return the page of an order as it is shown now: late, or a lie if the fault ``lying_page`` says so."""
    lie = site.faults.take("lying_page", order.seller_id, "order")
    kind = str(lie.options["page"]) if lie else ""
    if kind == "malformed":
        return {"itemId": [order.item_id], "components": "?"}
    if kind == "other_order":
        return order_page(site, _another(site, order))
    page = order_page(site, order)
    item = page["components"][1]["data"]["itemInfo"]
    is_late = site.clock.now_ms() < order.page_from_ms
    if kind in ("no_quantity", "no_spec") or is_late:
        item["skuInfo"] = ""
    if kind == "no_quantity" or is_late:
        del item["buyAmount"]
    if kind == "no_title":
        item["title"] = ""
    if kind == "one_piece":
        item["buyAmount"] = "1"
    return page


def _another(site: Site, order: Order) -> Order:
    """Return the newest order of another buyer at the same seller, or an invented one."""
    orders = reversed(site.world.orders.values())
    mine = (one for one in orders if one.seller_id == order.seller_id and one.buyer_id != order.buyer_id)
    invented = Order("1", order.seller_id, "2201999999999", order.item_id, 100, order.status, [], quantity=7)
    return next(mine, invented)


def order_page(site: Site, order: Order) -> dict[str, Any]:
    """Return the ``data`` of the order's page, as the seller sees it."""
    sold = site.world.items.get(order.item_id)
    item = {
        "itemId": order.item_id,
        "title": sold.title if sold else "",
        "itemMainPictCdnUrl": site.item_picture(order.item_id),
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
