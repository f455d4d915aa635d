"""Who calls, about which account, and under which conditions: the dependencies of the routes."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, cast

from fastapi import Depends, Header, Path, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import HTTPConnection

from shoal.account import Account
from shoal.answers import Reservation
from shoal.api.op_ids import new_op_id
from shoal.api.session_cookie import SAFE_METHODS, cookie_token, is_own_origin
from shoal.change_path import Caller
from shoal.cookie_manager import LONGEST_WAIT_SECONDS
from shoal.errors import Forbidden, InvalidInput, Unauthenticated, UnknownAccount
from shoal.server import Server
from shoal.sessions import Session
from shoal.users import Role, User

_ETAG = re.compile(r'(?:W/)?"?g(\d{1,18})"?')
_bearer = HTTPBearer(auto_error=False, description="The token that POST /login gave.")


async def server_of(request: Request) -> Server:
    """The living parts of the server."""
    return cast("Server", request.app.state.server)


TheServer = Annotated[Server, Depends(server_of)]


async def session_token(
    request: Request, bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> str | None:
    """The token of the ``Authorization`` header, else of the browser's cookie.

    A cookie counts for a change only when a page of ours asks for it: browsers send cookies unasked.
    """
    if bearer is not None:
        return bearer.credentials
    if request.method not in SAFE_METHODS and not is_own_origin(request):
        return None
    return cookie_token(request)


SessionToken = Annotated[str | None, Depends(session_token)]


async def maybe_session(server: TheServer, token: SessionToken) -> Session | None:
    """The session of the request's token, if it has one."""
    return None if token is None else await server.sessions.of(token)


async def session_of(request: Request) -> Session | None:
    """The same, for who has no more than the request."""
    token = await session_token(request, await _bearer(request))
    return await maybe_session(await server_of(request), token)


MaybeSession = Annotated[Session | None, Depends(maybe_session)]


async def signed_in(session: MaybeSession) -> User:
    """The person who calls. Raises ``Unauthenticated``."""
    if session is None:
        raise Unauthenticated
    return session.user


Me = Annotated[User, Depends(signed_in)]


async def administrator(me: Me) -> User:
    """The person who calls, an administrator. Raises ``Forbidden``."""
    if me.role is not Role.ADMIN:
        raise Forbidden
    return me


Administrator = Annotated[User, Depends(administrator)]


def address_of(request: Request) -> str:
    """The address that a request came from; empty when there is none."""
    return request.client.host if request.client else ""


def actor_of(user: User) -> str:
    """The person as the journal names them."""
    return f"user:{user.username}"


async def origin_of(request: Request, session: MaybeSession) -> str:
    """From where a request came, as the journal names it: by what it was asked, and from which address."""
    if session is not None and session.kind == "console":
        by = "console"
    else:
        by = "shell" if request.headers.get("user-agent", "").startswith("shoal/") else "api"
    return where_from(request, by)


def where_from(request: HTTPConnection, by: str) -> str:
    """The same for what came by another way."""
    return f"{by} {request.client.host}" if request.client else by


Origin = Annotated[str, Depends(origin_of)]


async def caller_of(
    request: Request,
    me: Me,
    origin: Origin,
    idempotency_key: Annotated[
        str | None,
        Header(
            description="1 to 128 letters, digits or . _ ~ - chosen by the caller. The same request with the same key "
            "is carried out once and answered alike for 24 h; `GET /ops/{op_id}` tells what became of it."
        ),
    ] = None,
    if_match: Annotated[
        str | None, Header(description="The ETag that was read: the change is refused (412) when it no longer holds.")
    ] = None,
    wait: Annotated[
        float | None,
        Query(
            ge=0,
            le=LONGEST_WAIT_SECONDS,
            allow_inf_nan=False,
            description="Seconds to wait for the account to start or stop; 0 does not wait.",
        ),
    ] = None,
) -> Caller:
    """Who asks for a change, under which op id, and what they assume."""
    if idempotency_key is None:
        request.state.op = Reservation(op_id=new_op_id(me.id), is_new=True)
    op: Reservation = request.state.op
    return Caller(
        actor=actor_of(me),
        owner_id=me.id,
        op_id=op.op_id,
        repeats=not op.is_new,
        if_match=_generations(if_match),
        wait_seconds=wait,
        origin=origin,
    )


TheCaller = Annotated[Caller, Depends(caller_of)]


def _generations(if_match: str | None) -> frozenset[int] | None:
    """Those of which one must be the account's; ``None``: whichever it is."""
    if if_match is None or if_match.strip() == "*":
        return None
    found = [_ETAG.fullmatch(tag.strip()) for tag in if_match.split(",")]
    tags = [tag for tag in found if tag is not None]
    if len(tags) < len(found):
        raise InvalidInput("If-Match is an ETag of ours, or several", code="bad_if_match")
    return frozenset(int(tag[1]) for tag in tags)


def _own_account(variant: str) -> Callable[..., Awaitable[Account]]:
    """A dependency: the account of the path, which is the caller's. Unknown and foreign are the same answer."""

    async def own_account(
        request: Request,
        server: TheServer,
        me: Me,
        cid: Annotated[str, Path(description="The account's id.", examples=["my-shop"])],
    ) -> Account:
        request.state.unknown_account = f"unknown_account{variant}"
        account = server.manager.accounts.get(cid)
        if account is None or account.owner_id != me.id:
            raise UnknownAccount(cid)
        return account

    return own_account


async def id_to_remove(
    request: Request,
    server: TheServer,
    me: Me,
    caller: TheCaller,
    cid: Annotated[str, Path(description="The account's id.", examples=["my-shop"])],
) -> str:
    """The id of the path: of the caller's account, or of one that this same request removed before."""
    request.state.unknown_account = "unknown_account/change"
    account = server.manager.accounts.get(cid)
    if account is None or account.owner_id != me.id:
        before = await server.store.op(caller.op_id) if caller.repeats else None
        if before is None or before.account_id != cid:
            raise UnknownAccount(cid)
    return cid


IdToRemove = Annotated[str, Depends(id_to_remove)]
AccountToChange = Annotated[Account, Depends(_own_account("/change"))]
AccountToRead = Annotated[Account, Depends(_own_account("/read"))]
AccountOfRules = Annotated[Account, Depends(_own_account("/rules"))]
OwnAccount = Annotated[Account, Depends(_own_account(""))]


def own_accounts(server: Server, me: User) -> list[Account]:
    """The caller's accounts, oldest first."""
    mine = (account for account in server.manager.accounts.values() if account.owner_id == me.id)
    return sorted(mine, key=lambda account: (account.created_at_ms, account.id))
