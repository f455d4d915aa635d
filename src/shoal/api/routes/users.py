"""The users: list, add, change, remove. For administrators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Path, Query, Request
from pydantic import BaseModel

from shoal.accounts.change_path import Caller
from shoal.api.http.caller import Administrator, Origin, TheNote, TheServer, actor_of, known_of
from shoal.api.http.idempotency import leave_open
from shoal.api.http.openapi_errors import ACTING, ASKING, POSTING, problems
from shoal.api.http.routing import Routes
from shoal.api.routes.invitations import NewLinkAnswer, NoStore, new_link
from shoal.api.routes.qr_logins_anywhere import cancel_all_logins
from shoal.api.schemas.filled import filled
from shoal.api.schemas.responses import example
from shoal.api.schemas.user_requests import NewUserBody, PasswordLinkBody, UserChangeBody
from shoal.api.server import Server
from shoal.auth.audit_entries import AuditEvent
from shoal.auth.users import Role, User
from shoal.errors import Conflict, UnknownUser
from shoal.storage.idempotency_keys import Reservation

routes = Routes(tags=["users"])

DryRun = Annotated[bool, Query(description="Only report what would change; change nothing.")]
UserId = Annotated[int, Path(description="The user's id.", ge=1, le=2**63 - 1, examples=[2])]

PERSON_EXAMPLE: dict[str, Any] = {
    "id": 2, "username": "ann", "email": "ann@example.com", "role": "owner", "active": True, "leaving": False,
    "has_totp": False, "shops": 3, "created_at": "2026-01-02T03:04:05.000Z", "signed_in_at": None,
}  # fmt: skip


class UserBody(BaseModel):
    """One user. ``shops``: how many accounts they own. ``leaving``: being removed, with all their accounts."""

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
    """The user and accounts to remove. Neither ``removed`` nor ``leaving``: nothing was done."""

    model_config = example(id=2, username="ann", shops=["my-shop"], removed=True, leaving=False)
    id: int
    username: str
    shops: list[str]
    removed: bool
    leaving: bool


class UserList(BaseModel):
    """All users, by id."""

    model_config = example(items=[PERSON_EXAMPLE], next=None)
    items: list[UserBody]
    next: str | None = None


@routes.get("/users", summary="List users", responses=ASKING)
async def get_users(server: TheServer, _: Administrator) -> UserList:
    """List all users, including blocked ones. For administrators."""
    shops = _shops(server)
    return UserList(items=[user_body(user, shops) for user in await server.users.list_users()])


@routes.post("/users", summary="Add a user", responses=problems(400, 401, 403, 409, 413, 422, 429, 503))
async def create_user(
    body: NewUserBody, server: TheServer, me: Administrator, origin: Origin, also: TheNote
) -> UserBody:
    """Add a user with a first password. An invitation is better: then only the user knows the password."""
    user = await server.users.create(
        body.username, body.password.get_secret_value(), role=Role(body.role), email=body.email, also=also
    )
    await _note(server, AuditEvent.PERSON_MADE, me, user.id, origin, username=user.username, role=user.role.value)
    return user_body(user, {})


@routes.patch("/users/{user_id}", summary="Change a user", responses=POSTING)
async def update_user(
    user_id: UserId, body: UserChangeBody, server: TheServer, me: Administrator, origin: Origin
) -> UserBody:
    """Change a user's role, e-mail address, or whether they may sign in. A blocked user's sessions end.

    Their accounts keep running. The last administrator who may sign in cannot lose that role.
    """
    changes = {name: getattr(body, name) for name in body.model_fields_set}
    user = await server.users.update(user_id, changes)
    if not user.active:
        server.sessions.look_again(user_id)
    await _note(server, AuditEvent.PERSON_CHANGED, me, user_id, origin, **changes)
    return user_body(user, _shops(server))


@routes.delete("/users/{user_id}", summary="Delete a user", responses=ACTING)
async def delete_user(
    user_id: UserId, request: Request, server: TheServer, me: Administrator, origin: Origin, dry_run: DryRun = False
) -> RemovalAnswer:
    """Remove a user and everything they own: accounts, sessions, tokens, and permissions on others' accounts.

    Sign-in is blocked at once. Then each account is stopped and deleted except its history; when all connections have
    ended, the user is deleted. Until then `leaving` is true: repeat the request to wait again. `?dry_run=1` only lists
    what would be removed.
    """
    op: Reservation | None = known_of(request).get("op")
    if dry_run:
        user = await server.users.check_may_leave(user_id)
        shops = server.user_removal.shops_of(user_id)
    else:
        try:
            user, shops = await remove_user(server, me, user_id, origin)
        except UnknownUser:
            if op is None or op.is_new:
                raise
            return RemovalAnswer(id=user_id, username="", shops=[], removed=True, leaving=False)  # since the first try
    gone = not dry_run and await server.user_removal.gone(user_id, within_seconds=server.settings.stop_wait_seconds)
    if not gone and not dry_run:
        leave_open(request)
    return RemovalAnswer(
        id=user_id, username=user.username, shops=shops, removed=gone, leaving=not gone and not dry_run
    )


@routes.post("/users/{user_id}/password-link", summary="Create a link for a new password", responses=POSTING)
async def create_password_link(
    user_id: UserId,
    body: PasswordLinkBody,
    server: TheServer,
    me: Administrator,
    origin: Origin,
    also: TheNote,
    _: NoStore,
) -> NewLinkAnswer:
    """Create a link by which a user who forgot the password sets a new one. Earlier links stop working.

    The link is shown only once. TOTP stays on. Using the link ends all sessions and API tokens of the user. Change your
    own password with `PUT /me/password`, or on the server itself.
    """
    if user_id == me.id:
        raise Conflict("one's own is changed by the one before", code="own_password")
    link, token = await server.invitations.password_link(user_id, hours=body.expires_hours, invited_by=me.id, also=also)
    await _note(server, AuditEvent.INVITATION_MADE, me, user_id, origin, invitation_id=link.id)
    return new_link(server, link, token)


@routes.delete("/users/{user_id}/totp", summary="Switch off a user's two-step verification", responses=ACTING)
async def remove_totp(user_id: UserId, server: TheServer, me: Administrator, origin: Origin) -> UserBody:
    """Switch off TOTP for a user who lost it; check who asks first. Their sessions end."""
    if user_id == me.id:
        raise Conflict("one's own is taken away by the password and a code", code="own_totp")
    user = await server.users.get(user_id)
    if user is None:
        raise UnknownUser("there is no such user")
    await server.totp.take_away(user_id)
    await server.sessions.end_all(user_id)
    await _note(server, AuditEvent.TOTP_OFF, me, user_id, origin)
    return user_body(replace(user, has_totp=False), _shops(server))


async def remove_user(server: Server, me: User, user_id: int, origin: str) -> tuple[User, list[str]]:
    """Begin to remove a user; return the user and the ids of their accounts. Raise as ``UserRemoval.begin``."""
    user, shops = await server.user_removal.begin(user_id, Caller(actor=actor_of(me), origin=origin))
    await _note(server, AuditEvent.PERSON_REMOVED, me, user_id, origin, username=user.username, shops=len(shops))
    server.authorization.forget_user(user_id)
    await cancel_all_logins(server, user_id)
    return user, shops


async def _note(server: Server, kind: AuditEvent, me: User, user_id: int, origin: str, **facts: Any) -> None:
    await server.audit_log.record(kind, actor=actor_of(me), user_id=user_id, origin=origin, **facts)


def user_body(user: User, shops: Mapping[int, int]) -> UserBody:
    """Return a user as JSON."""
    return filled(UserBody, user, shops=shops.get(user.id, 0))


def _shops(server: Server) -> Counter[int]:
    return Counter(account.owner_id for account in server.manager.accounts.values())
