"""The doors through which the site's bytes come in, each driven as far as decoding goes.

A door takes bytes and returns how many things it read. ``UndecodableFrame`` is the one refusal allowed, and it is
caught here; whatever else a door raises is a defect.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Final, cast

import aiohttp

from shoal.xianyu import chat_history, frames, mtop_reply
from shoal.xianyu.browser import Browser
from shoal.xianyu.live_socket import LiveSocket
from shoal.xianyu.packets import read_event
from shoal.xianyu.push_events import ChatMessage
from shoal.xianyu.stop_switch import StopSwitch
from shoal.xianyu.wire_bytes import UndecodableFrame, decode_entry, parse_json_object

ME: Final = "2200000000002"

Door = Callable[[bytes], int]


def entry(data: bytes) -> int:
    """One ``data[i].data`` of a push: decoded, understood, and fit to be stored as text."""
    try:
        payload = decode_entry(data.decode("latin-1"))
    except UndecodableFrame:
        return 0
    json.dumps(payload).encode()
    event = read_event(payload, ME)
    for name, value in dataclasses.asdict(event).items():
        if name.endswith("_id"):
            assert value is None or isinstance(value, str)
    if isinstance(event, ChatMessage):
        event.text.encode()
        event.sender_name.encode()
    return 1


def frame(data: bytes) -> int:
    """A whole text frame, through a real socket object, and every entry of it."""
    socket = LiveSocket(cast("aiohttp.ClientWebSocketResponse", None), lambda: True, StopSwitch(), Browser("fuzz"))
    socket._take(data)
    socket._take(data.decode("utf-8", "surrogateescape"))
    read = 0
    for _, push in socket._pushes:
        frames.encode(frames.ack_of(push))
        frames.wants_position(push)
        place = frames.place_of(push)
        assert place is None or place > 0
        for data_b64 in frames.entries_of(push):
            read += entry(data_b64.encode("latin-1", "replace")) if isinstance(data_b64, str) else _other(data_b64)
    return read


def _other(value: object) -> int:
    try:
        decode_entry(value)
    except UndecodableFrame:
        return 0
    raise AssertionError("an entry that is no text was decoded")


def history(data: bytes) -> int:
    """The reply to a question about the past: what was said in a chat, or which chats there are."""
    try:
        reply = parse_json_object(data)
    except UndecodableFrame:
        return 0
    read = 0
    for reader in (chat_history.read_chats, chat_history.read_history):
        try:
            reader(reply, ME)
        except UndecodableFrame:
            continue
        read += 1
    return read


def answer(data: bytes) -> int:
    """The body of an answer to a signed call."""
    try:
        reply = parse_json_object(data)
    except UndecodableFrame:
        return 0
    verdict = mtop_reply.judge(reply)
    f"{verdict.code}{verdict.text}{verdict.url}".encode()
    return 1


DOORS: Final[dict[str, Door]] = {"entry": entry, "frame": frame, "history": history, "answer": answer}
