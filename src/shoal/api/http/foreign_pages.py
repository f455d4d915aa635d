"""Ignores the cookies of requests that a page of another site made: browsers add cookies to them."""

from __future__ import annotations

from starlette.requests import HTTPConnection
from starlette.types import Scope

from shoal.api.http.session_cookie import cookie_counts, cookie_token
from shoal.auth.audit_entries import AuditEvent
from shoal.logs.redaction import redact_path

_SESSION_PATH = "/console/session"
"""This route refuses and records foreign pages itself."""


async def drop_foreign_cookies(scope: Scope) -> None:
    """Take the cookies out of a request that a page of another site made, and record that.

    Browsers never add a token header by themselves.
    """
    connection = HTTPConnection(scope)
    if cookie_token(connection) is None or cookie_counts(connection):
        return
    if "authorization" not in connection.headers and scope["path"] != _SESSION_PATH:
        await _note(connection)
    scope["headers"] = [(name, value) for name, value in scope["headers"] if name != b"cookie"]


async def _note(connection: HTTPConnection) -> None:
    client = connection.client
    await connection.app.state.server.audit_log.record(
        AuditEvent.REFUSED_ORIGIN,
        actor="",
        origin=f"browser {client.host}" if client else "browser",
        outcome="foreign_origin",
        page=connection.headers.get("origin", ""),
        path=redact_path(connection.scope["path"]),
    )
