"""Ignores the cookies of requests that a page of another site made: browsers add cookies to them."""

from __future__ import annotations

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from shoal.api.http.session_cookie import cookie_counts, cookie_token
from shoal.auth.audit_entries import AuditEvent
from shoal.logs.redaction import redact_path

_TELLS_ITSELF = "/console/session"
"""This route refuses and records foreign pages itself."""


class ForeignPages:
    """Middleware that removes the cookies of such a request. Browsers never add a token header by themselves."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with or without its cookies."""
        if scope["type"] == "http":
            connection = HTTPConnection(scope)
            if cookie_token(connection) is not None and not cookie_counts(connection):
                if "authorization" not in connection.headers and connection.scope["path"] != _TELLS_ITSELF:
                    await _note(connection)
                kept = [(name, value) for name, value in scope["headers"] if name != b"cookie"]
                scope = {**scope, "headers": kept}
        await self._app(scope, receive, send)


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
