"""How an order changes on the site, the cards that say so, and what its page shows (docs/protocol.md §2.6, §3)."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from shoal.sandbox import cards, codec, real_shapes
from shoal.sandbox.cards import CARDS, REFUND_ENDS, STATUS_AFTER, Form
from shoal.sandbox.codec import OrderStatus
from shoal.sandbox.site import Site
from shoal.sandbox.things import Message, Order

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
    """Return the status of an order after a card of this kind; the end of a refund restores the one before."""
    if card in REFUND_ENDS:
        before: list[OrderStatus] = [status for status, _ in order.history if status != "refunding"]
        return before[-1] if order.status == "refunding" else order.status
    status = STATUS_AFTER[card]
    return status if _STAGES.index(status) > _STAGES.index(order.status) else order.status


def turn(site: Site, order: Order, card: str) -> None:
    """Let an order become what a card of this kind says."""
    status = status_after(order, card)
    order.is_ready = order.is_ready or card == "group_ready"
    if status != order.status:
        order.shown_status = order.status
        site.move_order(order, status)


def push_card(
    site: Site,
    order: Order,
    kind: str,
    *,
    form: Form = "card",
    button: str | None = None,
    message_id: str | None = None,
    mark: bool = True,
    bare: bool = False,
) -> Message:
    """Push a trade card about an order to its seller, together with the order mark of the chat.

    ``button``: the words on its button instead of its own.
    """
    chat = site.chat_of(order)
    card = CARDS[kind]
    is_dynamic = form == "dynamic"
    content_type = cards.CHANGED_CARD if is_dynamic else codec.TRADE_CARD
    summary = cards.CARD_MESSAGE if is_dynamic else card.reminder
    sender_id = order.seller_id if card.from_seller else order.buyer_id
    message = site.world.write(chat, sender_id, summary, "", content_type, message_id=message_id)
    message.item_id = order.item_id
    shapes = real_shapes if site.is_real else cards
    content = cards.shown_as(shapes.card_content(kind, order.id, message.hex_id), form, button)
    message.content = real_shapes.bare_content() if bare else content
    extra = shapes.card_extra(kind, order.id, cid=chat.cid, hex_id=message.hex_id, receiver_id=order.seller_id)
    if is_dynamic:
        extra |= {"reminderContent": summary, "detailNotice": summary}
        extra["extJson"] = extra["extJson"].replace('"26"', f'"{content_type}"')
    if form == "update" and site.is_real:
        extra |= cards.changed_button(content)
    message.extra = extra
    line = site.chat_line(chat, message)
    update = real_shapes.card_update if site.is_real else codec.card_update
    site.push_payload(order.seller_id, update(line) if form == "update" else codec.chat_message(line))
    if mark:
        site.push_payload(order.seller_id, codec.order_mark(chat.cid, card.red_reminder, message.at))
    return message


def ready_soon(site: Site, order: Order) -> None:
    """Push the ready card of a bargain as the policy says."""
    seconds = site.world.policy.ready_seconds
    if seconds >= 0:
        asyncio.get_running_loop().call_later(seconds, make_ready, site, order)


def make_ready(site: Site, order: Order) -> None:
    """Push the ready card of a bargain, once: it may be shipped now."""
    if not order.is_ready:
        order.is_ready = True
        site.move_order(order, "pending_ship")
        push_card(site, order, "group_ready")


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
    push_card(site, order, card)


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
    shown = order.shown_status if site.clock.now_ms() < order.status_from_ms else order.status
    status = {"orderStatusInfo": {"title": order.title or _TITLES[shown]}}
    return {
        "itemId": order.item_id,
        "peerUserId": order.buyer_id,
        "components": [{"render": "orderStatusVO", "data": status}, {"render": "orderInfoVO", "data": info}],
    }


def _yuan(fen: int) -> str:
    return f"{fen / 100:.2f}"
