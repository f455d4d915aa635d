"""Payloads in the site's formats: the shapes of docs/protocol.md §3, MessagePack of the old specification, base64.

This module shares nothing with this project's client, so that a mistake on one side cannot hide on the other. Every
function that builds a payload returns the plain object; ``encode`` turns it into bytes.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
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
