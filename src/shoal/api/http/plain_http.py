"""Refuses passwords and tokens over plain HTTP from another machine, unless the administrator allows it."""

from __future__ import annotations

from collections.abc import Collection

from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send

from shoal.api.http.problems import problem_answer
from shoal.api.http.session_cookie import SAFE_METHODS, comes_from_this_machine, cookie_token

_SESSION_PATH = "/console/session"
"""This route refuses and records such logins itself."""


def is_in_clear(scope: Scope, names: Collection[bytes]) -> bool:
    """Return whether an unencrypted request from another machine carries a secret or changes something.

    ``names``: those of its headers. Reading pages stays possible.
    """
    if scope["scheme"] in {"https", "wss"} or comes_from_this_machine(scope, names) or scope["path"] == _SESSION_PATH:
        return False
    connection = HTTPConnection(scope)
    carries_one = b"authorization" in names or cookie_token(connection) is not None
    return carries_one or scope.get("method", "GET") not in SAFE_METHODS


async def refuse_in_clear(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 403."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})  # closed before it is accepted: answered with 403
        return
    language = HTTPConnection(scope).headers.get("accept-language")
    await problem_answer("plain_http", language)(scope, receive, send)
