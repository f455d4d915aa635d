"""The frames of the message socket: one JSON object each (docs/protocol.md §3, §4)."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from urllib.parse import unquote

from shoal.xianyu.browser import Browser
from shoal.xianyu.identity import APP_KEY, address

Frame = dict[str, object]

KICKOUT = "/push/kickout"
SESSION_REMOVED = "/s/session/remove"
MOMENT = "/s/para"
NEWEST_CURSOR = 2**53 - 1
"""The cursor of the newest page of a history."""

_ECHOED_HEADERS = ("app-key", "ua", "dt")


def encode(frame: Mapping[str, object]) -> str:
    """Return the text of a frame."""
    return json.dumps(frame, separators=(",", ":"))


def mid_of(frame: Mapping[str, object]) -> str:
    """Return a frame's mid, empty when it has none."""
    mid = headers_of(frame).get("mid")
    return mid if isinstance(mid, str) else ""


def headers_of(frame: Mapping[str, object]) -> dict[str, object]:
    """Return a frame's headers, an empty object when it has none."""
    headers = frame.get("headers")
    return headers if isinstance(headers, dict) else {}


def body_of(frame: Mapping[str, object]) -> dict[str, object]:
    """Return a frame's body when that is an object, else an empty one."""
    body = frame.get("body")
    return body if isinstance(body, dict) else {}


def is_push(frame: Mapping[str, object]) -> bool:
    """Return whether a frame is a push (``lwp`` and no ``code``), and not a reply or anything else (§3.1)."""
    return isinstance(frame.get("lwp"), str) and "code" not in frame


def is_reply(frame: Mapping[str, object]) -> bool:
    """Return whether a frame is a reply (``code`` and no ``lwp``)."""
    return "code" in frame and "lwp" not in frame


def entries_of(push: Mapping[str, object]) -> tuple[object, ...]:
    """Return every ``data[i].data`` of a push, in order, for ``decode_entry`` (§3.5)."""
    package = body_of(push).get("syncPushPackage")
    data = package.get("data") if isinstance(package, dict) else None
    if not isinstance(data, list):
        return ()
    return tuple(entry.get("data") for entry in data if isinstance(entry, dict))


def place_of(push: Mapping[str, object]) -> int | None:
    """Return the position in the feed that a push reaches, in microseconds.

    ``None`` for a push without entries, and for one about the moment (typing), which has no position.
    """
    if push.get("lwp") == MOMENT:
        return None
    package = body_of(push).get("syncPushPackage")
    if not isinstance(package, dict) or not package.get("data"):
        return None
    pts = package.get("maxPts")
    return pts if isinstance(pts, int) and not isinstance(pts, bool) and pts > 0 else None


def wants_position(push: Mapping[str, object]) -> bool:
    """Return whether a push, or the reply to ``ack_diff``, asks us to fetch and send back the sync position (§3.3)."""
    extra = body_of(push).get("syncExtraType")
    return isinstance(extra, dict) and extra.get("type") in (1, 2)


def registration(mid: str, token: str, device_id: str, browser: Browser) -> Frame:
    """Build ``/reg`` (§3.2). A URL-encoded token is decoded."""
    return {
        "lwp": "/reg",
        "headers": {
            "cache-header": "app-key token ua wv",
            "app-key": APP_KEY,
            "token": unquote(token),
            "ua": f"{browser.user_agent} DingTalk(2.1.5) OS({browser.system}) Browser({browser.product}) "
            "DingWeb/2.1.5 IMPaaS DingWeb/2.1.5",
            "dt": "j",
            "wv": "im:3,au:3,sy:6",
            "sync": "0,0;0;0;",
            "did": device_id,
            "mid": mid,
        },
    }


def heartbeat(mid: str) -> Frame:
    """Build a heartbeat (§3.4)."""
    return {"lwp": "/!", "headers": {"mid": mid}}


def get_state(mid: str) -> Frame:
    """Build the request for the sync position (§3.3); send the reply's body back with ``ack_diff``."""
    return _request("/r/SyncStatus/getState", mid, [{"topic": "sync"}])


def ack_diff(mid: str, position: Mapping[str, object]) -> Frame:
    """Build the report of what we already have (§3.3): ``position_at`` or the body of a ``get_state`` reply."""
    return _request("/r/SyncStatus/ackDiff", mid, [dict(position)])


def position_at(now_ms: int) -> dict[str, object]:
    """Return the position "I have everything up to now"; its ``pts`` counts microseconds."""
    return {
        "pipeline": "sync",
        "tooLong2Tag": "PNM,1",
        "channel": "sync",
        "topic": "sync",
        "highPts": 0,
        "pts": now_ms * 1000,
        "seq": 0,
        "timestamp": now_ms,
    }


def ack_of(push: Mapping[str, object]) -> Frame:
    """Build the acknowledgement of a push: its mid and sid, and three more headers if it has them (§3.1)."""
    theirs = headers_of(push)
    headers: dict[str, object] = {"mid": mid_of(push), "sid": theirs.get("sid") or ""}
    headers.update({name: theirs[name] for name in _ECHOED_HEADERS if name in theirs})
    return {"code": 200, "headers": headers}


def send_text(mid: str, uuid: str, chat_id: str, to_id: str, my_id: str, text: str) -> Frame:
    """Build a text message (§4)."""
    return _message(mid, uuid, chat_id, to_id, my_id, {"contentType": 1, "text": {"text": text}})


def send_image(
    mid: str, uuid: str, chat_id: str, to_id: str, my_id: str, *, url: str, width: int, height: int
) -> Frame:
    """Build an image message from an uploaded picture, sizes in pixels (§4)."""
    picture = {"height": height, "type": 0, "url": url, "width": width}
    return _message(mid, uuid, chat_id, to_id, my_id, {"contentType": 2, "image": {"pics": [picture]}})


def list_messages(mid: str, chat_id: str, cursor: int = NEWEST_CURSOR, count: int = 20) -> Frame:
    """Build the request for one page of a chat's history, newest first (§4)."""
    return _request("/r/MessageManager/listUserMessages", mid, [address(chat_id), False, cursor, count, False])


def list_chats(mid: str, cursor: int = NEWEST_CURSOR, count: int = 20) -> Frame:
    """Build the request for one page of chats, newest first (§4)."""
    return _request("/r/Conversation/listNewestPagination", mid, [cursor, count])


def _request(lwp: str, mid: str, body: list[object]) -> Frame:
    return {"lwp": lwp, "headers": {"mid": mid}, "body": body}


def _message(mid: str, uuid: str, chat_id: str, to_id: str, my_id: str, content: dict[str, object]) -> Frame:
    data = base64.b64encode(json.dumps(content).encode()).decode("ascii")
    message: dict[str, object] = {
        "uuid": uuid,
        "cid": address(chat_id),
        "conversationType": 1,
        "content": {"contentType": 101, "custom": {"type": 1, "data": data}},
        "redPointPolicy": 0,
        "extension": {"extJson": "{}"},
        "ctx": {"appVersion": "1.0", "platform": "web"},
        "mtags": {},
        "msgReadStatusSetting": 1,
    }
    return _request(
        "/r/MessageSend/sendByReceiverScope",
        mid,
        [message, {"actualReceivers": [address(to_id), address(my_id)]}],
    )
