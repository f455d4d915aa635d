"""Trade cards in the plainer shapes that the sandbox had before its captures: their words, content and map 10 (§3)."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from shoal.sandbox.codec import TRADE_CARD, OrderStatus, compact

Form = Literal["card", "update", "dynamic"]
"""how a card comes: as a message, as the update of an earlier one, or as a message that holds the changed card"""
CHANGED_CARD: Final = 32
"""the content type of a message that holds a changed card (``dynamicOperation``)"""
CARD_MESSAGE: Final = "[卡片消息]"
"""what the site writes in the place of a card's own words"""


@dataclass(frozen=True, slots=True)
class Card:
    """The texts of one kind of trade card."""

    title: str
    reminder: str
    """``reminderContent``"""
    notice: str
    """``reminderTitle``"""
    red_reminder: str
    update_key: str
    task: str
    button: str
    button_url: str
    """contains ``{order}`` for the order id"""
    from_seller: bool = False


_SERVICE: Final = "https://h5.m.goofish.com/wow/moyu/moyu-project/idle-logistics/pages"
NO_PARCEL_PAGE: Final = f"{_SERVICE}/noPostageRequired?kun=true&opaque=false&orderId={{order}}"
PARCEL_PAGE: Final = f"{_SERVICE}/idleDeliver?kun=true&titleVisible=false&useCusFont='true'&orderId={{order}}"

CARDS: Final[dict[str, Card]] = {
    "not_paid": Card(
        "我已拍下，待付款",
        "[我已拍下，待付款]",
        "买家已拍下，待付款",
        "等待买家付款",
        "1_not_pay_seller",
        "已拍下_未付款_卖家",
        "修改价格",
        "fleamarket://adjust_price?flutter=true&bizOrderId={order}",
    ),
    "paid": Card(
        "我已付款，等待你发货",
        "[我已付款，等待你发货]",
        "买家已付款，待发货",
        "等待卖家发货",
        "64:TRADE_PAID_DONE_SELLER:26",
        "付款完成待发货_卖家",
        "去发货",
        NO_PARCEL_PAGE,
    ),
    "paid_unsaid": Card(
        "我已付款，等待你发货",
        "[我已付款，等待你发货]",
        "买家已付款，待发货",
        "等待卖家发货",
        "10:TRADE_PAID:26",
        "付款完成待发货_卖家",
        "去发货",
        "fleamarket://order_detail?id={order}&role=seller",
    ),
    "group": Card(
        "我已小刀，待刀成",
        "[卡片消息]",
        "买家已小刀，待刀成",
        "等待刀成",
        "2_group_seller",
        "已小刀_待刀成_卖家",
        "查看订单",
        "fleamarket://order_detail?id={order}&role=seller",
    ),
    "group_ready": Card(
        "我已成功小刀，待发货",
        "[卡片消息]",
        "买家已成功小刀，待发货",
        "等待卖家发货",
        "1:G:26",
        "小刀成功_待发货_卖家",
        "去发货",
        NO_PARCEL_PAGE,
    ),
    "shipped": Card(
        "你已发货",
        "[你已发货，请等待买家确认收货]",
        "你已发货",
        "等待买家收货",
        "3_shipped_seller",
        "已发货_卖家",
        "查看订单",
        "fleamarket://order_detail?id={order}&role=seller",
        from_seller=True,
    ),
    "completed": Card(
        "买家确认收货，交易成功",
        "[买家确认收货，交易成功]",
        "交易成功",
        "交易成功",
        "4_success_seller",
        "交易成功_卖家",
        "去评价",
        "fleamarket://order_detail?id={order}&role=seller",
    ),
    "closed": Card(
        "你关闭了订单，钱款已原路退返",
        "[你关闭了订单，钱款已原路退返]",
        "交易关闭",
        "交易关闭",
        "5_closed_seller",
        "交易关闭_卖家",
        "查看订单",
        "fleamarket://order_detail?id={order}&role=seller",
        from_seller=True,
    ),
    "refund_asked": Card(
        "我发起了退款申请",
        "[我发起了退款申请]",
        "买家申请退款",
        "退款中",
        "6_refund_seller",
        "退款申请_卖家",
        "去处理",
        "fleamarket://order_detail?id={order}&role=seller",
    ),
    "refunded": Card(
        "退款成功，钱款已原路退返",
        "[退款成功，钱款已原路退返]",
        "退款成功",
        "交易关闭",
        "8_refunded_seller",
        "退款成功_卖家",
        "查看订单",
        "fleamarket://order_detail?id={order}&role=seller",
    ),
}


CARDS["paid_parcel"] = replace(CARDS["paid"], update_key="63:TRADE_PAID_DONE_SELLER:26", button_url=PARCEL_PAGE)
for _kind, _word, _red in (  # the request's card again, with another word on its button
    ("refund_withdrawn", "已撤销", "等待卖家发货"),
    ("refund_refused", "已拒绝", "等待卖家发货"),
    ("refund_agreed", "已同意", "退款中"),
):
    CARDS[_kind] = replace(CARDS["refund_asked"], button=_word, task=f"退款申请{_word}_卖家", red_reminder=_red)
REFUND_ENDS: Final = frozenset({"refund_withdrawn", "refund_refused"})
"""the cards after which an order is what it was before its refund was asked for"""

STATUS_AFTER: Final[dict[str, OrderStatus]] = {
    "not_paid": "processing",
    "paid": "pending_ship",
    "paid_parcel": "pending_ship",
    "paid_unsaid": "pending_ship",
    "group_ready": "pending_ship",
    "group": "group_pending",
    "shipped": "shipped",
    "completed": "completed",
    "closed": "cancelled",
    "refund_asked": "refunding",
    "refund_agreed": "refunding",
    "refunded": "cancelled",
}
"""the order status that each trade card reports; none stands for those of ``REFUND_ENDS``"""


def card_content(kind: str, order_id: str, hex_id: str = "") -> str:  # noqa: ARG001 - real_shapes has the same
    """Return the content of the trade card ``kind`` (a key of ``CARDS``) as JSON text (§3)."""
    card = CARDS[kind]
    main = {
        "clickParam": {"arg1": "MsgCardClick", "args": {"task_id": "t1", "order_id": order_id}},
        "exContent": {
            "bgColor": "#FFFFFF",
            "button": {"text": card.button, "targetUrl": card.button_url.format(order=order_id)},
            "desc": "请双方沟通及时确认价格",
            "title": card.title,
        },
        "targetUrl": f"fleamarket://order_detail?id={order_id}&role=seller",
    }
    template = {
        "name": "idlefish_message_trade_chat_card",
        "url": "https://sandbox.invalid/idlefish_message_trade_chat_card.zip",
        "version": "1",
    }
    return compact({"contentType": TRADE_CARD, "dxCard": {"item": {"main": main, "template": template}}})


def shown_as(content: str, form: Form, button: str | None) -> str:
    """Return a card's content in that form, with other words on its button if there are any."""
    card = json.loads(content)
    if button is not None:
        _button_of(card)["text"] = button
    if form == "dynamic":
        card = {"contentType": CHANGED_CARD, "dynamicOperation": {"changeContent": card}}
    return compact(card)


def changed_button(content: str) -> dict[str, str]:
    """Return the key of map 10 by which the update of a card changes its button."""
    return {"_CONTENT_MAP_UPDATE_PRE_dxCard.item.main.exContent.button": compact(_button_of(json.loads(content)))}


def _button_of(card: dict[str, Any]) -> dict[str, Any]:
    button: dict[str, Any] = card["dxCard"]["item"]["main"]["exContent"]["button"]
    return button


def card_extra(kind: str, order_id: str, *, cid: str, hex_id: str, receiver_id: str) -> dict[str, str]:
    """Return the changes of map 10 for a trade card (§3)."""
    card = CARDS[kind]
    return {
        "bizTag": compact(
            {"sourceId": "C2C:t1", "taskName": card.task, "materialId": "t1", "taskId": "t1"},
        ),
        "closePushReceiver": "false",
        "closeUnreadNumber": "false",
        "detailNotice": card.reminder,
        "extJson": compact(
            {
                "quickReply": "1",
                "messageId": hex_id,
                "contentType": "26",
                "tag": "u",
                "updateKey": f"{cid}:{order_id}:{card.update_key}",
            },
        ),
        "receiver": receiver_id,
        "redReminder": card.red_reminder,
        "redReminderStyle": "1",
        "reminderContent": card.reminder,
        "reminderNotice": card.notice,
        "reminderTitle": card.notice,
        "updateHead": "true",
    }
