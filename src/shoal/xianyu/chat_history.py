"""The site's history of chats: the newest chats, and the messages of each (docs/protocol.md §4.1)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

import msgspec

from shoal.xianyu import frames
from shoal.xianyu.identity import strip_address
from shoal.xianyu.packets import read_event
from shoal.xianyu.push_events import Event
from shoal.xianyu.speakers import CARD_TYPES
from shoal.xianyu.wire_bytes import UndecodableFrame, parse_json_object
from shoal.xianyu.wire_values import json_object, number_of

_MS_LIMIT = 2**53
_CHAT_PATHS = ("singleChatUserConversation", "singleChatConversation")


class ChatHead(msgspec.Struct, frozen=True):
    """One chat of a list. ``last`` is its last message, ``None`` when it cannot be read.

    ``last_at_ms`` is when the chat last changed (the site's time), 0 when the site does not say.
    """

    chat_id: str
    last_at_ms: int
    last: Event | None


class ChatPage(msgspec.Struct, frozen=True):
    """One page of chats, newest first. ``next_cursor`` is for the next page, ``None`` when there is none."""

    chats: tuple[ChatHead, ...]
    next_cursor: int | None


class HistoryPage(msgspec.Struct, frozen=True):
    """One page of a chat's messages, newest first, each with its time (the site's, in ms; 0 when unknown)."""

    lines: tuple[tuple[int, Event], ...]
    next_cursor: int | None


def read_chats(reply: Mapping[str, object], me: str) -> ChatPage:
    """Read the reply to ``frames.list_chats`` for the user ``me``.

    Raises ``UndecodableFrame`` for a refusal or a reply without a list. Leaves out chats that cannot be read.
    """
    body = _accepted(reply, "userConvs")
    rows = body["userConvs"]
    heads = [_head(row, me) for row in (rows if isinstance(rows, list) else ()) if isinstance(row, dict)]
    return ChatPage(tuple(head for head in heads if head is not None), _next_cursor(body))


def read_history(reply: Mapping[str, object], me: str) -> HistoryPage:
    """Read the reply to ``frames.list_messages``. Raises ``UndecodableFrame`` as ``read_chats``."""
    body = _accepted(reply, "userMessageModels")
    rows = body["userMessageModels"]
    lines = [_line(row, me) for row in (rows if isinstance(rows, list) else ()) if isinstance(row, dict)]
    return HistoryPage(tuple(line for line in lines if line is not None), _next_cursor(body))


def _accepted(reply: Mapping[str, object], wanted: str) -> dict[str, object]:
    body = frames.body_of(reply)
    if reply.get("code") != 200 or "reason" in body or wanted not in body:
        raise UndecodableFrame(f"the site gave no {wanted}")
    return body


def _next_cursor(body: dict[str, object]) -> int | None:
    cursor = body.get("nextCursor")
    if not isinstance(cursor, int) or isinstance(cursor, bool) or body.get("hasMore") not in (1, True, "1"):
        return None
    return cursor


def _head(row: dict[str, object], me: str) -> ChatHead | None:
    user_chat, chat = row, row
    for name in _CHAT_PATHS:
        inner = chat.get(name)
        if isinstance(inner, dict):
            user_chat, chat = chat if name == "singleChatConversation" else inner, inner
    cid = chat.get("cid")
    if not isinstance(cid, str) or not cid:
        return None
    last_message = user_chat.get("lastMessage")
    line = _line(last_message, me) if isinstance(last_message, dict) else None
    sent_at = line[0] if line else 0
    return ChatHead(strip_address(cid), max(_ms(user_chat.get("modifyTime")), sent_at), line[1] if line else None)


def _line(row: dict[str, object], me: str) -> tuple[int, Event] | None:
    """Read one stored message by giving it the form of a pushed one (§3.7)."""
    message = row.get("message")
    if not isinstance(message, dict):
        return None
    custom = _inner(_inner(message, "content"), "custom")
    content = _decoded(custom.get("data"))
    sender = _inner(message, "sender").get("uid")
    payload: dict[str, object] = {
        "1": {
            "1": {"1": sender if isinstance(sender, str) else ""},
            "2": message.get("cid"),
            "3": message.get("messageId"),
            "5": message.get("createAt"),
            "6": {"3": {"2": custom.get("summary"), "4": _content_type(custom.get("type"), content), "5": content}},
            "10": message.get("extension"),
        },
    }
    return _ms(message.get("createAt")), read_event(payload, me)


def _content_type(given: object, content: str) -> object:
    """Return the content type given beside a content; ``None`` where the content's own decides, for want of a card."""
    return given if number_of(given) in CARD_TYPES or "contentType" not in json_object(content) else None


def _inner(parent: Mapping[str, object], name: str) -> dict[str, object]:
    value = parent.get(name)
    return value if isinstance(value, dict) else {}


def _decoded(data: object) -> str:
    """Return the JSON text of a content; empty when it is not JSON."""
    if not isinstance(data, str):
        return ""
    try:
        text = base64.b64decode(data.encode(), validate=True).decode()
        parse_json_object(text)
    except (binascii.Error, ValueError, UndecodableFrame):
        return ""
    return text


def _ms(value: object) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 16:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MS_LIMIT else 0
