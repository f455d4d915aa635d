"""The users with whom an account is shared, and the permission of each."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from pydantic import BaseModel

from shoal.accounts.account import Account
from shoal.api.http.caller import Me, Origin, OwnAccount, TheServer, actor_of
from shoal.api.http.openapi_errors import problems
from shoal.api.http.routing import Routes
from shoal.api.schemas.responses import PermissionWord, example, permission_word, rfc3339
from shoal.api.schemas.user_requests import StaffBody
from shoal.api.server import Server
from shoal.auth.audit_entries import AuditEvent
from shoal.auth.authorization import Grant
from shoal.auth.permission import Permission
from shoal.auth.users import User
from shoal.errors import UnknownUser

routes = Routes(tags=["accounts"])

Username = Annotated[str, Path(description="The user's name.", max_length=200, examples=["ann"])]
_ROW = {
    "username": "ann", "permission": "reply", "active": True, "since": "2026-01-02T03:04:05.000Z",
    "given_by": "user:admin",
}  # fmt: skip


class StaffShape(BaseModel):
    """One user with whom the account is shared. ``active``: they can sign in."""

    model_config = example(**_ROW)
    username: str
    permission: PermissionWord
    active: bool
    since: str
    given_by: str


class StaffList(BaseModel):
    """The users with whom the account is shared, the longest first, without the owner."""

    model_config = example(items=[_ROW], next=None)
    items: list[StaffShape]
    next: str | None = None


class StaffRemoved(BaseModel):
    """The user has no permission on the account. ``changed``: they had one before."""

    model_config = example(msg="removed", username="ann", changed=True)
    msg: str = "removed"
    username: str
    changed: bool


@routes.get(
    "/cookies/{cid}/staff",
    summary="List the users with whom an account is shared",
    responses=problems(401, 403, 404, 422, 503),
)
async def get_staff(account: OwnAccount, server: TheServer) -> StaffList:
    """List the users with whom the account is shared, and their permissions. For its owner."""
    users = {user.id: user for user in await server.users.list_users()}
    grants = server.authorization.staff_of(account)
    return StaffList(items=[_shape(grant, users[grant.user_id]) for grant in grants if grant.user_id in users])


@routes.put(
    "/cookies/{cid}/staff/{username}",
    summary="Share an account with a user",
    responses=problems(400, 401, 403, 404, 409, 413, 422, 503),
)
async def put_staff(
    username: Username, body: StaffBody, me: Me, account: OwnAccount, server: TheServer, origin: Origin
) -> StaffShape:
    """Give a user one permission on the account, in place of an earlier one. For its owner.

    `read` sees everything but secrets; `reply` also sends, takes over chats and serves orders; `operate` also changes
    switches, rules and settings. Only the owner can change the cookie, the proxy and this list, or delete the account.
    """
    user = await _user(server, username)
    permission = Permission.of(body.permission)
    changed = await server.authorization.give(account, user.id, permission, given_by=actor_of(me))
    if changed:
        await _note(server, AuditEvent.PERMISSION_GIVEN, me, user, account, origin, permission=permission.word)
    grant = next(grant for grant in server.authorization.staff_of(account) if grant.user_id == user.id)
    return _shape(grant, user)


@routes.delete(
    "/cookies/{cid}/staff/{username}",
    summary="Stop sharing an account with a user",
    responses=problems(401, 403, 404, 422, 503),
)
async def delete_staff(
    username: Username, me: Me, account: OwnAccount, server: TheServer, origin: Origin
) -> StaffRemoved:
    """Take all permissions on the account from a user. Their live streams of it end at once. For its owner."""
    user = await _user(server, username)
    changed = await server.authorization.take(account.id, user.id)
    if changed:
        await _note(server, AuditEvent.PERMISSION_TAKEN, me, user, account, origin)
    return StaffRemoved(username=user.username, changed=changed)


async def _user(server: Server, username: str) -> User:
    """Return the user of that name.

    Only an account's owner can ask. An unknown name is not hidden from owners, because they name their colleagues.
    """
    user = await server.users.by_name(username)
    if user is None:
        raise UnknownUser("there is no such user")
    return user


async def _note(
    server: Server, event: AuditEvent, me: User, user: User, account: Account, origin: str, **facts: str
) -> None:
    await server.audit_log.record(
        event,
        actor=actor_of(me),
        user_id=user.id,
        origin=origin,
        account=account.id,
        username=user.username,
        **facts,
    )


def _shape(grant: Grant, user: User) -> StaffShape:
    return StaffShape(
        username=user.username,
        permission=permission_word(grant.permission),
        active=user.active,
        since=rfc3339(grant.since_ms),
        given_by=grant.given_by,
    )
