"""The people who may sign in: for administrators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import BaseModel

from shoal.accounts.change_path import Caller
from shoal.api.http.caller import Administrator, Origin, TheServer, actor_of
from shoal.api.http.openapi_errors import problems
from shoal.api.http.routing import Routes
from shoal.api.routes.invitations import NewLinkAnswer, NoStore, new_link
from shoal.api.schemas.requests import NewUserBody, PasswordLinkBody, UserChangeBody
from shoal.api.schemas.responses import example, maybe_rfc3339, rfc3339
from shoal.api.server import Server
from shoal.auth.audit_log import AuditEvent
from shoal.auth.users import Role, User
from shoal.errors import Conflict, UnknownUser

routes = Routes(tags=["people"])

DryRun = Annotated[bool, Query(description="Only say what would happen.")]
UserId = Annotated[int, Path(description="The person's number.", ge=1, le=2**63 - 1, examples=[2])]

PERSON_EXAMPLE: dict[str, Any] = {
    "id": 2, "username": "ann", "email": "ann@example.com", "role": "owner", "active": True, "leaving": False,
    "has_totp": False, "shops": 3, "created_at": "2026-01-02T03:04:05.000Z", "signed_in_at": None,
}  # fmt: skip


class UserBody(BaseModel):
    """One person. ``shops``: how many they own. ``leaving``: being removed, with every shop."""

    model_config = example(**PERSON_EXAMPLE)
    id: int
    username: str
    email: str | None
    role: Role
    active: bool
    leaving: bool
    has_totp: bool
    shops: int
    created_at: str
    signed_in_at: str | None


class RemovalAnswer(BaseModel):
    """Who goes, and which shops with them. Neither ``removed`` nor ``leaving``: nothing was done."""

    model_config = example(id=2, username="ann", shops=["my-shop"], removed=True, leaving=False)
    id: int
    username: str
    shops: list[str]
    removed: bool
    leaving: bool


class UserList(BaseModel):
    """Everybody, by number."""

    model_config = example(items=[PERSON_EXAMPLE], next=None)
    items: list[UserBody]
    next: str | None = None


@routes.get("/users", summary="List the people", responses=problems(401, 403, 503))
async def get_users(server: TheServer, _: Administrator) -> UserList:
    """Everybody who may sign in, or might again. For administrators."""
    shops = _shops(server)
    return UserList(items=[user_body(user, shops) for user in await server.users.list_users()])


@routes.post("/users", summary="Add a person", responses=problems(400, 401, 403, 409, 413, 422, 429, 503))
async def create_user(body: NewUserBody, server: TheServer, me: Administrator, origin: Origin) -> UserBody:
    """Add a person with a first password. Better invite them: then nobody but they know it."""
    user = await server.users.create(
        body.username, body.password.get_secret_value(), role=Role(body.role), email=body.email
    )
    await _note(server, AuditEvent.PERSON_MADE, me, user.id, origin, username=user.username, role=user.role.value)
    return user_body(user, {})


@routes.patch("/users/{user_id}", summary="Change a person", responses=problems(400, 401, 403, 404, 409, 413, 422, 503))
async def update_user(
    user_id: UserId, body: UserChangeBody, server: TheServer, me: Administrator, origin: Origin
) -> UserBody:
    """Change a person's role, address, or whether they may sign in. Who may not is signed out everywhere.

    Their shops go on as they are. The last administrator who may sign in stays one.
    """
    changes = {name: getattr(body, name) for name in body.model_fields_set}
    user = await server.users.update(user_id, changes)
    if not user.active:
        server.sessions.look_again(user_id)
    await _note(server, AuditEvent.PERSON_CHANGED, me, user_id, origin, **changes)
    return user_body(user, _shops(server))


@routes.delete("/users/{user_id}", summary="Remove a person", responses=problems(401, 403, 404, 409, 422, 503))
async def delete_user(
    user_id: UserId, server: TheServer, me: Administrator, origin: Origin, dry_run: DryRun = False
) -> RemovalAnswer:
    """Remove a person and all that is theirs: shops, sessions, tokens, what was shared with them.

    The door closes at once. Each shop is then stopped and forgotten, all but its history; only when every connection
    has ended the person is gone. Until then `leaving` is true: repeat the request to wait on. `?dry_run=1` only says
    what would go.
    """
    if dry_run:
        user = await server.users.check_may_leave(user_id)
        shops = server.user_removal.shops_of(user_id)
    else:
        user, shops = await server.user_removal.begin(user_id, Caller(actor=actor_of(me), origin=origin))
        await _note(server, AuditEvent.PERSON_REMOVED, me, user_id, origin, username=user.username, shops=len(shops))
        server.authorization.forget_user(user_id)
        for login in server.qr_logins.of(user_id):
            await server.qr_logins.cancel(user_id, login.id)
    gone = not dry_run and await server.user_removal.gone(user_id, within_seconds=server.settings.stop_wait_seconds)
    return RemovalAnswer(
        id=user_id, username=user.username, shops=shops, removed=gone, leaving=not gone and not dry_run
    )


@routes.post(
    "/users/{user_id}/password-link",
    summary="Let a person choose a new password",
    responses=problems(400, 401, 403, 404, 409, 413, 422, 503),
)
async def create_password_link(
    user_id: UserId, body: PasswordLinkBody, server: TheServer, me: Administrator, origin: Origin, _: NoStore
) -> NewLinkAnswer:
    """Make a link, shown once, by which a person who forgot the password chooses a new one. An earlier one is over.

    Their second factor stays. Using the link ends every session and every API token of theirs. One's own password is
    changed by the one before (`PUT /me/password`), or on the machine itself.
    """
    if user_id == me.id:
        raise Conflict("one's own is changed by the one before", code="own_password")
    link, token = await server.invitations.password_link(user_id, hours=body.expires_hours, invited_by=me.id)
    await _note(server, AuditEvent.INVITATION_MADE, me, user_id, origin, invitation_id=link.id)
    return new_link(link, token)


@routes.delete(
    "/users/{user_id}/totp", summary="Take a second factor away", responses=problems(401, 403, 404, 409, 422, 503)
)
async def remove_totp(user_id: UserId, server: TheServer, me: Administrator, origin: Origin) -> UserBody:
    """Switch off the second factor of somebody who lost it, after you made sure who asks. Their sessions end."""
    if user_id == me.id:
        raise Conflict("one's own is taken away by the password and a code", code="own_totp")
    user = await server.users.get(user_id)
    if user is None:
        raise UnknownUser("there is no such person")
    await server.totp.take_away(user_id)
    await server.sessions.end_all(user_id)
    await _note(server, AuditEvent.TOTP_OFF, me, user_id, origin)
    return user_body(replace(user, has_totp=False), _shops(server))


async def _note(server: Server, kind: AuditEvent, me: User, user_id: int, origin: str, **facts: Any) -> None:
    await server.audit_log.record(kind, actor=actor_of(me), user_id=user_id, origin=origin, **facts)


def user_body(user: User, shops: Mapping[int, int]) -> UserBody:
    """A person as JSON."""
    return UserBody(
        id=user.id,
        username=user.username,
        email=user.email,
        role=user.role,
        active=user.active,
        leaving=user.leaving,
        has_totp=user.has_totp,
        shops=shops.get(user.id, 0),
        created_at=rfc3339(user.created_at_ms),
        signed_in_at=maybe_rfc3339(user.signed_in_at_ms),
    )


def _shops(server: Server) -> Counter[int]:
    return Counter(account.owner_id for account in server.manager.accounts.values())
