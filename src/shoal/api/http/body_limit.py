"""Rejects a request whose body is too large, before any other code reads the body."""

from __future__ import annotations

import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shoal.api.http.problems import problem_answer
from shoal.messages.picture_formats import MAX_PICTURE_BYTES

MAX_BODY_BYTES = 2 * 1024 * 1024
MAX_PICTURE_BODY_BYTES = MAX_PICTURE_BYTES + 64 * 1024
"""One picture and the other fields of its form."""
MAX_RULES_BODY_BYTES = 8 * 1024 * 1024
"""All rules of an account, in full."""
_TAKES_RULES = re.compile(r"/cookies/[^/]+/rules|/rules-file")
_TAKES_A_PICTURE = re.compile(r"/keywords/[^/]+/image|/pictures")


class BodyLimit:
    """Middleware that answers 413 when the announced length, or the length received so far, exceeds the limit."""

    def __init__(self, app: ASGIApp, max_bytes: int = MAX_BODY_BYTES) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on unless its body is too large."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit(scope["path"])
        headers = Headers(scope=scope)
        announced = headers.get("content-length", "")
        if announced.isdecimal() and int(announced[:20]) > limit:
            await self._refuse(scope, receive, send, limit)
            return
        if announced:
            await self._app(scope, receive, send)
            return
        body = await self._read(receive, limit)
        if body is None:
            await self._refuse(scope, receive, send, limit)
            return
        await self._app(scope, _Replay(body, receive), send)

    def _limit(self, path: str) -> int:
        if _TAKES_A_PICTURE.fullmatch(path):
            return MAX_PICTURE_BODY_BYTES
        return MAX_RULES_BODY_BYTES if _TAKES_RULES.fullmatch(path) else self._max_bytes

    async def _read(self, receive: Receive, limit: int) -> bytes | None:
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

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        language = Headers(scope=scope).get("accept-language")
        answer = problem_answer("body_too_large", language, {"limit": limit})
        await answer(scope, receive, send)


class _Replay:
    """Returns a body that was already read, then passes on later messages."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}
