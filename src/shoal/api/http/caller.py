"""Dependencies of the routes: the caller, the account of the path, the conditions of a change.

Each is one node for FastAPI, which pays about 20 µs for a node: what they share are plain functions of the request.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, cast

from fastapi import Depends, Header, Path, Query, Request
from starlette.requests import HTTPConnection

from shoal.accounts.account import Account
from shoal.accounts.callers import LONGEST_WAIT_SECONDS
from shoal.accounts.change_path import Caller
from shoal.api.http.read_your_writes import HEADER, await_changes
from shoal.api.http.route_rules import Asks, RouteRule, Shop, reads_token, rule_of, ruled
from shoal.api.http.session_cookie import SAFE_METHODS, cookie_token, is_own_origin
from shoal.api.http.states_elsewhere import found_account
from shoal.api.schemas.op_ids import new_op_id
from shoal.api.server import Server
from shoal.auth.api_tokens import PREFIX
from shoal.auth.audit_entries import AuditEvent
from shoal.auth.authorization import Principal
from shoal.auth.permission import Permission, permission_missing
from shoal.auth.sessions import Session
from shoal.auth.users import Role, User
from shoal.concurrency.fair_turns import asking_user
from shoal.errors import Forbidden, InvalidInput, TooManyAttempts, Unauthenticated, UnknownAccount
from shoal.storage.idempotency_keys import Also, Reservation, done_by, nothing

_ETAG = re.compile(r'(?:W/)?"?g(\d{1,18})"?')


async def server_of(request: Request) -> Server:
    """Return the components of the server."""
    return server_in(request)


def server_in(request: Request) -> Server:
    """Return the components of the server, for code that has only the request."""
    return cast("Server", request.scope["app"].state.server)


def known_of(request: HTTPConnection) -> dict[str, Any]:
    """Return what ``request.state`` holds: looking into it costs a hundredth of asking for an attribute."""
    facts: dict[str, Any] = request.scope.setdefault("state", {})
    return facts


TheServer = Annotated[Server, Depends(server_of)]
AcceptLanguage = Annotated[str | None, Header()]
"""The languages that the caller reads."""


@reads_token
async def session_token(request: Request) -> str | None:
    """Return the token of the ``Authorization`` header, else of the browser's cookie.

    Browsers send cookies with every request. A cookie therefore counts for a change only when the request comes from a
    page of this server.
    """
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and (token := credentials.strip()):
        return token
    if request.method not in SAFE_METHODS and not is_own_origin(request):
        return None
    kept = cookie_token(request)
    return None if kept is None or kept.startswith(PREFIX) else kept  # a cookie may hold session tokens only


SessionToken = Annotated[str | None, Depends(session_token)]


async def principal_of(server: Server, token: str | None, *, in_use: bool = True) -> Principal | None:
    """Return the owner of a token, or ``None`` when the token is unknown, expired or revoked.

    Args:
        in_use: ``False`` only checks the token: it does not count as use.
    """
    if token is None:
        return None
    if token.startswith(PREFIX):
        found = await server.api_tokens.find(token, in_use=in_use)
        return None if found is None else Principal(user=found[0], token=found[1])
    session = await server.sessions.of(token, in_use=in_use)
    return None if session is None else Principal(user=session.user, session=session)


@reads_token
async def maybe_principal(request: Request) -> Principal | None:
    """Return the caller, or ``None`` without a valid token. Look the token up once for each request."""
    facts = known_of(request)
    if "principal" not in facts:
        server, token = server_in(request), await session_token(request)
        who = facts["principal"] = await principal_of(server, token)
        if who is not None:
            asking_user.set(who.id)
            count_call(server, who)
            if server.follower is not None and (named := request.headers.get(HEADER)) is not None:
                await await_changes(server.follower, named)
        elif token is not None and "authorization" in request.headers:  # a browser's session may simply have ended
            facts["guessing"] = await wrong_token(server, request)
    found: Principal | None = facts["principal"]
    return found


async def wrong_token(server: Server, request: Request, *, outcome: str = "wrong_token") -> TooManyAttempts | None:
    """Count an invalid token and record it in the audit log. Return the error for a caller who guesses tokens."""
    refusal: TooManyAttempts | None = None
    try:
        server.login.delays.count_wrong_token(address_of(request))
    except TooManyAttempts as error:
        refusal, outcome = error, error.code
    await server.audit_log.record(
        AuditEvent.REFUSED_TOKEN, actor="", origin=where_from(request, "api"), outcome=outcome
    )
    return refusal


def require_no_guessing(request: Request) -> None:
    """Raise ``TooManyAttempts`` for an invalid token when too many came from the same address."""
    refusal: TooManyAttempts | None = known_of(request).get("guessing")
    if refusal is not None:
        raise refusal


def count_call(server: Server, who: Principal) -> None:
    """Count one call against the limit of the token or session. Raise ``TooManyCalls`` at the limit."""
    if who.token is not None:
        server.rate_limits.count_token(who.token.id)
    elif who.session is not None:
        server.rate_limits.count_session(who.session.token_hash)


MaybePrincipal = Annotated[Principal | None, Depends(maybe_principal)]


async def known(request: Request) -> Principal:
    """Return the caller. Raise ``Unauthenticated`` without one, ``TooManyAttempts`` for a caller who guesses tokens."""
    principal = await maybe_principal(request)
    if principal is None:
        require_no_guessing(request)
        raise Unauthenticated
    return principal


@ruled(RouteRule(asks=Asks.SESSION))
async def signed_in(request: Request) -> User:
    """Return the user of a session. Raise ``Unauthenticated`` without a caller, ``Forbidden`` for an API token."""
    who = await known(request)
    if who.session is None:
        raise Forbidden("no token may do this", code="token_not_allowed")
    return who.user


Me = Annotated[User, Depends(signed_in)]
"""For routes about the user: sessions, passwords, tokens, other users. API tokens are refused."""


@reads_token
async def maybe_session(request: Request) -> Session | None:
    """Return the caller's session; ``None`` for an API token or no caller."""
    who = await maybe_principal(request)
    return None if who is None else who.session


MaybeSession = Annotated[Session | None, Depends(maybe_session)]


@ruled(RouteRule(asks=Asks.ADMINISTRATOR))
async def administrator(request: Request) -> User:
    """Return the user of a session who is an administrator. Raise ``Forbidden`` for other users."""
    me = await signed_in(request)
    if me.role is not Role.ADMIN:
        raise Forbidden
    return me


Administrator = Annotated[User, Depends(administrator)]


def address_of(request: Request) -> str:
    """Return the client's address of a request; empty when there is none."""
    return request.client.host if request.client else ""


def _who_may(
    permission: Permission, shop: Shop = Shop.NONE, *, adds_shops: bool = False
) -> Callable[..., Awaitable[Principal]]:
    """Build a dependency that returns a caller with that permission, by a session or a token of that scope."""

    @ruled(RouteRule(asks=Asks.PERMISSION, permission=permission, shop=shop, adds_shops=adds_shops))
    async def who_may(request: Request) -> Principal:
        who = await known(request)
        if who.most < permission:
            raise permission_missing(permission, who.most, by_token=True)
        if adds_shops and not who.owns_shops:
            raise Forbidden("staff own no shops", code="staff_owns_none")
        return who

    return who_may


who_reads = _who_may(Permission.READ)
WhoReads = Annotated[Principal, Depends(who_reads)]
"""For lists of what the caller may see."""
who_replies = _who_may(Permission.REPLY)
who_operates = _who_may(Permission.OPERATE)
WhoManages = Annotated[Principal, Depends(_who_may(Permission.OWN))]
WhoAddsShops = Annotated[Principal, Depends(_who_may(Permission.OWN, adds_shops=True))]
WhoReadsNamed = Annotated[Principal, Depends(_who_may(Permission.READ, Shop.CONTENT))]
"""For routes that name an account in the query or body: they check the permission by ``server.authorization``."""
who_replies_named = _who_may(Permission.REPLY, Shop.CONTENT)
WhoRepliesNamed = Annotated[Principal, Depends(who_replies_named)]
WhoOperatesNamed = Annotated[Principal, Depends(_who_may(Permission.OPERATE, Shop.CONTENT))]
WhoManagesNamed = Annotated[Principal, Depends(_who_may(Permission.OWN, Shop.CONTENT))]
WhoAddsNamed = Annotated[Principal, Depends(_who_may(Permission.OWN, Shop.CONTENT, adds_shops=True))]


def actor_of(user: User) -> str:
    """Return the name of a user in the journal."""
    return f"user:{user.username}"


@reads_token
async def origin_of(request: Request) -> str:
    """Return the origin of a request for the journal: the kind of client, and its address."""
    return origin_for(request, await maybe_principal(request))


def origin_for(request: Request, who: Principal | None) -> str:
    """Return the origin of a request of that caller, as ``origin_of``."""
    if who is not None and who.token is not None:
        by = f"token:{who.token.id}"
    elif who is not None and who.session is not None and who.session.kind == "console":
        by = "console"
    else:
        by = "shell" if request.headers.get("user-agent", "").startswith("shoal/") else "api"
    return where_from(request, by)


def where_from(request: HTTPConnection, by: str) -> str:
    """Return the origin of a request that came by ``by``."""
    return f"{by} {request.client.host}" if request.client else by


Origin = Annotated[str, Depends(origin_of)]


def op_of(request: Request, who: Principal) -> Reservation:
    """Return the op of a request: that of its idempotency key, else a new one."""
    facts = known_of(request)
    op: Reservation | None = facts.get("op")
    if op is None:
        op = facts["op"] = Reservation(op_id=new_op_id(who.id), is_new=True)
    return op


async def note_of(request: Request) -> Also:
    """Return what notes, in the transaction of a change, that its keyed request is done; nothing without a key."""
    op: Reservation | None = known_of(request).get("op")
    return nothing if op is None else done_by(op.op_id)


TheNote = Annotated[Also, Depends(note_of)]
"""For changes that do not store their op id themselves."""


@reads_token
async def caller_of(
    request: Request,
    *,
    if_match: Annotated[
        str | None,
        Header(description="The ETag from the last read. If it no longer matches, the change is refused (412)."),
    ] = None,
    wait: Annotated[
        float | None,
        Query(
            ge=0,
            le=LONGEST_WAIT_SECONDS,
            allow_inf_nan=False,
            description="Seconds to wait for the account to start or stop; 0 means do not wait.",
        ),
    ] = None,
) -> Caller:
    """Return who makes a change, its op id, and the conditions on the account."""
    server, who = server_in(request), await known(request)
    op, rule = op_of(request, who), rule_of(request.scope["route"])
    return Caller(
        actor=actor_of(who.user),
        permit=permit(server, who, Permission.OWN if rule is None else rule.permission),
        may_bind=who.may_bind_goods,
        most_shops=most_shops(server, who),
        op_id=op.op_id,
        repeats=not op.is_new,
        if_match=generations_of(if_match),
        wait_seconds=wait,
        origin=await origin_of(request),
    )


TheCaller = Annotated[Caller, Depends(caller_of)]


def generations_of(if_match: str | None) -> frozenset[int] | None:
    """Return the generations one of which must be the account's; ``None`` means any."""
    if if_match is None or if_match.strip() == "*":
        return None
    found = [_ETAG.fullmatch(tag.strip()) for tag in if_match.split(",")]
    tags = [tag for tag in found if tag is not None]
    if len(tags) < len(found):
        raise InvalidInput("If-Match holds one or several ETags of this server", code="bad_if_match")
    return frozenset(int(tag[1]) for tag in tags)


def most_shops(server: Server, who: Principal) -> int | None:
    """Return how many accounts the caller may have. ``None`` means no limit, as for administrators."""
    limit = server.settings.shops_per_owner
    return None if who.user.role is Role.ADMIN or not limit else limit


def permit(server: Server, who: Principal, permission: Permission) -> Callable[[Account], None]:
    """Return a check that refuses a change if the caller lacks the permission when the change runs."""

    def check(account: Account) -> None:
        server.authorization.check(who, account, permission)

    return check


_Cid = Annotated[str, Path(description="The account's id.", examples=["my-shop"])]


def _account(permission: Permission, variant: str = "") -> Callable[..., Awaitable[Account]]:
    """Build a dependency that returns the account of the path, if the caller has that permission on it.

    An unknown account and one that the caller may not see get the same answer, that of ``variant``.
    """

    @ruled(RouteRule(asks=Asks.PERMISSION, permission=permission, shop=Shop.PATH))
    async def account_of_path(request: Request, cid: _Cid) -> Account:
        server, who = server_in(request), await known(request)
        facts = known_of(request)
        facts["unknown_account"] = f"unknown_account{variant}"
        account = await found_account(server, who, cid, permission)
        facts["permission"] = server.authorization.permission_on(who, account)
        return account

    return account_of_path


@ruled(RouteRule(asks=Asks.PERMISSION, permission=Permission.OWN, shop=Shop.PATH))
async def id_to_remove(request: Request, caller: TheCaller, cid: _Cid) -> str:
    """Return the id of the path: of the caller's account, or of one that this same request already removed."""
    server, who = server_in(request), await known(request)
    request.state.unknown_account = "unknown_account/change"
    try:
        await found_account(server, who, cid, Permission.OWN)
    except UnknownAccount:
        before = await server.store.op(caller.op_id) if caller.repeats else None
        if before is None or before.account_id != cid:
            raise
    return cid


async def right_on_path(request: Request) -> Permission:
    """Return the caller's permission on the account of the path, which another dependency found."""
    permission: Permission = known_of(request)["permission"]
    return permission


ThePermission = Annotated[Permission, Depends(right_on_path)]
"""A route must declare it after the account."""
IdToRemove = Annotated[str, Depends(id_to_remove)]
read_account = _account(Permission.READ)
ReadAccount = Annotated[Account, Depends(read_account)]
ReplyAccount = Annotated[Account, Depends(_account(Permission.REPLY))]
OperateAccount = Annotated[Account, Depends(_account(Permission.OPERATE))]
OwnAccount = Annotated[Account, Depends(_account(Permission.OWN))]
AccountToRead = Annotated[Account, Depends(_account(Permission.READ, "/read"))]
"""The following use the error texts of the REST dialect that sellers come from when the account does not exist."""
account_to_change = _account(Permission.OPERATE, "/change")
AccountToChange = Annotated[Account, Depends(account_to_change)]
AccountToRenew = Annotated[Account, Depends(_account(Permission.OWN, "/change"))]
RulesToRead = Annotated[Account, Depends(_account(Permission.READ, "/rules"))]
RulesToChange = Annotated[Account, Depends(_account(Permission.OPERATE, "/rules"))]
