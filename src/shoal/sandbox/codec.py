"""Payloads in the site's formats: the shapes of docs/protocol.md §3, MessagePack of the old specification, base64.

This module shares nothing with this project's client, so that a mistake on one side cannot hide on the other. Every
function that builds a payload returns the plain object; ``encode`` turns it into bytes.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

import msgpack  # type: ignore[import-untyped]  # ships neither stubs nor a marker

MESSAGE: Final = 40_000
"""the object type of a message or card in a push"""
TYPING: Final = 40_006
RECEIPT: Final = 40_103
AROUSE: Final = 370_000

TEXT: Final = 1
IMAGE: Final = 2
TIPS: Final = 14
TRADE_CARD: Final = 26

Payload = dict[Any, Any]
OrderStatus = Literal["processing", "group_pending", "pending_ship", "shipped", "refunding", "completed", "cancelled"]


def compact(value: object) -> str:
    """Return JSON text without blanks, with Chinese characters unescaped (docs/protocol.md §3)."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def encode(payload: Payload) -> str:
    """Return base64 of the MessagePack bytes: integer keys, fixstr or str16, no bin types (§3)."""
    return base64.b64encode(pack(payload)).decode("ascii")


def encode_json(payload: Payload) -> str:
    """Return base64 of plain JSON text, the other kind of entry in a push (§3)."""
    return base64.b64encode(compact(payload).encode()).decode("ascii")


def pack(payload: Payload) -> bytes:
    """Return the MessagePack bytes of ``payload`` in the old specification."""
    packed: bytes = msgpack.packb(payload, use_bin_type=False)
    return packed


def address(user_id: str) -> str:
    """Return the IM address of a user, or of a chat."""
    return f"{user_id}@goofish"


def bare(address_or_id: str) -> str:
    """Return the id inside an address."""
    return address_or_id.removesuffix("@goofish")


@dataclass(frozen=True, slots=True)
class ChatLine:
    """The contents of a chat message from either side. Times in ms."""

    message_id: str
    """``3500000000001.PNM``"""
    cid: str
    sender_id: str
    sender_nick: str
    peer_id: str
    """the buyer, named in ``reminderUrl``"""
    peer_mask: str
    """the buyer's masked login name, such as ``t***1``"""
    item_id: str
    created_ms: int
    hex_id: str
    """32 hex digits: the site's inner message id"""
    summary: str
    """the text, or the notice shown instead of it"""
    content: str
    """the content as JSON text"""
    content_type: int = TEXT
    need_push: bool = True
    extra: dict[str, str] = field(default_factory=dict)
    """replaces or adds keys of map 10"""


def text_content(text: str) -> str:
    """Return the content of a text message."""
    return compact({"atUsers": [], "contentType": TEXT, "text": {"text": text}})


def image_content(url: str, width: int = 800, height: int = 600) -> str:
    """Return the content of a picture; sizes in pixels."""
    pictures = [{"height": height, "type": 0, "url": url, "width": width}]
    return compact({"contentType": IMAGE, "image": {"pics": pictures}})


def chat_url(line: ChatLine) -> str:
    """Return the ``reminderUrl`` of a message."""
    return (
        f"fleamarket://message_chat?itemId={line.item_id}&peerUserId={line.peer_id}"
        f"&peerUserNick={line.peer_mask}&sid={line.cid}&messageId={line.hex_id}&adv=no"
    )


def chat_message(line: ChatLine) -> Payload:
    """Build a chat message; the echo of the seller's own message has the same shape (§3)."""
    return {
        1: {
            1: {1: address(line.sender_id)},
            2: address(line.cid),
            3: line.message_id,
            4: 0,
            5: line.created_ms,
            6: {1: 101, 3: {1: "", 2: line.summary, 3: "", 4: line.content_type, 5: line.content}},
            7: 1 if line.content_type == TRADE_CARD else 2,
            8: 1,
            9: 0,
            10: reminder(line),
            12: 1,
        },
        3: {"needPush": "true" if line.need_push else "false"},
    }


def reminder(line: ChatLine) -> dict[str, str]:
    """Build map 10 of a message: strings only; the history returns it as ``extension``."""
    plain = {
        "_platform": "android",
        "bizTag": compact({"sourceId": "S:1", "messageId": line.hex_id}),
        "detailNotice": line.summary,
        "extJson": compact({"quickReply": "1", "messageId": line.hex_id, "tag": "u"}),
        "reminderContent": line.summary,
        "reminderNotice": "发来一条新消息",
        "reminderTitle": line.sender_nick,
        "reminderUrl": chat_url(line),
        "senderUserId": line.sender_id,
        "senderUserType": "0",
        "sessionType": "1",
    }
    return plain | line.extra


def tip_extra(hex_id: str) -> dict[str, str]:
    """Return the changes of map 10 for a marketing tip of the site (§3)."""
    return {"extJson": compact({"messageId": hex_id, "msgArg1": "MsgTips", "contentType": str(TIPS)})}


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
    "refund_withdrawn": Card(
        "我撤销了退款申请",
        "[我撤销了退款申请]",
        "买家撤销了退款申请",
        "等待卖家发货",
        "7_refund_withdrawn_seller",
        "退款撤销_卖家",
        "查看订单",
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
    "refunded": "cancelled",
}
"""the order status that each trade card reports"""


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


def card_update(line: ChatLine) -> Payload:
    """Build the update of a card that is already in the chat (§3)."""
    return {1: line.message_id, 2: address(line.cid), 4: reminder(line), 5: line.created_ms}


def order_mark(cid: str, red_reminder: str, at_ms: int) -> Payload:
    """Build the mark of a chat's order status; it contains no order id (§3)."""
    return {1: address(cid), 2: 1, 3: {"redReminder": red_reminder, "redReminderStyle": "1"}, 4: at_ms}


def new_message_mark(cid: str, message_id: str, at_ms: int) -> Payload:
    """Build the mark of a new message in a chat (§3)."""
    return {1: address(cid), 2: 1, 3: message_id, 4: at_ms}


def read_receipt(cid: str, message_ids: list[str], at_ms: int) -> Payload:
    """Build the notice that the peer has read messages (§3)."""
    return {1: message_ids, 2: 2, 3: address(cid), 4: 1, 5: at_ms}


def typing(cid: str, user_id: str) -> Payload:
    """Build the notice that a user is typing (§3)."""
    return {1: [{1: address(cid), 2: 1, 3: address(user_id)}]}


def session_arouse(cid: str, sender_id: str, item_id: str, text: str) -> Payload:
    """Build the JSON push that suggests a phrase (contentType 8, §3)."""
    script = {"arouseChatScriptInfo": [{"chatScrip": text}]}
    return _json_push(cid, sender_id, item_id, {"contentType": 8, "sessionArouse": script})


def json_text(cid: str, sender_id: str, item_id: str, text: str) -> Payload:
    """Build the JSON push of a text (contentType 1, §3)."""
    return _json_push(cid, sender_id, item_id, {"contentType": 1, "text": {"text": text}})


def _json_push(cid: str, sender_id: str, item_id: str, content: Payload) -> Payload:
    session = {"sessionId": cid, "sessionType": 1, "extensions": {"itemId": item_id}}
    operation = {"content": content, "senderInfo": {"senderUserId": sender_id}, "sessionInfo": session}
    return {"chatType": 1, "sessionId": cid, "operation": operation}
