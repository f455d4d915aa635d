"""The caller's own user: password, TOTP, recovery codes, sessions."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import segno
from fastapi import Path, Request
from pydantic import BaseModel

from shoal.api.http.caller import MaybeSession, Me, Origin, TheServer, actor_of, address_of
from shoal.api.http.openapi_errors import ASKING, OF_ONE, problems
from shoal.api.http.routing import Routes
from shoal.api.routes.auth import MessageAnswer, change_password, note_recovery_code
from shoal.api.routes.invitations import NoStore
from shoal.api.schemas.filled import filled
from shoal.api.schemas.responses import example, rfc3339
from shoal.api.schemas.shown_once import ShownOnce
from shoal.api.schemas.user_requests import ChangePasswordBody, CodeBody, ProofAndCodeBody, ProofBody
from shoal.api.server import Server
from shoal.auth.audit_entries import AuditEvent
from shoal.auth.login_throttle import Guess
from shoal.auth.users import Role, User
from shoal.errors import Conflict, Forbidden, Unauthenticated, UnknownUser

routes = Routes(tags=["session"])

SessionId = Annotated[str, Path(description="The session's id.", examples=["9f86d081884c7d659a2feaa0"])]

_SESSION: dict[str, Any] = {
    "id": "9f86d081884c7d659a2feaa0", "current": True, "kind": "console", "user_agent": "Mozilla/5.0 …",
    "address": "192.0.2.7", "created_at": "2026-01-02T03:04:05.000Z", "last_used_at": "2026-01-02T09:04:05.000Z",
    "expires_at": "2026-01-03T03:04:05.000Z",
}  # fmt: skip


class MeAnswer(BaseModel):
    """The signed-in user."""

    model_config = example(id=1, username="admin", email=None, role="admin", has_totp=True, recovery_codes_left=9)
    id: int
    username: str
    email: str | None
    role: Role
    has_totp: bool
    recovery_codes_left: int


class SeedAnswer(ShownOnce):
    """The secret for an authenticator app, shown only once: as text to type, as a URI, and as a QR code."""

    model_config = example(
        secret="JBSWY3DPEHPK3PXP…", uri="otpauth://totp/Shoal:ann?secret=…", picture="data:image/svg+xml;…",  # noqa: S106
        already_shown=False,
    )  # fmt: skip
    secrets = ("secret", "uri", "picture")
    secret: str
    uri: str
    picture: str


class RecoveryCodesAnswer(ShownOnce):
    """Recovery codes, for a lost authenticator app. They are shown only once; each works once."""

    model_config = example(recovery_codes=["mq3w-8xkd-pz2n-h7ab", "…"], already_shown=False)
    secrets = ("recovery_codes",)
    recovery_codes: list[str]


class SessionShape(BaseModel):
    """One session: its kind (``console``, or ``login`` for scripts), the client's address, and its latest end."""

    model_config = example(**_SESSION)
    id: str
    current: bool
    kind: str
    user_agent: str
    address: str
    created_at: str
    last_used_at: str
    expires_at: str


class SessionList(BaseModel):
    """The caller's sessions, newest first."""

    model_config = example(items=[_SESSION], next=None)
    items: list[SessionShape]
    next: str | None = None


class EndedAnswer(BaseModel):
    """How many sessions were ended."""

    model_config = example(ended=2)
    ended: int


@routes.get("/me", summary="Get your own user", responses=ASKING)
async def get_me(server: TheServer, me: Me) -> MeAnswer:
    """Return the signed-in user."""
    return await _answer(server, me)


@routes.put("/me/password", summary="Change your password", responses=problems(400, 401, 403, 413, 422, 429, 503))
async def change_my_password(
    body: ChangePasswordBody, request: Request, server: TheServer, me: Me, session: MaybeSession, origin: Origin
) -> MessageAnswer:
    """Replace the caller's password. All their other sessions end."""
    await change_password(
        server, me, session, body.current_password, body.new_password, address=address_of(request), origin=origin
    )
    return MessageAnswer(message="密码修改成功")


@routes.post(
    "/me/totp",
    summary="Start to set up two-step verification",
    responses=problems(400, 401, 403, 409, 413, 422, 429, 503),
)
async def begin_totp(body: ProofBody, request: Request, server: TheServer, me: Me, _: NoStore) -> SeedAnswer:
    """Create a TOTP secret, shown only once, for an authenticator app. It takes effect when a code is confirmed."""
    await server.login.prove_again(me, body.password.get_secret_value(), address=address_of(request))
    seed = await server.totp.begin(me)
    picture = segno.make(seed.uri, error="M", micro=False).svg_data_uri(border=4, scale=4)
    return SeedAnswer(secret=seed.secret, uri=seed.uri, picture=picture)


@routes.post(
    "/me/totp/confirm",
    summary="Switch on two-step verification",
    responses=problems(400, 401, 403, 409, 413, 422, 429, 503),
)
async def confirm_totp(
    body: CodeBody, request: Request, server: TheServer, me: Me, session: MaybeSession, origin: Origin, _: NoStore
) -> RecoveryCodesAnswer:
    """Switch TOTP on by a code of the app. The recovery codes are shown only once; other sessions end."""
    async with server.login.delays.attempt(Guess.CODE, address=address_of(request), name=me.username) as attempt:
        try:
            codes = await server.totp.confirm(me.id, body.code)
        except Forbidden:
            attempt.fail()
            raise
    await server.sessions.end_all(me.id, but=session.id if session else "")
    await server.audit_log.record(AuditEvent.TOTP_ON, actor=actor_of(me), user_id=me.id, origin=origin)
    return RecoveryCodesAnswer(recovery_codes=codes)


@routes.delete(
    "/me/totp", summary="Switch off two-step verification", responses=problems(400, 401, 403, 409, 413, 422, 429, 503)
)
async def end_totp(body: ProofAndCodeBody, request: Request, server: TheServer, me: Me, origin: Origin) -> MeAnswer:
    """Switch TOTP off, with the password and a code of the app or a recovery code."""
    await _prove_both(body, request, server, me, origin)
    await server.totp.take_away(me.id)
    await server.audit_log.record(AuditEvent.TOTP_OFF, actor=actor_of(me), user_id=me.id, origin=origin)
    return await _answer(server, replace(me, has_totp=False))


@routes.post(
    "/me/recovery-codes",
    summary="Create new recovery codes",
    responses=problems(400, 401, 403, 409, 413, 422, 429, 503),
)
async def renew_recovery_codes(
    body: ProofAndCodeBody, request: Request, server: TheServer, me: Me, origin: Origin, _: NoStore
) -> RecoveryCodesAnswer:
    """Create new recovery codes, shown only once; the old ones stop working."""
    await _prove_both(body, request, server, me, origin)
    codes = await server.totp.renew_recovery_codes(me.id)
    await server.audit_log.record(AuditEvent.RECOVERY_CODES_MADE, actor=actor_of(me), user_id=me.id, origin=origin)
    return RecoveryCodesAnswer(recovery_codes=codes)


async def _prove_both(body: ProofAndCodeBody, request: Request, server: Server, me: User, origin: str) -> None:
    if not me.has_totp:
        raise Conflict("the second factor is off", code="totp_off")
    factor = await server.login.prove_again(
        me, body.password.get_secret_value(), body.code, address=address_of(request)
    )
    await note_recovery_code(server, me, factor, origin)


@routes.get("/sessions", summary="List your sessions", responses=ASKING)
async def get_sessions(server: TheServer, me: Me, session: MaybeSession) -> SessionList:
    """List the caller's sessions, each with its client."""
    found = await server.sessions.of_user(me.id)
    mine = session.id if session else ""
    return SessionList(
        items=[
            filled(SessionShape, one, current=one.id == mine, last_used_at=rfc3339(one.last_used_ms)) for one in found
        ]
    )


@routes.delete("/sessions/{session_id}", summary="End a session", responses=OF_ONE)
async def end_session(session_id: SessionId, server: TheServer, me: Me, origin: Origin) -> EndedAnswer:
    """End one session, which may be the caller's current one. Its live streams end at once."""
    if not await server.sessions.end_one(me.id, session_id):
        raise UnknownUser("there is no such session", code="unknown_session")
    await _note_ended(server, me, origin, 1)
    return EndedAnswer(ended=1)


@routes.delete("/sessions", summary="End all other sessions", responses=ASKING)
async def end_other_sessions(server: TheServer, me: Me, session: MaybeSession, origin: Origin) -> EndedAnswer:
    """End all sessions of the caller except the current one."""
    if session is None:
        raise Unauthenticated
    ended = await server.sessions.end_all(me.id, but=session.id)
    await _note_ended(server, me, origin, ended)
    return EndedAnswer(ended=ended)


async def _note_ended(server: Server, me: User, origin: str, ended: int) -> None:
    await server.audit_log.record(
        AuditEvent.SESSION_ENDED, actor=actor_of(me), user_id=me.id, origin=origin, sessions=ended
    )


async def _answer(server: Server, user: User) -> MeAnswer:
    return filled(MeAnswer, user, recovery_codes_left=await server.totp.codes_left(user.id) if user.has_totp else 0)
