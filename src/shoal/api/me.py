"""What each person may see and change of their own sign-in."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel

from shoal.api.auth import MessageAnswer
from shoal.api.bodies import PasswordBody
from shoal.api.caller import MaybeSession, Me, TheServer
from shoal.api.documented import problems
from shoal.api.shapes import example, rfc3339
from shoal.errors import Forbidden, Unauthenticated, UnknownPerson
from shoal.users import Role, User

routes = APIRouter(tags=["session"])

SessionId = Annotated[str, Path(description="The session's id.", examples=["9f86d081884c7d659a2feaa0"])]

_SESSION: dict[str, Any] = {
    "id": "9f86d081884c7d659a2feaa0", "current": True, "kind": "console", "user_agent": "Mozilla/5.0 …",
    "address": "192.0.2.7", "created_at": "2026-01-02T03:04:05.000Z", "last_used_at": "2026-01-02T09:04:05.000Z",
    "expires_at": "2026-01-03T03:04:05.000Z",
}  # fmt: skip


class MeAnswer(BaseModel):
    """The person who is signed in."""

    model_config = example(id=1, username="admin", email=None, role="admin", has_totp=True)
    id: int
    username: str
    email: str | None
    role: Role
    has_totp: bool


class SessionShape(BaseModel):
    """One sign-in: by what (``console``, or ``login`` for scripts), from where, and until when at most."""

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
    """The caller's sign-ins, the newest first."""

    model_config = example(items=[_SESSION], next=None)
    items: list[SessionShape]
    next: str | None = None


class EndedAnswer(BaseModel):
    """How many sessions were ended."""

    model_config = example(ended=2)
    ended: int


@routes.get("/me", summary="Look at oneself", responses=problems(401, 503))
async def get_me(me: Me) -> MeAnswer:
    """The person who is signed in."""
    return me_answer(me)


@routes.put("/me/password", summary="Change one's password", responses=problems(400, 401, 403, 413, 422, 429, 503))
async def change_my_password(body: PasswordBody, server: TheServer, me: Me, session: MaybeSession) -> MessageAnswer:
    """Replace one's own password. Every other session of the person ends."""
    if await server.users.verify(me.username, body.current_password.get_secret_value()) is None:
        raise Forbidden("wrong password", code="wrong_password")
    kept = session.token_hash if session else ""
    await server.users.set_password(me.id, body.new_password.get_secret_value(), keep_session=kept)
    server.sessions.look_again(me.id)
    return MessageAnswer(message="密码修改成功")


@routes.get("/sessions", summary="List one's sign-ins", responses=problems(401, 503))
async def get_sessions(server: TheServer, me: Me, session: MaybeSession) -> SessionList:
    """Where the person is signed in, and by what."""
    found = await server.sessions.of_user(me.id)
    mine = session.id if session else ""
    return SessionList(
        items=[
            SessionShape(
                id=one.id,
                current=one.id == mine,
                kind=one.kind,
                user_agent=one.user_agent,
                address=one.address,
                created_at=rfc3339(one.created_at_ms),
                last_used_at=rfc3339(one.last_used_ms),
                expires_at=rfc3339(one.expires_at_ms),
            )
            for one in found
        ]
    )


@routes.delete("/sessions/{session_id}", summary="End one sign-in", responses=problems(401, 404, 422, 503))
async def end_session(session_id: SessionId, server: TheServer, me: Me) -> EndedAnswer:
    """Sign out there; that may be this one. What it follows live ends at once."""
    if not await server.sessions.end_one(me.id, session_id):
        raise UnknownPerson("there is no such session", code="unknown_session")
    return EndedAnswer(ended=1)


@routes.delete("/sessions", summary="End all other sign-ins", responses=problems(401, 503))
async def end_other_sessions(server: TheServer, me: Me, session: MaybeSession) -> EndedAnswer:
    """Sign out everywhere but here."""
    if session is None:
        raise Unauthenticated
    return EndedAnswer(ended=await server.sessions.end_all(me.id, but=session.id))


def me_answer(user: User) -> MeAnswer:
    """The signed-in person as JSON."""
    return MeAnswer(id=user.id, username=user.username, email=user.email, role=user.role, has_totp=user.has_totp)
