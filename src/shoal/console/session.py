"""The console's login and logout: the token is in a cookie that no script can read."""

from __future__ import annotations

from fastapi import Request, Response
from pydantic import BaseModel
from starlette.requests import HTTPConnection

from shoal.api.http.caller import TheServer, where_from
from shoal.api.http.idempotency import ignores_keys
from shoal.api.http.openapi_errors import problems
from shoal.api.http.route_rules import ANYBODY
from shoal.api.http.routing import Routes
from shoal.api.http.session_cookie import (
    clear_cookie,
    comes_from_this_machine,
    cookie_token,
    device_marks,
    is_own_origin,
    is_secure,
    keep_device_marks,
    set_cookie,
)
from shoal.api.routes.auth import MessageAnswer, is_admin, note_sign_out, sign_in
from shoal.api.schemas.responses import example
from shoal.api.schemas.user_requests import ConsoleLoginBody
from shoal.api.server import Server
from shoal.auth.audit_entries import AuditEvent
from shoal.errors import Forbidden
from shoal.logs.redaction import redact_path

routes = Routes(tags=["session"], dependencies=[ANYBODY])

_BY = "console"
_FOREIGN = "foreign_origin"
_PLAIN_HTTP = "plain_http"


class ConsoleSession(BaseModel):
    """The user who signed in. Only the cookie contains the token."""

    model_config = example(user_id=1, username="admin", is_admin=True)
    user_id: int
    username: str
    is_admin: bool


@routes.post(
    "/console/session", summary="Sign in to the console", responses=problems(400, 401, 403, 413, 422, 429, 503)
)
@ignores_keys
async def open_console_session(
    body: ConsoleLoginBody, request: Request, response: Response, server: TheServer
) -> ConsoleSession:
    """Sign a browser in by a cookie: only from the console's own page, and over plain HTTP only from this machine.

    With TOTP on, the first answer is 401 `totp_needed`: send the same body again, with `totp`. The setting
    `allow_plain_http` allows plain HTTP from other machines.
    """
    await _check_page(request, server)
    await _check_way(request, server)
    signed_in = await sign_in(
        server,
        request,
        body.name,
        body.password.get_secret_value(),
        body.totp,
        kind="console",
        origin=where_from(request, _BY),
        marks=device_marks(request),
    )
    user, before = signed_in.user, cookie_token(request)
    if before is not None:  # the browser drops this token, so its session must end
        await server.sessions.end(before)
    set_cookie(request, response, signed_in.token, server.sessions.lifetime_seconds)
    keep_device_marks(request, response, signed_in.marks)
    response.headers["Cache-Control"] = "no-store"
    return ConsoleSession(user_id=user.id, username=user.username, is_admin=is_admin(user))


@routes.delete("/console/session", summary="Sign out of the console", responses=problems(403, 503))
@ignores_keys
async def close_console_session(request: Request, response: Response, server: TheServer) -> MessageAnswer:
    """End the browser's session and delete the cookie. The answer is the same when there is no session."""
    await _check_page(request, server)
    token = cookie_token(request)
    if token is not None:
        session = await server.sessions.end(token)
        if session is not None:
            await note_sign_out(server, session.user, where_from(request, _BY))
    clear_cookie(request, response)
    return MessageAnswer(message="已登出")


async def _check_page(request: Request, server: Server) -> None:
    if not is_own_origin(request):
        await note_foreign_page(request, server)
        raise Forbidden("this page is not part of the console", code=_FOREIGN)


async def note_foreign_page(connection: HTTPConnection, server: Server) -> None:
    """Record a request from a page of another site."""
    await server.audit_log.record(
        AuditEvent.REFUSED_ORIGIN,
        actor="",
        origin=where_from(connection, _BY),
        outcome=_FOREIGN,
        page=connection.headers.get("origin", ""),
        path=redact_path(connection.scope["path"]),
    )


async def _check_way(request: Request, server: Server) -> None:
    """Refuse a password over an unencrypted network, unless the administrator allows it."""
    names = {name for name, _ in request.scope["headers"]}
    if is_secure(request) or comes_from_this_machine(request.scope, names) or server.settings.allow_plain_http:
        return
    await server.audit_log.record(AuditEvent.SIGN_IN, actor="", origin=where_from(request, _BY), outcome=_PLAIN_HTTP)
    raise Forbidden("plain HTTP from another machine", code=_PLAIN_HTTP)
