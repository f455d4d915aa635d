"""Sign-in and sign-out."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from fastapi import Request, Response
from pydantic import BaseModel, SecretStr

from shoal.api.http.caller import (
    Administrator,
    MaybePrincipal,
    MaybeSession,
    Origin,
    SessionToken,
    TheServer,
    actor_of,
    address_of,
    origin_for,
)
from shoal.api.http.idempotency import ignores_keys
from shoal.api.http.openapi_errors import problems
from shoal.api.http.problems import problem_of
from shoal.api.http.route_rules import ANYBODY
from shoal.api.http.routing import Routes
from shoal.api.schemas.responses import example
from shoal.api.schemas.user_requests import ChangePasswordBody, LoginBody, RegisterBody
from shoal.api.server import Server
from shoal.auth.audit_entries import AuditEvent
from shoal.auth.login import SignedIn
from shoal.auth.login_throttle import Guess, place_of
from shoal.auth.sessions import Session
from shoal.auth.totp import Factor
from shoal.auth.users import Role, User
from shoal.errors import Conflict, Forbidden, StoreError, TooManyAttempts, Unauthenticated
from shoal.language.choice import language_of

routes = Routes(tags=["session"])

WRONG_LOGIN = "wrong_login"
WRONG_PASSWORD = "wrong_password"  # noqa: S105  a code
_SIGNED_IN = "登录成功"
_WRONG_NAME = "用户名或密码错误"
_WRONG_EMAIL = "邮箱或密码错误"
_WRONG_CODE = "验证码错误或已过期"
_NOTHING_GIVEN = "请提供有效的登录信息"


class LoginAnswer(BaseModel):
    """Whether the login succeeded, and its token."""

    model_config = example(
        success=True, token="wK3…", message=_SIGNED_IN, user_id=1, username="admin", is_admin=True  # noqa: S106  an example
    )  # fmt: skip
    success: bool
    token: str | None = None
    message: str
    user_id: int | None = None
    username: str | None = None
    is_admin: bool | None = None
    code: str | None = None


class MessageAnswer(BaseModel):
    """A sentence for the user."""

    model_config = example(message="已登出")
    message: str


class PasswordAnswer(BaseModel):
    """Whether the change was made."""

    model_config = example(success=True, message="密码修改成功")
    success: bool
    message: str


def is_admin(user: User) -> bool:
    """Return whether the user is an administrator."""
    return user.role is Role.ADMIN


async def sign_in(
    server: Server,
    request: Request,
    name: str,
    password: str,
    code: str | None,
    *,
    kind: str,
    origin: str,
    marks: str = "",
) -> SignedIn:
    """Check a login and record the result in the audit log. Raise what ``Login.sign_in`` raises."""
    try:
        signed_in = await server.login.sign_in(
            name,
            password,
            code or "",
            kind=kind,
            user_agent=request.headers.get("user-agent", ""),
            address=address_of(request),
            marks=marks,
        )
    except (Unauthenticated, TooManyAttempts) as error:
        await note_refused_sign_in(server, name, origin, error.code)
        raise
    user, factor = signed_in.user, signed_in.factor
    by = {} if factor is None else {"factor": factor.value}
    await server.audit_log.record(AuditEvent.SIGN_IN, actor=actor_of(user), user_id=user.id, origin=origin, **by)
    await note_recovery_code(server, user, factor, origin)
    return signed_in


async def note_recovery_code(server: Server, user: User, factor: Factor | None, origin: str) -> None:
    """Record that a recovery code was used, if it was."""
    if factor is Factor.RECOVERY:
        await server.audit_log.record(
            AuditEvent.RECOVERY_CODE_USED,
            actor=actor_of(user),
            user_id=user.id,
            origin=origin,
            left=await server.totp.codes_left(user.id),
        )


async def note_refused_sign_in(server: Server, name: str, origin: str, why: str = WRONG_LOGIN) -> None:
    """Record a refused login. A name that no user has is not stored, because users may type a password there."""
    meant: User | None = None
    with suppress(StoreError):
        meant = await (server.users.by_email(name) if "@" in name else server.users.by_name(name))
    await server.audit_log.record(
        AuditEvent.SIGN_IN,
        actor="",
        user_id=None if meant is None else meant.id,
        origin=origin,
        outcome=why,
    )


async def change_password(
    server: Server, me: User, session: Session | None, current: SecretStr, new: SecretStr, *, address: str, origin: str
) -> None:
    """Replace a user's own password and end their other sessions.

    Raise what checking the current password and setting a new one raise.
    """
    note = partial(
        server.audit_log.record, AuditEvent.PASSWORD_CHANGED, actor=actor_of(me), user_id=me.id, origin=origin
    )
    try:
        await server.login.prove_again(me, current.get_secret_value(), address=address)
    except (Forbidden, TooManyAttempts) as error:
        await note(outcome=error.code)
        raise
    kept = session.token_hash if session else ""
    await server.users.set_password(me.id, new.get_secret_value(), keep_session=kept)
    server.sessions.look_again(me.id)
    await note()


async def note_sign_out(server: Server, user: User, origin: str) -> None:
    """Record that a user signed out."""
    await server.audit_log.record(AuditEvent.SIGN_OUT, actor=actor_of(user), user_id=user.id, origin=origin)


@routes.post("/login", summary="Sign in", dependencies=[ANYBODY], responses=problems(400, 413, 422, 503))
@ignores_keys
async def login(body: LoginBody, request: Request, response: Response, server: TheServer) -> LoginAnswer:
    """Sign in. A refused login is answered with 200 and `success: false`; `code` gives the reason.

    With TOTP on, the first answer has `code` `totp_needed`: send the same body again, with `totp`.
    """
    response.headers["Cache-Control"] = "no-store"
    name = body.username or body.email
    if not name or not (body.password or body.verification_code):
        return LoginAnswer(success=False, message=_NOTHING_GIVEN)
    if body.password is None:
        return LoginAnswer(success=False, message=_WRONG_CODE if body.email else _NOTHING_GIVEN)
    try:
        signed_in = await sign_in(
            server,
            request,
            name,
            body.password.get_secret_value(),
            body.totp or body.verification_code,
            kind="login",
            origin=origin_for(request, None),
        )
    except (Unauthenticated, TooManyAttempts) as error:
        wrong = _WRONG_NAME if body.username else _WRONG_EMAIL
        sentence = problem_of(error).sentence(language_of(request.headers.get("accept-language")), error.params)
        return LoginAnswer(success=False, message=wrong if error.code == WRONG_LOGIN else sentence, code=error.code)
    user, token = signed_in.user, signed_in.token
    return LoginAnswer(
        success=True,
        token=token,
        message=_SIGNED_IN,
        user_id=user.id,
        username=user.username,
        is_admin=is_admin(user),
    )


@routes.post("/logout", summary="Sign out", dependencies=[ANYBODY], responses=problems(429, 503))
@ignores_keys
async def logout(server: TheServer, token: SessionToken, who: MaybePrincipal, origin: Origin) -> MessageAnswer:
    """End the session of this token. The answer is the same when there is no session."""
    if token is not None:
        await server.sessions.end(token)
    if who is not None and who.session is not None:
        await note_sign_out(server, who.user, origin)
    return MessageAnswer(message="已登出")


@routes.post(
    "/change-admin-password",
    summary="Change the administrator's password",
    responses=problems(400, 401, 403, 413, 422, 429, 503),
)
async def change_admin_password(
    body: ChangePasswordBody,
    request: Request,
    server: TheServer,
    me: Administrator,
    session: MaybeSession,
    origin: Origin,
) -> PasswordAnswer:
    """Replace the caller's password. All their other sessions end."""
    try:
        await change_password(
            server, me, session, body.current_password, body.new_password, address=address_of(request), origin=origin
        )
    except Forbidden as error:
        if error.code != WRONG_PASSWORD:
            raise
        return PasswordAnswer(success=False, message="当前密码错误")
    return PasswordAnswer(success=True, message="密码修改成功")


@routes.post(
    "/register",
    summary="Register as an owner",
    dependencies=[ANYBODY],
    responses=problems(400, 403, 409, 413, 422, 429, 503),
)
async def register(body: RegisterBody, request: Request, server: TheServer) -> PasswordAnswer:
    """Create an owner, on a server with `open_registration`. On other servers an administrator invites users."""
    if not server.settings.open_registration:
        raise Forbidden("registration is closed", code="registration_closed")
    origin = origin_for(request, None)
    address = address_of(request)
    async with (
        server.rate_limits.registration(place_of(address)),
        server.login.delays.attempt(Guess.LINK, address=address) as attempt,
    ):
        try:
            user = await server.users.create(
                body.username, body.password.get_secret_value(), role=Role.OWNER, email=body.email
            )
        except Conflict:  # a caller who probes many names must not learn which are taken
            attempt.fail()
            raise
    await server.audit_log.record(
        AuditEvent.PERSON_MADE, actor=actor_of(user), user_id=user.id, origin=origin, username=user.username
    )
    return PasswordAnswer(success=True, message="注册成功，请登录")
