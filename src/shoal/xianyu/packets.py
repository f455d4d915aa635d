"""Turns payloads into events: the meaning of the site's pushes (docs/protocol.md §3.7)."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from shoal.xianyu.identity import ADDRESS_SUFFIX, strip_address
from shoal.xianyu.push_events import (
    CardUpdate,
    ChatImage,
    ChatMessage,
    Event,
    NewMessageMark,
    OrderMark,
    ReadReceipt,
    SessionArouse,
    TradeCard,
    Typing,
    UnknownEvent,
)
from shoal.xianyu.trade_texts import is_group_price_text, is_paid_text, is_system_text
from shoal.xianyu.wire_bytes import UndecodableFrame, parse_json_object

TEXT, IMAGE, SESSION_AROUSE, TIPS, TRADE_CARD, CUSTOM = 1, 2, 8, 14, 26, 101
"""The content types that we distinguish."""

_NO_OBJECT: dict[str, object] = {}
_MS_LIMIT = 2**53
_MAX_ID_CHARACTERS = 128
_MAX_IMAGES = 32

_WHOLE_NUMBER = re.compile(r"[0-9]{1,18}")
_ITEM_ID = re.compile(r"[?&]itemId=([0-9]+)")
_PEER_ID = re.compile(r"[?&]peerUserId=([0-9]+)")
_UPDATE_KEY_ORDER = re.compile(r":([0-9]{10,32}):")
_BUTTON_ORDER = re.compile(r"orderId=([0-9]{1,32})(?![0-9])")
_TARGET_ORDER = re.compile(r"order_detail\?id=([0-9]{1,32})(?![0-9])")
_ANYWHERE_ORDER = (
    re.compile(r"orderId[\"']?[=:][\"']?([0-9]{10,32})(?![0-9])"),
    re.compile(r"order_detail\?id=([0-9]{10,32})(?![0-9])"),
    re.compile(r"\"id\"\s*:\s*\"?([0-9]{10,32})(?![0-9])"),
    re.compile(r"bizOrderId=([0-9]{10,32})(?![0-9])"),
)


def read_event(payload: object, me: str) -> Event:
    """Return the meaning of a decoded payload for the user ``me`` (the bare id). Never raises."""
    if not isinstance(payload, dict):
        return UnknownEvent(raw_kind=type(payload).__name__)
    body = _object_at({"payload": payload}, "payload")
    first = body.get("1")
    if isinstance(first, dict):
        return _read_chat(body, me)
    if isinstance(first, list):
        return _read_list_event(body)
    if isinstance(first, str):
        return _read_mark(body, me)
    if isinstance(body.get("operation"), dict):
        return _read_operation(body, me)
    return _unknown(body)


# ── chat-shaped payloads ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Chat:
    """The parts of a chat-shaped payload that both messages and cards need."""

    chat_id: str
    message_id: str
    sender_id: str
    extension: dict[str, object]
    content: dict[str, object]
    content_text: str
    summary: str
    content_type: int
    created_at_ms: int
    is_marked_silent: bool


def _read_chat(body: dict[str, object], me: str) -> Event:
    chat = _chat_of(body)
    if chat is None:
        return _unknown(body)
    if chat.content_type == TRADE_CARD:
        return _trade_card(chat, me)
    return _chat_message(chat, me)


def _chat_of(body: dict[str, object]) -> _Chat | None:
    message = _object_at(body, "1")
    extension = _object_at(message, "10")
    chat_id = strip_address(_id(message.get("2")))
    if not chat_id or not extension:
        return None
    custom = _object_at(_object_at(message, "6"), "3")
    content_text = _text(custom.get("5"))
    content = _json_object(content_text)
    ext_json = _json_object(_text(extension.get("extJson")))
    return _Chat(
        chat_id=chat_id,
        message_id=_id(message.get("3")) or _inner_message_id(extension, ext_json),
        sender_id=_id(extension.get("senderUserId")) or _sender_address(message),
        extension=extension,
        content=content,
        content_text=content_text,
        summary=_text(custom.get("2")),
        content_type=_first_number(custom.get("4"), content.get("contentType"), ext_json.get("contentType")),
        created_at_ms=_ms(message.get("5")),
        is_marked_silent=(
            _text(_object_at(body, "3").get("needPush")) == "false" or ext_json.get("msgArg1") == "MsgTips"
        ),
    )


def _inner_message_id(extension: dict[str, object], ext_json: dict[str, object]) -> str:
    biz_tag = _json_object(_text(extension.get("bizTag")))
    return _id(biz_tag.get("messageId")) or _id(ext_json.get("messageId"))


def _sender_address(message: dict[str, object]) -> str:
    sender = message.get("1")
    return strip_address(_id(sender.get("1") if isinstance(sender, dict) else sender))


def _chat_message(chat: _Chat, me: str) -> ChatMessage:
    text = _typed_text(chat.content) or _text(chat.extension.get("reminderContent")) or chat.summary
    return ChatMessage(
        chat_id=chat.chat_id,
        message_id=chat.message_id,
        sender_id=chat.sender_id,
        sender_name=_text(chat.extension.get("senderNick")) or _text(chat.extension.get("reminderTitle")),
        text=text,
        content_type=chat.content_type,
        item_id=_found(_ITEM_ID, _text(chat.extension.get("reminderUrl"))),
        created_at_ms=chat.created_at_ms,
        is_own=chat.sender_id == me,
        is_system=chat.is_marked_silent or chat.content_type == TIPS or is_system_text(text),
        images=_images(chat.content),
    )


def _typed_text(content: dict[str, object]) -> str:
    if _number(content.get("contentType")) != TEXT:
        return ""
    return _text(_object_at(content, "text").get("text"))


def _images(content: dict[str, object]) -> tuple[ChatImage, ...]:
    if _number(content.get("contentType")) != IMAGE:
        return ()
    pictures = _object_at(content, "image").get("pics")
    if not isinstance(pictures, list):
        return ()
    return tuple(
        ChatImage(_text(picture.get("url")), _number(picture.get("width")) or 0, _number(picture.get("height")) or 0)
        for picture in pictures[:_MAX_IMAGES]
        if isinstance(picture, dict) and _text(picture.get("url"))
    )


# ── cards ─────────────────────────────────────────────────────────────────────────────────────────────────


def _trade_card(chat: _Chat, me: str) -> TradeCard:
    main = _card_main(chat.content)
    title = _text(_object_at(main, "exContent").get("title"))
    reminder = _text(chat.extension.get("reminderContent")) or chat.summary
    order_id = _order_id(chat.content, chat.content_text)
    biz_tag = _json_object(_text(chat.extension.get("bizTag")))
    as_seller = (
        order_id is not None
        and not _was_sent_by_hand(biz_tag)
        and _we_sell(_text(main.get("targetUrl")), chat.sender_id, me)
    )
    return TradeCard(
        chat_id=chat.chat_id,
        message_id=chat.message_id,
        order_id=order_id,
        title=title,
        reminder=reminder,
        buyer_id=_peer(chat.sender_id, chat.extension, me),
        item_id=_found(_ITEM_ID, _text(chat.extension.get("reminderUrl"))),
        paid=as_seller and (is_paid_text(reminder) or is_paid_text(title)),
        group_price=as_seller and is_group_price_text(title),
        created_at_ms=chat.created_at_ms,
        content_type=chat.content_type,
        task_name=_text(biz_tag.get("taskName")),
        is_sale=as_seller,
    )


def _card_main(content: dict[str, object]) -> dict[str, object]:
    return _object_at(_object_at(_object_at(content, "dxCard"), "item"), "main")


def _we_sell(target_url: str, sender_id: str, me: str) -> bool:
    """Return whether a card is the seller's: by the role in its link, otherwise because another user's action caused
    it.
    """
    if "role=buyer" in target_url:
        return False
    return "role=seller" in target_url or sender_id != me


def _was_sent_by_hand(biz_tag: dict[str, object]) -> bool:
    """Return whether the site tags it as a user's message; the site's own cards come from a task (§3.8)."""
    return _text(biz_tag.get("sourceId")).startswith("S:")


def _peer(sender_id: str, extension: dict[str, object], me: str) -> str | None:
    if sender_id and sender_id != me:
        return sender_id
    linked = _found(_PEER_ID, _text(extension.get("reminderUrl")))
    return linked if linked != me else None


def _order_id(content: dict[str, object], content_text: str) -> str | None:
    """Find a card's order id, the most reliable place first (§3.8)."""
    main = _card_main(content)
    changed = _card_main(_object_at(_object_at(content, "dynamicOperation"), "changeContent"))
    return (
        _found(_BUTTON_ORDER, _button_url(main))
        or _found(_TARGET_ORDER, _text(main.get("targetUrl")))
        or _found(_BUTTON_ORDER, _button_url(changed))
        or _found(_TARGET_ORDER, _button_url(changed))
        or _order_id_anywhere(content_text)
    )


def _button_url(main: dict[str, object]) -> str:
    return _text(_object_at(_object_at(main, "exContent"), "button").get("targetUrl"))


def _order_id_anywhere(content_text: str) -> str | None:
    return next((found for pattern in _ANYWHERE_ORDER if (found := _found(pattern, content_text))), None)


def _card_update(body: dict[str, object], me: str) -> CardUpdate:
    extension = _object_at(body, "4")
    ext_json = _json_object(_text(extension.get("extJson")))
    sender_id = _id(extension.get("senderUserId"))
    reminder = _text(extension.get("reminderContent"))
    title = _text(extension.get("reminderTitle"))
    order_id = _found(_UPDATE_KEY_ORDER, _text(ext_json.get("updateKey")))
    content_type = _number(ext_json.get("contentType"))
    biz_tag = _json_object(_text(extension.get("bizTag")))
    is_sites = not _was_sent_by_hand(biz_tag)
    counts = content_type == TRADE_CARD and order_id is not None and sender_id != me and is_sites
    return CardUpdate(
        chat_id=strip_address(_id(body.get("2"))),
        message_id=_id(body.get("1")),
        order_id=order_id,
        title=title,
        reminder=reminder,
        buyer_id=_peer(sender_id, extension, me),
        item_id=_found(_ITEM_ID, _text(extension.get("reminderUrl"))),
        paid=counts and is_paid_text(reminder),
        group_price=counts and (is_group_price_text(reminder) or is_group_price_text(title)),
        created_at_ms=_ms(body.get("5")),
        content_type=content_type,
        is_sale=counts,
    )


# ── marks, receipts, typing ───────────────────────────────────────────────────────────────────────────────


def _read_mark(body: dict[str, object], me: str) -> Event:
    third = body.get("3")
    if isinstance(body.get("4"), dict) and _is_address(body.get("2")):
        return _card_update(body, me)
    if not _is_address(body.get("1")):
        return _unknown(body)
    chat_id = strip_address(_id(body.get("1")))
    if isinstance(third, dict) and isinstance(third.get("redReminder"), str):
        return OrderMark(chat_id=chat_id, mark=_text(third.get("redReminder")), at_ms=_ms(body.get("4")))
    if isinstance(third, str) and third.endswith(".PNM"):
        return NewMessageMark(chat_id=chat_id, message_id=_id(third), at_ms=_ms(body.get("4")))
    return _unknown(body)


def _read_list_event(body: dict[str, object]) -> Event:
    first = body.get("1")
    items: list[object] = first if isinstance(first, list) else []
    head = items[0] if items else None
    if isinstance(head, dict) and _is_address(head.get("1")):
        return Typing(chat_id=strip_address(_id(head.get("1"))), user_id=strip_address(_id(head.get("3"))))
    if _is_address(body.get("3")) and items and all(isinstance(item, str) for item in items):
        return ReadReceipt(
            chat_id=strip_address(_id(body.get("3"))),
            message_ids=tuple(_id(item) for item in items),
            at_ms=_ms(body.get("5")),
        )
    return _unknown(body)


# ── plain JSON pushes ─────────────────────────────────────────────────────────────────────────────────────


def _read_operation(body: dict[str, object], me: str) -> Event:
    operation = _object_at(body, "operation")
    content = _object_at(operation, "content")
    session = _object_at(operation, "sessionInfo")
    chat_id = strip_address(_id(body.get("sessionId")) or _id(session.get("sessionId")))
    kind = _number(content.get("contentType"))
    if kind == SESSION_AROUSE:
        return SessionArouse(chat_id=chat_id)
    if kind == CUSTOM:
        content = _json_object(_base64_text(_object_at(content, "custom").get("data")))
    text = _typed_text(content)
    images = _images(content)
    if not chat_id or not (text or images):
        return _unknown(body)
    sender = _object_at(operation, "senderInfo")
    sender_id = strip_address(_id(sender.get("senderUserId")))
    return ChatMessage(
        chat_id=chat_id,
        message_id=_id(operation.get("messageId")) or _id(body.get("messageId")),
        sender_id=sender_id,
        sender_name=_text(sender.get("senderNick")),
        text=text,
        content_type=_number(content.get("contentType")) or 0,
        item_id=_id(_object_at(session, "extensions").get("itemId")) or None,
        created_at_ms=0,
        is_own=sender_id == me,
        is_system=is_system_text(text),
        images=images,
    )


def _base64_text(value: object) -> str:
    try:
        return base64.b64decode(_text(value).encode(), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


# ── reading values of uncertain type ──────────────────────────────────────────────────────────────────────


def _unknown(body: dict[str, object]) -> UnknownEvent:
    return UnknownEvent(raw_kind="keys " + ",".join(sorted(str(key)[:16] for key in list(body)[:8])))


def _object_at(parent: dict[str, object], key: str) -> dict[str, object]:
    value = parent.get(key)
    return value if isinstance(value, dict) else _NO_OBJECT


def _json_object(text: str) -> dict[str, object]:
    if not text.startswith("{"):
        return _NO_OBJECT
    try:
        return parse_json_object(text)
    except UndecodableFrame:
        return _NO_OBJECT


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _id(value: object) -> str:
    """Return an id as text. Whole numbers are converted; a text longer than an id can be becomes empty."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**64:
        return str(value)
    return value if isinstance(value, str) and len(value) <= _MAX_ID_CHARACTERS else ""


def _number(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MS_LIMIT:
        return value
    if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value):
        return _number(int(value))
    return None


def _first_number(*values: object) -> int:
    return next((number for value in values if (number := _number(value)) is not None), 0)


def _ms(value: object) -> int:
    return _number(value) or 0


def _is_address(value: object) -> bool:
    return isinstance(value, str) and value.endswith(ADDRESS_SUFFIX)


def _found(pattern: re.Pattern[str], text: str) -> str | None:
    match = pattern.search(text)
    return match[1] if match and len(match[1]) <= _MAX_ID_CHARACTERS else None
