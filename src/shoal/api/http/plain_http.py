"""Refuses passwords and tokens over plain HTTP from another machine, unless the administrator allows it."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from shoal.api.http.problems import problem_answer
from shoal.api.http.session_cookie import SAFE_METHODS, comes_from_this_machine, cookie_token, is_secure

_TELLS_ITSELF = "/console/session"
"""This route refuses and records such logins itself."""


class PlainHttp:
    """Middleware that answers 403 to an unencrypted request that carries a secret or changes something.

    Reading pages stays possible.
    """

    def __init__(self, app: ASGIApp, *, allowed: bool) -> None:
        self._app = app
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on when it is encrypted, local, harmless or allowed."""
        if scope["type"] in {"http", "websocket"} and not self._allowed and _is_in_clear(HTTPConnection(scope)):
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})  # closed before it is accepted: answered with 403
                return
            language = Headers(scope=scope).get("accept-language")
            await problem_answer("plain_http", language)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _is_in_clear(connection: HTTPConnection) -> bool:
    if is_secure(connection) or comes_from_this_machine(connection):
        return False
    if connection.scope["path"] == _TELLS_ITSELF:
        return False
    method = connection.scope.get("method", "GET")
    carries_one = "authorization" in connection.headers or cookie_token(connection) is not None
    return carries_one or method not in SAFE_METHODS
