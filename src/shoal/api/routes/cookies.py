"""The accounts ("cookies"): list, read, add, renew, enable, resume, delete."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query, Request, Response
from pydantic import BaseModel

from shoal.accounts.new_cookies import add_or_renew
from shoal.api.http.caller import (
    AccountToRenew,
    IdToRemove,
    OperateAccount,
    TheCaller,
    TheServer,
    WhoAddsNamed,
    WhoReads,
)
from shoal.api.http.changes import changed, removed
from shoal.api.http.idempotency import leave_open
from shoal.api.http.openapi_errors import CHANGING, CHANGING_COMPAT, READING
from shoal.api.http.routing import Routes
from shoal.api.http.states_elsewhere import looked_elsewhere, observed_now
from shoal.api.schemas.account_requests import CookieBody, NewAccountBody
from shoal.api.schemas.responses import (
    CHANGE_EXAMPLE,
    ChangeFacts,
    example,
)
from shoal.api.server import Server
from shoal.auth.authorization import Principal
from shoal.auth.permission import Permission
from shoal.errors import Conflict, Forbidden, InvalidInput

routes = Routes(tags=["accounts"])


class CheckAnswer(BaseModel):
    """Whether any of the caller's accounts is usable."""

    model_config = example(success=True, hasValidCookies=True, validCount=1, enabledCount=2, totalCount=3)
    success: bool = True
    hasValidCookies: bool  # noqa: N815  the name that scripts read
    validCount: int  # noqa: N815
    enabledCount: int  # noqa: N815
    totalCount: int  # noqa: N815


class MsgAnswer(ChangeFacts):
    """A change was made."""

    model_config = example(msg="success", **CHANGE_EXAMPLE)
    msg: str


class RemovedAnswer(ChangeFacts):
    """The account was deleted: it is no longer visible, and does nothing more.

    ``purged``: its connection has ended and its rows are deleted, so the id is free. Otherwise `msg` is `removing`: the
    deletion continues by itself, and the same request with the same `Idempotency-Key` waits for it again.
    """

    model_config = example(msg="removed", purged=True, **{**CHANGE_EXAMPLE, "state": "stopped"})
    msg: Literal["removed", "removing"]
    purged: bool


@routes.get("/cookies/check", summary="Count usable accounts", responses=READING)
async def check_cookies(server: TheServer, who: WhoReads) -> CheckAnswer:
    """Count the caller's accounts. Usable are enabled accounts that need no action by their owner."""
    await looked_elsewhere(server, who)
    mine = server.authorization.accounts_of(who)
    enabled = [account for account in mine if account.enabled]
    valid = [account for account in enabled if not server.manager.observation(account.id).state.needs_owner]
    return CheckAnswer(
        hasValidCookies=bool(valid), validCount=len(valid), enabledCount=len(enabled), totalCount=len(mine)
    )


@routes.post("/cookies", summary="Add an account or replace its cookie", responses=CHANGING)
async def add_cookie(
    body: NewAccountBody, server: TheServer, who: WhoAddsNamed, caller: TheCaller, response: Response
) -> MsgAnswer:
    """Add an account, enabled, under a new id; or replace the cookie of the caller's account with that id.

    An account whose cookie is replaced stays enabled or disabled as it was.
    """
    require_secret(body.value, "value")
    if body.proxy is not None:
        require_secret(body.proxy.get_secret_value(), "proxy")
    require_own(server, who, body.id)
    change = add_or_renew(server.manager, body.id, body.value, owner_id=who.id, caller=caller, proxy=_proxy(body))
    facts = await changed(server, response, body.id, change)
    return MsgAnswer(msg="success", **facts)


@routes.put("/cookies/{cid}", summary="Replace an account's cookie", responses=CHANGING_COMPAT)
async def update_cookie(
    body: CookieBody, account: AccountToRenew, server: TheServer, caller: TheCaller, response: Response
) -> MsgAnswer:
    """Replace the cookie with a newer one of the same seller. The connection restarts only if the cookie differs."""
    require_secret(body.value, "value")
    change = server.manager.update_cookie(account.id, body.value, caller=caller)
    return MsgAnswer(msg="updated", **await changed(server, response, account.id, change))


@routes.delete("/cookies/{cid}", summary="Delete an account", responses=CHANGING_COMPAT)
async def remove_cookie(
    account_id: IdToRemove, server: TheServer, caller: TheCaller, request: Request
) -> RemovedAnswer:
    """Stop the account and delete all its data except its history. The id is free once `msg` is `removed`."""
    facts = await removed(server, account_id, caller)
    if not facts["purged"]:
        leave_open(request)
    return RemovedAnswer(msg="removed" if facts["purged"] else "removing", **facts)


@routes.post("/cookies/{cid}/resume", summary="Resume a parked account", responses=CHANGING)
async def resume_cookie(
    account: OperateAccount,
    server: TheServer,
    caller: TheCaller,
    response: Response,
    anyway: Annotated[bool, Query()] = False,
) -> MsgAnswer:
    """Resume a parked account and connect again, after its owner did what the site asked for.

    The proof of having passed a check is in the browser's newest cookie. While the account still has the one that the
    site stopped, this is refused with `cookie_unchanged`; with `anyway` it connects all the same.
    """
    await observed_now(server, account)
    if not anyway and server.manager.observation(account.id).has_old_cookie(account):
        raise Conflict("the cookie is the one that the site stopped", code="cookie_unchanged")
    change = server.manager.resume(account.id, caller=caller)
    return MsgAnswer(msg="resumed", **await changed(server, response, account.id, change))


def require_own(server: Server, who: Principal, account_id: str) -> None:
    """Refuse the id of an account that the caller may see but does not own, or that the token does not cover.

    An account that the caller cannot see is refused later, as taken.
    """
    account = server.manager.accounts.get(account_id)
    if account is not None and server.authorization.permission_on(who, account) is not None:
        server.authorization.check(who, account, Permission.OWN)
    elif not who.covers(account_id):
        raise Forbidden("this token is for other shops", code="token_not_allowed")


def require_all_shops(who: Principal) -> None:
    """Refuse a token limited to some accounts, when the account is not known yet."""
    if who.token is not None and who.token.only_accounts is not None:
        raise Forbidden("this token is for certain shops", code="token_not_allowed")


def require_secret(value: str, field: str) -> None:
    """Refuse an empty secret: answers show it empty, so a script that sends back what it read would erase it."""
    if not value:
        raise InvalidInput(f"{field} must not be empty", code="empty_secret", field=field)


def _proxy(body: NewAccountBody) -> str | None:
    return body.proxy.get_secret_value() if body.proxy is not None else None
