"""Personal API tokens for scripts: create (shown once), list, revoke; an administrator those of all users."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import BaseModel

from shoal.accounts.events import AccessChanged
from shoal.api.http.caller import Administrator, Me, Origin, TheNote, TheServer, actor_of
from shoal.api.http.openapi_errors import ASKING, OF_ONE, POSTING
from shoal.api.http.routing import Routes
from shoal.api.routes.invitations import NoStore
from shoal.api.routes.users import UserId
from shoal.api.schemas.responses import example, maybe_rfc3339, rfc3339
from shoal.api.schemas.shown_once import ShownOnce
from shoal.api.schemas.user_requests import NewTokenBody
from shoal.api.server import Server
from shoal.auth.api_tokens import ApiToken
from shoal.auth.audit_entries import AuditEvent
from shoal.auth.authorization import Principal
from shoal.auth.permission import Permission
from shoal.auth.users import User
from shoal.clock import now_ms
from shoal.errors import InvalidInput

routes = Routes(tags=["tokens"])

TokenId = Annotated[int, Path(description="The token's id.", ge=1, le=2**63 - 1, examples=[3])]
Scope = Literal["read", "reply", "operate", "manage"]
SCOPES: dict[Scope, Permission] = {
    "read": Permission.READ, "reply": Permission.REPLY, "operate": Permission.OPERATE, "manage": Permission.OWN,
}  # fmt: skip
_SCOPE_WORDS: dict[Permission, Scope] = {permission: word for word, permission in SCOPES.items()}
_TOKEN: dict[str, Any] = {
    "id": 3, "name": "nightly report", "scope": "read", "accounts": ["my-shop"],
    "created_at": "2026-01-02T03:04:05.000Z", "expires_at": "2026-04-02T03:04:05.000Z", "last_used_at": None,
    "expired": False,
}  # fmt: skip


class TokenShape(BaseModel):
    """One token. ``accounts`` is null when it is for all accounts of its user."""

    model_config = example(**_TOKEN)
    id: int
    name: str
    scope: Scope
    accounts: list[str] | None
    created_at: str
    expires_at: str
    last_used_at: str | None
    expired: bool


class TokenList(BaseModel):
    """The caller's tokens, newest first."""

    model_config = example(items=[_TOKEN], next=None)
    items: list[TokenShape]
    next: str | None = None


class UserTokenShape(TokenShape):
    """One token of a user."""

    model_config = example(**_TOKEN, user_id=2, username="ann")
    user_id: int
    username: str


class UserTokenList(BaseModel):
    """The valid tokens of all users, by user and newest first."""

    model_config = example(items=[{**_TOKEN, "user_id": 2, "username": "ann"}], next=None)
    items: list[UserTokenShape]
    next: str | None = None


class NewTokenAnswer(TokenShape, ShownOnce):
    """The new token, shown only once."""

    model_config = example(token="shoal_wK3…", already_shown=False, **_TOKEN)  # noqa: S106  an example
    secrets = ("token",)
    token: str


class TokenRevoked(BaseModel):
    """The token was revoked."""

    model_config = example(msg="revoked", id=3)
    msg: str = "revoked"
    id: int


@routes.get("/tokens", summary="List your API tokens", responses=ASKING)
async def get_tokens(server: TheServer, me: Me) -> TokenList:
    """List the caller's tokens, including expired ones. The tokens themselves are never shown again."""
    return TokenList(items=[_shape(token) for token in await server.api_tokens.list_of(me.id)])


@routes.post("/tokens", summary="Create an API token", responses=POSTING)
async def create_token(
    body: NewTokenBody, server: TheServer, me: Me, origin: Origin, also: TheNote, _: NoStore
) -> NewTokenAnswer:
    """Create a token for a script. It may do what its scope allows, and never more than its user may.

    `read` sees everything but secrets; `reply` also sends, takes over chats and serves orders; `operate` also changes
    switches, rules and settings; `manage` does all that the user may do with accounts. With `accounts` it is for these
    accounts only. No token gives access to users, passwords, sessions, tokens or the audit log.
    """
    who = Principal(user=me)
    for account_id in body.accounts or ():
        server.authorization.require(who, account_id, Permission.READ)
    token, made = await server.api_tokens.make(
        me.id, body.name, SCOPES[body.scope], days=body.expires_days, only_accounts=body.accounts, also=also
    )
    await server.audit_log.record(
        AuditEvent.TOKEN_MADE,
        actor=actor_of(me),
        user_id=me.id,
        origin=origin,
        token_id=made.id,
        name=made.name,
        scope=body.scope,
    )
    return NewTokenAnswer(token=token, **_shape(made).model_dump())


@routes.delete("/tokens/{token_id}", summary="Revoke an API token", responses=OF_ONE)
async def revoke_token(token_id: TokenId, server: TheServer, me: Me, origin: Origin) -> TokenRevoked:
    """Revoke a token permanently. Streams that were opened with it end at once."""
    return await _revoked(server, me.id, token_id, me, origin)


@routes.get("/users/tokens", summary="List the API tokens of all users", responses=ASKING)
async def get_tokens_of_all(server: TheServer, _: Administrator) -> UserTokenList:
    """List the valid tokens of all users, never the tokens themselves. For administrators."""
    found = await server.api_tokens.valid_of_all()
    return UserTokenList(
        items=[
            UserTokenShape(**_shape(token).model_dump(), user_id=token.user_id, username=username)
            for username, token in found
        ]
    )


@routes.delete("/users/{user_id}/tokens/{token_id}", summary="Revoke a user's API token", responses=OF_ONE)
async def revoke_token_of_user(
    user_id: UserId, token_id: TokenId, server: TheServer, me: Administrator, origin: Origin
) -> TokenRevoked:
    """Revoke a token of any user permanently. Streams that were opened with it end at once. For administrators."""
    return await _revoked(server, user_id, token_id, me, origin)


async def _revoked(server: Server, user_id: int, token_id: int, by: User, origin: str) -> TokenRevoked:
    revoked = await server.api_tokens.revoke(user_id, token_id)
    if revoked is None:
        raise InvalidInput("there is no such token", code="unknown_token")
    server.events.publish(AccessChanged(user_id=user_id))
    await server.audit_log.record(
        AuditEvent.TOKEN_REVOKED,
        actor=actor_of(by),
        user_id=user_id,
        origin=origin,
        token_id=revoked.id,
        name=revoked.name,
    )
    return TokenRevoked(id=revoked.id)


def _shape(token: ApiToken) -> TokenShape:
    return TokenShape(
        id=token.id,
        name=token.name,
        scope=_SCOPE_WORDS[token.scope],
        accounts=None if token.only_accounts is None else sorted(token.only_accounts),
        created_at=rfc3339(token.created_at_ms),
        expires_at=rfc3339(token.expires_at_ms),
        last_used_at=maybe_rfc3339(token.last_used_ms),
        expired=token.expires_at_ms <= now_ms(),
    )
