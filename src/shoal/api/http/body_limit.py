"""Rejects a request whose body is too large, before any other code reads the body."""

from __future__ import annotations

import re
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from shoal.api.http.problems import problem_answer
from shoal.pictures.picture_formats import MAX_PICTURE_BYTES

MAX_BODY_BYTES = 2 * 1024 * 1024
MAX_PICTURE_BODY_BYTES = MAX_PICTURE_BYTES + 64 * 1024
"""One picture and the other fields of its form."""
MAX_RULES_BODY_BYTES = 8 * 1024 * 1024
"""All rules of an account, in full."""
MAX_UNITS_BODY_BYTES = 8 * 1024 * 1024
"""The units of one import: 100,000 of 80 bytes each."""
TAKES_AN_OLD_SHOP = "/imports/plans"
"""The path of a body that its route writes into a file as it comes, and limits itself."""
MAX_SHOP_FILE_BYTES = 16 * 1024 * 1024
"""The text of a file of shops, escaped as JSON: 50,000 rules."""
_TAKES_SHOPS = {"/apply", "/backup/import"}
_TAKES_UNITS = re.compile(r"/goods/[^/]+/units")
_TAKES_RULES = re.compile(r"/cookies/[^/]+/rules|/rules-file")
_TAKES_A_PICTURE = re.compile(r"/keywords/[^/]+/image|/pictures")


async def within_limit(scope: Scope, headers: Mapping[bytes, bytes], receive: Receive) -> Receive | int:
    """Return what receives the body, or the limit that its length exceeds: announced, or received so far.

    A body of unannounced length is read here; a request that announces none has none.
    """
    announced = headers.get(b"content-length", b"").decode("latin-1")
    if (not announced and b"transfer-encoding" not in headers) or scope["path"] == TAKES_AN_OLD_SHOP:
        return receive
    limit = _limit(scope["path"])
    if announced:
        return limit if announced.isdecimal() and int(announced[:20]) > limit else receive
    body = await _read(receive, limit)
    return limit if body is None else Replay(body, receive)


async def refuse_body(limit: int, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 413."""
    language = Headers(scope=scope).get("accept-language")
    await problem_answer("body_too_large", language, {"limit": limit})(scope, receive, send)


def _limit(path: str) -> int:
    if _TAKES_A_PICTURE.fullmatch(path):
        return MAX_PICTURE_BODY_BYTES
    if _TAKES_UNITS.fullmatch(path):
        return MAX_UNITS_BODY_BYTES
    if path in _TAKES_SHOPS:
        return MAX_SHOP_FILE_BYTES
    return MAX_RULES_BODY_BYTES if _TAKES_RULES.fullmatch(path) else MAX_BODY_BYTES


async def _read(receive: Receive, limit: int) -> bytes | None:
    """Read a body of unannounced length. Return ``None`` when it is too large."""
    parts: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > limit:
            return None
        parts.append(part)
        more = message.get("more_body", False)
    return b"".join(parts)


class Replay:
    """Returns a body that was already read, then passes on later messages."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        """Return the body the first time, then the later messages."""
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}
