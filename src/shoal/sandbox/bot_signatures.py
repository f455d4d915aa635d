"""Signatures of bots and webhooks, checked as DingTalk, Feishu, Lark and Standard Webhooks check them.

DingTalk: ``timestamp`` (ms) and ``sign`` stand in the query; the key is the secret, the text is time and secret.
Feishu and Lark: ``timestamp`` (s) and ``sign`` stand in the body; the key is time and secret, the text is empty.
Webhooks: headers; the key is the secret, the text is id, time and body. No other service of the list signs.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from shoal.sandbox.bodies import Body, Name

HOLDS_SECONDS: Final = 3_600
WEBHOOK_SECONDS: Final = 300
"""How far the time of a signature may be from the service's own: of a bot, of a webhook."""
SIGNED: Final[dict[str, dict[str, Any]]] = {
    "dingtalk": {"errcode": 310000, "errmsg": "sign not match"},
    "feishu": {
        "code": 19021,
        "data": {},
        "msg": "sign match fail or timestamp is not within one hour from current time",
    },
    "lark": {"code": 19021, "data": {}, "msg": "sign match fail or timestamp is not within one hour from current time"},
}
"""The services whose bots may want signatures, and how each refuses one, with HTTP 200."""


class BotBody(Body):
    """A bot of a group, or the webhook ``/hook/<token>``, now wants signatures made with ``secret``."""

    service: Literal["dingtalk", "feishu", "lark", "webhook"]
    token: Name
    secret: Name


def dingtalk_signature(secret: str, timestamp: str) -> str:
    """Return the signature, as it is before it stands in an address."""
    return _signature(secret, f"{timestamp}\n{secret}")


def feishu_signature(secret: str, timestamp: str) -> str:
    """Return the signature."""
    return _signature(f"{timestamp}\n{secret}", "")


def _signature(key: str, text: str) -> str:
    return base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()).decode()


def webhook_signature(secret: str, event: str, timestamp: str, raw: bytes) -> str:
    """Return the signature of Standard Webhooks, without its version."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return base64.b64encode(hmac.new(key, f"{event}.{timestamp}.".encode() + raw, hashlib.sha256).digest()).decode()


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, as a service looks at its signature. ``now``: the service's time in seconds."""

    query: Mapping[str, str]
    headers: Mapping[str, str]
    raw: bytes
    body: Any
    now: float


def refusal(secret: str | None, service: str, asked: Asked) -> tuple[dict[str, Any], int] | None:
    """Return the answer of a service that refuses the signature, and its status; ``None``: it is right, or not wanted.

    ``secret``: what the one who is asked wants it made with. A signature for a bot that wants none is refused too:
    nothing could check it.
    """
    if service == "webhook":
        return None if secret is None or _is_webhooks(secret, asked) else ({"error": "invalid signature"}, 401)
    if service not in SIGNED:
        return None
    given = asked.query if service == "dingtalk" else asked.body if isinstance(asked.body, dict) else {}
    timestamp, sign = given.get("timestamp"), given.get("sign")
    if secret is None and sign is None:
        return None
    per_second, make = (1_000, dingtalk_signature) if service == "dingtalk" else (1, feishu_signature)
    is_right = (
        secret is not None
        and isinstance(timestamp, str)
        and _is_near(timestamp, per_second, asked.now, HOLDS_SECONDS)
        and sign == make(secret, timestamp)
    )
    return None if is_right else (SIGNED[service], 200)


def _is_webhooks(secret: str, asked: Asked) -> bool:
    event, timestamp, given = (asked.headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    wanted = f"v1,{webhook_signature(secret, event, timestamp, asked.raw)}"
    return _is_near(timestamp, 1, asked.now, WEBHOOK_SECONDS) and wanted in given.split(" ")


def _is_near(timestamp: str, per_second: int, now: float, seconds: float) -> bool:
    return timestamp.isascii() and timestamp.isdecimal() and abs(int(timestamp) / per_second - now) <= seconds
