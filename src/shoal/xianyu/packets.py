"""Turns payloads into events: the meaning of the site's pushes (docs/protocol.md §3.7)."""

from __future__ import annotations

import re

import msgspec

from shoal.xianyu.identity import strip_address
from shoal.xianyu.push_events import (
    ChatImage,
    ChatMessage,
    Event,
    NewMessageMark,
    OrderContext,
    OrderMark,
    ReadReceipt,
    SessionArouse,
    Typing,
    UnknownEvent,
)
from shoal.xianyu.speakers import CARD_TYPES, Speaker, is_in_a_persons_chat, speaker_of
from shoal.xianyu.trade_cards import TRADE_CARD, Surroundings, card_update, holds_card, names_order, trade_card
from shoal.xianyu.trade_texts import is_system_text
from shoal.xianyu.wire_bytes import MAX_DEPTH
from shoal.xianyu.wire_values import (
    base64_text,
    id_of,
    is_address,
    json_object,
    ms_of,
    number_of,
    object_at,
    object_in,
    text_of,
)

TEXT, IMAGE, SESSION_AROUSE, CUSTOM = 1, 2, 8, 101
"""The content types that we distinguish, besides those of cards and tips."""

_MAX_IMAGES = 32
_ADVERTISEMENTS = frozenset({"IDLE_SPACE_PRICING"})
"""The plain JSON pushes that are none of our business, by ``bizType``. Any other may be a new form of a message."""
_ORDER_ID = re.compile(r"[0-9]{1,32}")
_NOT_A_NAME = frozenset({Speaker.CARD, Speaker.TIP})
"""Who speaks under a headline, such as ``交易消息``, where a message has its sender's name."""


def read_event(payload: object, me: str) -> Event:
    """Return the meaning of a decoded payload for the user ``me`` (the bare id). Never raises."""
    if not isinstance(payload, dict):
        return UnknownEvent(raw_kind=type(payload).__name__)
    body = _unwrapped(object_at({"payload": payload}, "payload"))
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


def _unwrapped(body: dict[str, object]) -> dict[str, object]:
    """Return the chat-shaped payload that is inside others; the payload itself when nothing is."""
    outer = body
    for _ in range(MAX_DEPTH):
        first = object_at(body, "1")
        if "2" in first or "1" not in first:
            return body if "2" in first else outer
        body = first
    return outer


# ── chat-shaped payloads ──────────────────────────────────────────────────────────────────────────────────


class _Chat(msgspec.Struct, frozen=True):
    """The parts of a chat-shaped payload that both messages and cards need."""

    chat_id: str
    message_id: str
    sender_id: str
    around: Surroundings
    content: dict[str, object]
    content_text: str
    summary: str
    content_type: int
    content_types: frozenset[int]
    created_at_ms: int
    beside: str


def _read_chat(body: dict[str, object], me: str) -> Event:
    chat = _chat_of(body)
    if chat is None:
        return _unknown(body)
    is_card = chat.content_type in CARD_TYPES and is_in_a_persons_chat(chat.around.session_type, chat.sender_id)
    is_about_order = chat.content_type == TRADE_CARD or (
        is_card and names_order(chat.around, chat.content, chat.content_text, chat.beside)
    )
    if is_card and is_about_order:
        return trade_card(
            chat.around,
            chat.content,
            chat.content_text,
            chat_id=chat.chat_id,
            message_id=chat.message_id,
            sender_id=chat.sender_id,
            summary=chat.summary,
            content_type=chat.content_type,
            created_at_ms=chat.created_at_ms,
            me=me,
            beside=chat.beside,
        )
    return _chat_message(chat, me)


def _chat_of(body: dict[str, object]) -> _Chat | None:
    message = object_at(body, "1")
    extension = object_at(message, "10")
    chat_id = strip_address(id_of(message.get("2")))
    custom = object_in(message, "6", "3")
    content_text = text_of(custom.get("5")) or base64_text(custom.get("1"))
    content = json_object(content_text)
    around = Surroundings.of(extension)
    places = (custom.get("4"), content.get("contentType"), around.ext_json.get("contentType"))
    content_types = [number for value in places if (number := number_of(value))]
    content_type = next(iter(content_types), 0)
    if not chat_id or not (extension or (content_type in CARD_TYPES and content)):
        return None
    return _Chat(
        chat_id=chat_id,
        message_id=id_of(message.get("3")) or _inner_message_id(around),
        sender_id=strip_address(id_of(extension.get("senderUserId"))) or _sender_address(message),
        around=around,
        content=content,
        content_text=content_text,
        summary=text_of(custom.get("2")),
        content_type=content_type,
        content_types=frozenset(content_types),
        created_at_ms=ms_of(message.get("5")),
        beside=text_of(object_at(message, "8").get("extra")),
    )


def _inner_message_id(around: Surroundings) -> str:
    return id_of(around.biz_tag.get("messageId")) or id_of(around.ext_json.get("messageId"))


def _sender_address(message: dict[str, object]) -> str:
    sender = message.get("1")
    return strip_address(id_of(sender.get("1") if isinstance(sender, dict) else sender))


def _chat_message(chat: _Chat, me: str) -> ChatMessage:
    extension = chat.around.extension
    text = _typed_text(chat.content) or text_of(extension.get("reminderContent")) or chat.summary
    speaker = speaker_of(
        content_types=chat.content_types,
        session_type=chat.around.session_type,
        mark=text_of(chat.around.ext_json.get("msgArg1")),
        source_id=chat.around.source_id,
        sender_id=chat.sender_id,
        me=me,
        is_card=holds_card(chat.content),
        is_known_phrase=is_system_text(text),
    )
    is_headed = speaker in _NOT_A_NAME
    name = text_of(extension.get("senderNick")) or text_of(extension.get("reminderTitle"))
    return ChatMessage(
        chat_id=chat.chat_id,
        message_id=chat.message_id,
        sender_id=(chat.around.peer(chat.sender_id, me) or "") if is_headed else chat.sender_id,
        sender_name="" if is_headed else name,
        text=text,
        content_type=chat.content_type,
        item_id=chat.around.item_id,
        created_at_ms=chat.created_at_ms,
        speaker=speaker,
        images=_images(chat.content),
    )


def _typed_text(content: dict[str, object]) -> str:
    if number_of(content.get("contentType")) != TEXT:
        return ""
    return text_of(object_at(content, "text").get("text"))


def _images(content: dict[str, object]) -> tuple[ChatImage, ...]:
    if number_of(content.get("contentType")) != IMAGE:
        return ()
    pictures = object_at(content, "image").get("pics")
    if not isinstance(pictures, list):
        return ()
    return tuple(
        ChatImage(
            text_of(picture.get("url")), number_of(picture.get("width")) or 0, number_of(picture.get("height")) or 0
        )
        for picture in pictures[:_MAX_IMAGES]
        if isinstance(picture, dict) and text_of(picture.get("url"))
    )


# ── marks, receipts, typing ───────────────────────────────────────────────────────────────────────────────


def _read_mark(body: dict[str, object], me: str) -> Event:
    if isinstance(body.get("4"), dict) and is_address(body.get("2")):
        return card_update(body, me)
    if is_address(body.get("4")) and number_of(body.get("2")) is not None:
        return _receipt(body.get("4"), [body.get("1")], body.get("6"))
    update = _update_of_chat(strip_address(id_of(body.get("1"))), body, me) if is_address(body.get("1")) else None
    return update or _unknown(body)


def _update_of_chat(chat_id: str, body: dict[str, object], me: str) -> Event | None:
    third, at_ms = body.get("3"), ms_of(body.get("4"))
    if isinstance(third, str):
        is_mark = third.endswith(".PNM")
        return NewMessageMark(chat_id=chat_id, message_id=id_of(third), at_ms=at_ms) if is_mark else None
    fields = object_at(body, "3")
    if isinstance(fields.get("redReminder"), str):
        return OrderMark(chat_id=chat_id, mark=text_of(fields.get("redReminder")), at_ms=at_ms)
    return _order_context(chat_id, fields, at_ms, me) if _ORDER_ID.fullmatch(id_of(fields.get("orderId"))) else None


def _order_context(chat_id: str, fields: dict[str, object], at_ms: int, me: str) -> OrderContext:
    seller = strip_address(id_of(fields.get("itemSellerId")))
    users = [strip_address(id_of(fields.get(name))) for name in ("extUserId", "ownerUserId")]
    return OrderContext(
        chat_id=chat_id,
        order_id=id_of(fields.get("orderId")),
        item_id=id_of(fields.get("itemId")) or None,
        buyer_id=next((user for user in users if user and user != (seller or me)), ""),
        we_sell=seller == me,
        at_ms=at_ms,
        item_title=text_of(fields.get("itemTitle")),
        item_picture=text_of(fields.get("itemMainPic")),
    )


def _receipt(chat: object, message_ids: list[object], at: object) -> ReadReceipt:
    return ReadReceipt(
        chat_id=strip_address(id_of(chat)), message_ids=tuple(id_of(one) for one in message_ids), at_ms=ms_of(at)
    )


def _read_list_event(body: dict[str, object]) -> Event:
    first = body.get("1")
    items: list[object] = first if isinstance(first, list) else []
    head = items[0] if items else None
    if isinstance(head, dict) and is_address(head.get("1")):
        writer = next((head.get(key) for key in ("4", "3") if is_address(head.get(key))), "")
        return Typing(chat_id=strip_address(id_of(head.get("1"))), user_id=strip_address(id_of(writer)))
    if is_address(body.get("3")) and items and all(isinstance(item, str) for item in items):
        return _receipt(body.get("3"), items, body.get("5"))
    return _unknown(body)


# ── plain JSON pushes ─────────────────────────────────────────────────────────────────────────────────────


def _read_operation(body: dict[str, object], me: str) -> Event:
    operation = object_at(body, "operation")
    content = object_at(operation, "content")
    session = object_at(operation, "sessionInfo")
    chat_id = strip_address(id_of(body.get("sessionId")) or id_of(session.get("sessionId")))
    kind = number_of(content.get("contentType"))
    if kind == SESSION_AROUSE:
        about = object_at(session, "extensions")
        return SessionArouse(
            chat_id=chat_id,
            item_id=id_of(about.get("itemId")),
            item_title=text_of(about.get("itemTitle")),
            we_sell=strip_address(id_of(about.get("itemSellerId"))) == me,
        )
    if kind == CUSTOM:
        content = json_object(base64_text(object_at(content, "custom").get("data")))
    text = _typed_text(content)
    images = _images(content)
    if not chat_id or not (text or images):
        return _unknown(body)
    sender = object_at(operation, "senderInfo")
    sender_id = strip_address(id_of(sender.get("senderUserId")))
    content_type = number_of(content.get("contentType")) or 0
    return ChatMessage(
        chat_id=chat_id,
        message_id=id_of(operation.get("messageId")) or id_of(body.get("messageId")),
        sender_id=sender_id,
        sender_name=text_of(sender.get("senderNick")),
        text=text,
        content_type=content_type,
        item_id=id_of(object_at(session, "extensions").get("itemId")) or None,
        created_at_ms=0,
        speaker=speaker_of(
            content_types={content_type},
            session_type=id_of(session.get("sessionType")),
            mark="",
            source_id="",
            sender_id=sender_id,
            me=me,
            is_known_phrase=is_system_text(text),
        ),
        images=images,
    )


def _unknown(body: dict[str, object]) -> UnknownEvent:
    keys = ",".join(sorted(str(key)[:16] for key in list(body)[:8]))
    return UnknownEvent(raw_kind="keys " + keys, is_expected=text_of(body.get("bizType")) in _ADVERTISEMENTS)
