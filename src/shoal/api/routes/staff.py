"""The users with whom an account is shared, and the permission of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import Path, Query, Response
from pydantic import BaseModel

from shoal.accounts.account import Account
from shoal.api.http.caller import AcceptLanguage, Me, Origin, OwnAccount, TheServer, WhoManagesNamed, actor_of
from shoal.api.http.openapi_errors import ASKING, OF_ONE, POSTING, TRYING
from shoal.api.http.problems import problem_of
from shoal.api.http.routing import Routes
from shoal.api.http.states_elsewhere import found_account
from shoal.api.schemas.responses import PermissionWord, example, permission_word, rfc3339
from shoal.api.schemas.user_requests import SharesBody, StaffBody
from shoal.api.server import Server
from shoal.auth.audit_entries import AuditEvent
from shoal.auth.audit_log import MAX_FACTS
from shoal.auth.authorization import Principal
from shoal.auth.grant_rows import Grant, Wanted
from shoal.auth.permission import Permission
from shoal.auth.users import User
from shoal.clock import now_ms
from shoal.errors import Conflict, Forbidden, ShoalError, UnknownAccount, UnknownUser
from shoal.language.choice import Language, language_of

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


class ColleagueShape(BaseModel):
    """One user with whom the caller shares accounts, and how many."""

    model_config = example(username="ann", active=True, shops=30)
    username: str
    active: bool
    shops: int


class ColleagueList(BaseModel):
    """The users with whom the caller shares accounts, in the order of their names."""

    model_config = example(items=[{"username": "ann", "active": True, "shops": 30}], next=None)
    items: list[ColleagueShape]
    next: str | None = None


class ShareRow(BaseModel):
    """The result for one account. ``before`` and ``permission``: that of the user before, and now."""

    id: str
    outcome: Literal["changed", "unchanged", "would_change", "failed"]
    code: str
    detail: str
    before: PermissionWord | None
    permission: PermissionWord | None


class SharesAnswer(BaseModel):
    """One result for each account, in the order of the request."""

    model_config = example(
        username="ann",
        results=[
            {"id": "my-shop", "outcome": "changed", "code": "", "detail": "", "before": None, "permission": "reply"}
        ],
    )
    username: str
    results: list[ShareRow]


class StaffRemoved(BaseModel):
    """The user has no permission on the account. ``changed``: they had one before."""

    model_config = example(msg="removed", username="ann", changed=True)
    msg: str = "removed"
    username: str
    changed: bool


@routes.get("/cookies/{cid}/staff", summary="List the users with whom an account is shared", responses=OF_ONE)
async def get_staff(account: OwnAccount, server: TheServer) -> StaffList:
    """List the users with whom the account is shared, and their permissions. For its owner."""
    users = {user.id: user for user in await server.users.list_users()}
    grants = server.authorization.staff_of(account)
    return StaffList(items=[_shape(grant, users[grant.user_id]) for grant in grants if grant.user_id in users])


@routes.put("/cookies/{cid}/staff/{username}", summary="Share an account with a user", responses=POSTING)
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
    given = Grant(
        account_id=account.id,
        user_id=user.id,
        permission=permission,
        account_since_ms=account.created_at_ms,
        since_ms=now_ms(),
        given_by=actor_of(me),
    )
    kept = (grant for grant in server.authorization.staff_of(account) if grant.user_id == user.id)
    return _shape(next(kept, given), user)  # another request may have taken it back


@routes.delete("/cookies/{cid}/staff/{username}", summary="Stop sharing an account with a user", responses=OF_ONE)
async def delete_staff(
    username: Username, me: Me, account: OwnAccount, server: TheServer, origin: Origin
) -> StaffRemoved:
    """Take all permissions on the account from a user. Their live streams of it end at once. For its owner."""
    user = await _user(server, username)
    changed = await server.authorization.take(account.id, user.id)
    if changed:
        await _note(server, AuditEvent.PERMISSION_TAKEN, me, user, account, origin)
    return StaffRemoved(username=user.username, changed=changed)


@routes.get("/staff", summary="List colleagues", responses=ASKING)
async def get_colleagues(me: Me, server: TheServer) -> ColleagueList:
    """List the users with whom the caller shares own accounts, and how many accounts with each."""
    numbers = server.authorization.colleagues_of(Principal(user=me))
    found = [user for user in await server.users.list_users() if user.id in numbers] if numbers else []
    rows = [ColleagueShape(username=user.username, active=user.active, shops=numbers[user.id]) for user in found]
    return ColleagueList(items=sorted(rows, key=lambda row: row.username.casefold()))


@routes.put(
    "/staff",
    summary="Share several accounts with a user",
    responses={
        207: {"model": SharesAnswer, "description": "Some of the accounts failed"},
        **TRYING,
    },
)
async def put_shares(
    body: SharesBody,
    me: Me,
    who: WhoManagesNamed,
    server: TheServer,
    origin: Origin,
    response: Response,
    *,
    dry_run: Annotated[bool, Query(description="Only report what would change; change nothing.")] = False,
    accept_language: AcceptLanguage = None,
) -> SharesAnswer:
    """Give a user one permission on each of several accounts, or take it (`null`). For their owner.

    Each account stands for itself: 207 when some failed. `before` of the results, sent again, undoes the request.
    """
    asked = {shop.account: Permission.of(shop.permission) if shop.permission else None for shop in body.shops}
    wanted, failed = await _own(server, who, asked)
    changed: set[str] = set()
    before: dict[str, Permission | None] = {}
    if wanted:  # who owns none of them does not learn which users there are
        user = await _user(server, body.username)
        before = {one.account.id: server.authorization.given_to(one.account, user.id) for one in wanted}
        changed = {one.account.id for one in wanted if before[one.account.id] != one.permission}
        if not dry_run:
            changed, refused = await server.authorization.share(user.id, wanted, given_by=actor_of(me))
            failed |= refused
            await _note_shares(server, me, user, origin, {name: asked[name] for name in asked if name in changed})
        elif any(one.account.owner_id == user.id and one.permission for one in wanted):
            failed |= {one.account.id: Conflict("the owner needs no grant", code="own_shop") for one in wanted}
    language = language_of(accept_language)
    rows = [_share_row(name, asked[name], before.get(name), failed.get(name), language) for name in asked]
    for row in rows:
        if row.outcome == "changed":
            row.outcome = "unchanged" if row.id not in changed else "would_change" if dry_run else "changed"
    response.status_code = 207 if failed else 200
    return SharesAnswer(username=body.username, results=rows)


async def _own(
    server: Server, who: Principal, asked: Mapping[str, Permission | None]
) -> tuple[list[Wanted], dict[str, ShoalError]]:
    """Return those of the accounts that the caller owns, and why the others cannot be shared."""
    wanted: list[Wanted] = []
    failed: dict[str, ShoalError] = {}
    for name, permission in asked.items():
        try:
            wanted.append(Wanted(await found_account(server, who, name, Permission.OWN), permission))
        except (UnknownAccount, Forbidden) as error:
            failed[name] = error
    return wanted, failed


def _share_row(
    name: str, asked: Permission | None, before: Permission | None, error: ShoalError | None, language: Language
) -> ShareRow:
    now = before if error else asked
    return ShareRow(
        id=name,
        outcome="failed" if error else "changed",
        code=error.code if error else "",
        detail=problem_of(error).sentence(language, error.params) if error else "",
        before=permission_word(before) if before else None,
        permission=permission_word(now) if now else None,
    )


async def _note_shares(
    server: Server, me: User, user: User, origin: str, changed: Mapping[str, Permission | None]
) -> None:
    """Record what changed: one entry for at most 20 accounts, since the log keeps no more waiting entries than 1,000.

    An entry is about the first of its accounts, so that their owner finds it.
    """
    by_permission: dict[Permission | None, list[str]] = {}
    for name, permission in changed.items():
        by_permission.setdefault(permission, []).append(name)
    for permission, names in by_permission.items():
        event = AuditEvent.PERMISSION_TAKEN if permission is None else AuditEvent.PERMISSION_GIVEN
        facts: dict[str, Any] = {} if permission is None else {"permission": permission.word}
        for first in range(0, len(names), MAX_FACTS):
            some = names[first : first + MAX_FACTS]
            if len(some) > 1:
                facts["accounts"] = some
            await server.audit_log.record(
                event,
                actor=actor_of(me),
                user_id=user.id,
                origin=origin,
                account=some[0],
                username=user.username,
                **facts,
            )


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
