"""Invitation and password links: create, list, revoke, use."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import Depends, Path, Request, Response
from pydantic import BaseModel

from shoal.api.http.caller import Administrator, Origin, TheServer, actor_of, address_of, origin_for
from shoal.api.http.openapi_errors import problems
from shoal.api.http.route_rules import ANYBODY
from shoal.api.http.routing import Routes
from shoal.api.schemas.responses import example, maybe_rfc3339, rfc3339
from shoal.api.schemas.user_requests import InvitationBody, JoinBody, LinkBody
from shoal.api.server import Server
from shoal.auth.audit_entries import AuditEvent
from shoal.auth.invitations import Invitation
from shoal.auth.login_throttle import Guess
from shoal.auth.users import Role
from shoal.errors import UnknownUser

routes = Routes(tags=["users"])

JOIN_PATH = "/console/join"
"""The console page of a link. The token follows ``#``, so no server and no log receives it."""

InvitationId = Annotated[str, Path(description="The invitation's id.", examples=["5f2b9c0d1e3a4b6c"])]


async def no_store(response: Response) -> None:
    """Forbid caches to store an answer that contains a secret."""
    response.headers["Cache-Control"] = "no-store"


NoStore = Annotated[None, Depends(no_store)]

_LINK: dict[str, Any] = {
    "id": "5f2b9c0d1e3a4b6c", "kind": "invitation", "role": "owner", "email": "ann@example.com", "username": None,
    "invited_by": "admin", "used_by": None, "created_at": "2026-01-02T03:04:05.000Z",
    "expires_at": "2026-01-05T03:04:05.000Z", "used_at": None,
}  # fmt: skip
Kind = Literal["invitation", "password"]


class InvitationShape(BaseModel):
    """One link. ``kind``: for a new user (with ``role``), or for a new password of ``username``."""

    model_config = example(**_LINK)
    id: str
    kind: Kind
    role: Role | None
    email: str | None
    username: str | None
    invited_by: str | None
    used_by: str | None
    created_at: str
    expires_at: str
    used_at: str | None


class NewLinkAnswer(InvitationShape):
    """A new link: its ``path`` on the console's address, and the token. Both are shown only once."""

    model_config = example(**_LINK, path=f"{JOIN_PATH}#x3C9…", token="x3C9…")  # noqa: S106  an example
    path: str
    token: str


class InvitationList(BaseModel):
    """The links of the last weeks, newest first."""

    model_config = example(items=[_LINK], next=None)
    items: list[InvitationShape]
    next: str | None = None


class LinkAnswer(BaseModel):
    """The purpose of a link."""

    model_config = example(
        kind="invitation", role="owner", email="ann@example.com", username=None, expires_at="2026-01-05T03:04:05.000Z"
    )
    kind: Kind
    role: Role | None
    email: str | None
    username: str | None
    expires_at: str


class JoinAnswer(BaseModel):
    """The user who may sign in now."""

    model_config = example(user_id=2, username="ann")
    user_id: int
    username: str


@routes.get("/invitations", summary="List invitations", responses=problems(401, 403, 503))
async def get_invitations(server: TheServer, _: Administrator) -> InvitationList:
    """List all links of the last weeks: open, used or expired. For administrators."""
    return InvitationList(items=[invitation_shape(link) for link in await server.invitations.everything()])


@routes.post("/invitations", summary="Create an invitation", responses=problems(400, 401, 403, 413, 422, 503))
async def create_invitation(
    body: InvitationBody, server: TheServer, me: Administrator, origin: Origin, _: NoStore
) -> NewLinkAnswer:
    """Create a link by which one new user chooses a name and a password. The link is shown only once."""
    link, token = await server.invitations.invite(
        Role(body.role), hours=body.expires_hours, email=body.email, invited_by=me.id
    )
    await server.audit_log.record(
        AuditEvent.INVITATION_MADE, actor=actor_of(me), origin=origin, invitation_id=link.id, role=body.role
    )
    return new_link(link, token)


@routes.delete(
    "/invitations/{invitation_id}", summary="Revoke an invitation", responses=problems(401, 403, 404, 422, 503)
)
async def revoke_invitation(
    invitation_id: InvitationId, server: TheServer, me: Administrator, origin: Origin
) -> InvitationShape:
    """Revoke a link that was not used."""
    link = await server.invitations.revoke(invitation_id)
    await server.audit_log.record(
        AuditEvent.INVITATION_REVOKED,
        actor=actor_of(me),
        user_id=link.for_user_id,
        origin=origin,
        invitation_id=link.id,
    )
    return invitation_shape(link)


@routes.post(
    "/join/look", summary="Check a link", dependencies=[ANYBODY], responses=problems(400, 404, 413, 422, 429, 503)
)
async def look_at_link(body: LinkBody, request: Request, server: TheServer, _: NoStore) -> LinkAnswer:
    """Return the purpose of a link before it is used."""
    async with _guessing(server, request):
        link = await server.invitations.look(body.token.get_secret_value())
    shape = invitation_shape(link)
    return LinkAnswer(
        kind=shape.kind, role=shape.role, email=shape.email, username=shape.username, expires_at=shape.expires_at
    )


@routes.post(
    "/join",
    summary="Use an invitation or password link",
    dependencies=[ANYBODY],
    responses=problems(400, 404, 409, 413, 422, 429, 503),
)
async def join(body: JoinBody, request: Request, server: TheServer, _: NoStore) -> JoinAnswer:
    """Use a link: choose a name and a password, or a new password; then sign in with it. A link works once."""
    async with _guessing(server, request):
        link, user = await server.invitations.use(
            body.token.get_secret_value(),
            username=body.username,
            password=body.password.get_secret_value(),
            email=body.email,
        )
    server.sessions.look_again(user.id)
    origin = origin_for(request, None)
    note = partial(server.audit_log.record, actor=actor_of(user), user_id=user.id, origin=origin, invitation_id=link.id)
    await note(AuditEvent.INVITATION_USED)
    if link.for_user_id is None:
        await note(AuditEvent.PERSON_MADE, username=user.username, role=user.role.value)
    else:
        await note(AuditEvent.PASSWORD_CHANGED)
    return JoinAnswer(user_id=user.id, username=user.username)


@asynccontextmanager
async def _guessing(server: Server, request: Request) -> AsyncIterator[None]:
    """Delay a caller who tries one token after another, longer each time."""
    async with server.login.delays.attempt(Guess.LINK, address=address_of(request)) as attempt:
        try:
            yield
        except UnknownUser:
            attempt.fail()
            raise


def invitation_shape(link: Invitation) -> InvitationShape:
    """Return a link as JSON, without its token, of which the server keeps only a hash."""
    return InvitationShape(
        id=link.id,
        kind="invitation" if link.for_username is None else "password",
        role=Role(link.role) if link.role else None,
        email=link.email,
        username=link.for_username,
        invited_by=link.invited_by,
        used_by=link.used_by,
        created_at=rfc3339(link.created_at_ms),
        expires_at=rfc3339(link.expires_at_ms),
        used_at=maybe_rfc3339(link.used_at_ms),
    )


def new_link(link: Invitation, token: str) -> NewLinkAnswer:
    """Return a new link, with its token."""
    return NewLinkAnswer(**invitation_shape(link).model_dump(), path=f"{JOIN_PATH}#{token}", token=token)
