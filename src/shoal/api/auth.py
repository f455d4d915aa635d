"""Signing in and out."""

from __future__ import annotations

from contextlib import suppress

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from shoal.api.bodies import ChangePasswordBody, LoginBody, RegisterBody
from shoal.api.caller import (
    Administrator,
    MaybePrincipal,
    MaybeSession,
    Origin,
    SessionToken,
    TheServer,
    actor_of,
    address_of,
    origin_of,
)
from shoal.api.documented import problems
from shoal.api.route_rules import ANYBODY
from shoal.api.shapes import example
from shoal.errors import Forbidden, StoreError, Unauthenticated
from shoal.security_log import SecurityEvent
from shoal.server import Server
from shoal.users import Role, User

routes = APIRouter(tags=["session"])

WRONG_LOGIN = "wrong_login"
_SIGNED_IN = "登录成功"
_WRONG_NAME = "用户名或密码错误"
_WRONG_EMAIL = "邮箱或密码错误"
_WRONG_CODE = "验证码错误或已过期"
_NOTHING_GIVEN = "请提供有效的登录信息"


class LoginAnswer(BaseModel):
    """Whether the sign-in worked, and the token when it did."""

    model_config = example(
        success=True, token="wK3…", message=_SIGNED_IN, user_id=1, username="admin", is_admin=True  # noqa: S106  an example
    )  # fmt: skip
    success: bool
    token: str | None = None
    message: str
    user_id: int | None = None
    username: str | None = None
    is_admin: bool | None = None


class VerifyAnswer(BaseModel):
    """Who is signed in."""

    model_config = example(authenticated=True, user_id=1, username="admin", is_admin=True)
    authenticated: bool
    user_id: int | None = None
    username: str | None = None
    is_admin: bool | None = None


class MessageAnswer(BaseModel):
    """A sentence."""

    model_config = example(message="已登出")
    message: str


class PasswordAnswer(BaseModel):
    """Whether it was done."""

    model_config = example(success=True, message="密码修改成功")
    success: bool
    message: str


def is_admin(user: User) -> bool:
    """Whether the person administers the server."""
    return user.role is Role.ADMIN


async def note_sign_in(server: Server, user: User, origin: str) -> None:
    """Write down that somebody signed in."""
    await server.security_log.note(SecurityEvent.SIGN_IN, actor=actor_of(user), user_id=user.id, origin=origin)


async def note_refused_sign_in(server: Server, name: str, origin: str) -> None:
    """Write down that somebody was not let in. A name that nobody has is not kept: people type passwords there."""
    meant: User | None = None
    with suppress(StoreError):
        meant = await (server.users.by_email(name) if "@" in name else server.users.by_name(name))
    await server.security_log.note(
        SecurityEvent.SIGN_IN,
        actor="",
        user_id=None if meant is None else meant.id,
        origin=origin,
        outcome=WRONG_LOGIN,
    )


async def note_sign_out(server: Server, user: User, origin: str) -> None:
    """Write down that somebody signed out."""
    await server.security_log.note(SecurityEvent.SIGN_OUT, actor=actor_of(user), user_id=user.id, origin=origin)


@routes.post("/login", summary="Sign in", dependencies=[ANYBODY], responses=problems(400, 413, 422, 503))
async def login(body: LoginBody, request: Request, response: Response, server: TheServer) -> LoginAnswer:
    """Sign in. A wrong name or password is answered with 200 and `success: false`."""
    response.headers["Cache-Control"] = "no-store"
    name = body.username or body.email
    if not name or not (body.password or body.verification_code):
        return LoginAnswer(success=False, message=_NOTHING_GIVEN)
    if body.password is None:
        return LoginAnswer(success=False, message=_WRONG_CODE if body.email else _NOTHING_GIVEN)
    origin = await origin_of(request, None)
    wrong = LoginAnswer(success=False, message=_WRONG_NAME if body.username else _WRONG_EMAIL)
    proof = await server.users.prove(name, body.password.get_secret_value())
    if proof is None:
        await note_refused_sign_in(server, name, origin)
        return wrong
    user = proof.user
    try:
        token = await server.sessions.open(
            user.id,
            user_agent=request.headers.get("user-agent", ""),
            address=address_of(request),
            password_hash=proof.password_hash,
        )
    except Unauthenticated:  # the password was changed, or the person deactivated, this very moment
        return wrong
    await note_sign_in(server, user, origin)
    return LoginAnswer(
        success=True,
        token=token,
        message=_SIGNED_IN,
        user_id=user.id,
        username=user.username,
        is_admin=is_admin(user),
    )


@routes.get(
    "/verify",
    summary="Who am I",
    dependencies=[ANYBODY],
    response_model_exclude_none=True,
    responses=problems(503),
)
async def verify(who: MaybePrincipal) -> VerifyAnswer:
    """Say who is signed in with this token. Never 401."""
    if who is None:
        return VerifyAnswer(authenticated=False)
    user = who.user
    return VerifyAnswer(authenticated=True, user_id=user.id, username=user.username, is_admin=is_admin(user))


@routes.post("/logout", summary="Sign out", dependencies=[ANYBODY], responses=problems(503))
async def logout(server: TheServer, token: SessionToken, who: MaybePrincipal, origin: Origin) -> MessageAnswer:
    """End the session of this token. Also says so when there is none."""
    if token is not None:
        await server.sessions.end(token)
    if who is not None and who.session is not None:
        await note_sign_out(server, who.user, origin)
    return MessageAnswer(message="已登出")


@routes.post(
    "/change-admin-password",
    summary="Change the administrator's password",
    responses=problems(400, 401, 403, 413, 422, 503),
)
async def change_admin_password(
    body: ChangePasswordBody, server: TheServer, me: Administrator, session: MaybeSession, origin: Origin
) -> PasswordAnswer:
    """Replace the caller's password. Every other session of theirs ends."""
    if await server.users.verify(me.username, body.current_password.get_secret_value()) is None:
        await server.security_log.note(
            SecurityEvent.PASSWORD_CHANGED, actor=actor_of(me), user_id=me.id, origin=origin, outcome=WRONG_LOGIN
        )
        return PasswordAnswer(success=False, message="当前密码错误")
    kept = session.token_hash if session else ""
    await server.users.set_password(me.id, body.new_password.get_secret_value(), keep_session=kept)
    server.sessions.look_again(me.id)
    await server.security_log.note(SecurityEvent.PASSWORD_CHANGED, actor=actor_of(me), user_id=me.id, origin=origin)
    return PasswordAnswer(success=True, message="密码修改成功")


@routes.post(
    "/register",
    summary="Register, where that is open",
    dependencies=[ANYBODY],
    responses=problems(400, 403, 409, 413, 422, 429, 503),
)
async def register(body: RegisterBody, server: TheServer) -> PasswordAnswer:
    """Become an owner, on a server with `open_registration`. Elsewhere it is refused: people are invited."""
    if not server.settings.open_registration:
        raise Forbidden("registration is closed", code="registration_closed")
    await server.users.create(body.username, body.password.get_secret_value(), role=Role.OWNER, email=body.email)
    return PasswordAnswer(success=True, message="注册成功，请登录")
