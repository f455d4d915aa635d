"""What is checked of every request before its route is found: encryption, origin of cookies, size of the body.

Also whether changes are taken at all: not before the database is checked, after a start.
"""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send

from shoal.api.http.body_limit import refuse_body, within_limit
from shoal.api.http.problems import RETRY_AFTER_SECONDS, problem_answer
from shoal.api.http.session_cookie import SAFE_METHODS, comes_from_this_machine, cookie_counts, cookie_token
from shoal.auth.audit_entries import AuditEvent
from shoal.logs.redaction import redact_path

_SESSION_PATH = "/console/session"
"""This route refuses and records logins over plain HTTP, and foreign pages, itself."""


class RequestChecks:
    """All checks of a request.

    Args:
        allow_plain_http: accept secrets over plain HTTP from other machines.
    """

    def __init__(self, *, allow_plain_http: bool) -> None:
        self._allow_plain_http = allow_plain_http

    async def look(self, scope: Scope, receive: Receive, send: Send) -> Receive | None:
        """Return what receives the body; or answer what is wrong with the request, and return ``None``.

        Cookies that do not count are taken out of it.
        """
        headers = dict(scope["headers"])
        if not self._allow_plain_http and _is_in_clear(scope, headers):
            await _refuse_in_clear(scope, receive, send)
            return None
        if scope["type"] == "http":
            if scope["method"] not in SAFE_METHODS and _is_checking(scope):
                await _refuse_change(scope, receive, send)
                return None
            if b"cookie" in headers:
                await _drop_foreign_cookies(scope)
            body = await within_limit(scope, headers, receive)
            if isinstance(body, int):
                await refuse_body(body, scope, receive, send)
                return None
            receive = body
        return receive


def _is_in_clear(scope: Scope, names: Collection[bytes]) -> bool:
    """Return whether an unencrypted request from another machine carries a secret or changes something.

    ``names``: those of its headers. Reading pages stays possible.
    """
    if scope["scheme"] in {"https", "wss"} or comes_from_this_machine(scope, names) or scope["path"] == _SESSION_PATH:
        return False
    carries_one = b"authorization" in names or cookie_token(HTTPConnection(scope)) is not None
    return carries_one or scope.get("method", "GET") not in SAFE_METHODS


async def _refuse_in_clear(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})  # closed before it is accepted: answered with 403
        return
    await problem_answer("plain_http", Headers(scope=scope).get("accept-language"))(scope, receive, send)


def _is_checking(scope: Scope) -> bool:
    server = getattr(scope["app"].state, "server", None)
    return server is not None and bool(server.database.checking)


async def _refuse_change(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 503: also to what would only ask the site, which must not know of this server yet."""
    language = Headers(scope=scope).get("accept-language")
    later = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    await problem_answer("store_checking", language, headers=later)(scope, receive, send)


async def _drop_foreign_cookies(scope: Scope) -> None:
    """Take the cookies out of a request that a page of another site made, and record that: browsers add them.

    Browsers never add a token header by themselves.
    """
    connection = HTTPConnection(scope)
    if cookie_token(connection) is None or cookie_counts(connection):
        return
    if "authorization" not in connection.headers and scope["path"] != _SESSION_PATH:
        await connection.app.state.server.audit_log.record(
            AuditEvent.REFUSED_ORIGIN,
            actor="",
            origin=f"browser {connection.client.host}" if connection.client else "browser",
            outcome="foreign_origin",
            page=connection.headers.get("origin", ""),
            path=redact_path(scope["path"]),
        )
    scope["headers"] = [(name, value) for name, value in scope["headers"] if name != b"cookie"]
