"""Signatures of bots, checked as DingTalk, Feishu and Lark check them.

DingTalk: ``timestamp`` (ms) and ``sign`` stand in the query; the key is the secret, the text is time and secret.
Feishu and Lark: ``timestamp`` (s) and ``sign`` stand in the body; the key is time and secret, the text is empty.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final, Literal

from shoal.sandbox.bodies import Body, Name

HOLDS_SECONDS: Final = 3_600
"""How far the time of a signature may be from the service's own."""
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
    """A bot of a group now wants signatures made with ``secret``."""

    service: Literal["dingtalk", "feishu", "lark"]
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


def refusal(
    secrets: Mapping[tuple[str, str], str], service: str, token: str, query: Mapping[str, str], body: Any, now: float
) -> dict[str, Any] | None:
    """Return the answer of a service that refuses the signature; ``None``: it is right, or none is wanted.

    A signature for a bot that wants none is refused too: nothing could check it.
    """
    if service not in SIGNED:
        return None
    secret = secrets.get((service, token))
    given = query if service == "dingtalk" else body if isinstance(body, dict) else {}
    timestamp, sign = given.get("timestamp"), given.get("sign")
    if secret is None and sign is None:
        return None
    per_second = 1_000 if service == "dingtalk" else 1
    is_right = (
        secret is not None
        and isinstance(timestamp, str)
        and timestamp.isascii()
        and timestamp.isdecimal()
        and abs(int(timestamp) / per_second - now) <= HOLDS_SECONDS
        and sign == (dingtalk_signature if service == "dingtalk" else feishu_signature)(secret, timestamp)
    )
    return None if is_right else SIGNED[service]
