"""Invitation and password links: create, list, revoke, use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import Depends, Path, Request, Response
from pydantic import BaseModel

from shoal.api.http.account_filter import NO_NUL
from shoal.api.http.caller import Administrator, Origin, TheNote, TheServer, actor_of, address_of, origin_for
from shoal.api.http.idempotency import ignores_keys
from shoal.api.http.openapi_errors import ASKING, OF_ONE, problems
from shoal.api.http.route_rules import ANYBODY
from shoal.api.http.routing import Routes
from shoal.api.http.states_elsewhere import found_account
from shoal.api.schemas.filled import filled
from shoal.api.schemas.responses import PermissionWord, example, permission_word
from shoal.api.schemas.shown_once import ShownOnce
from shoal.api.schemas.user_requests import InvitationBody, InvitedShopBody, JoinBody, LinkBody
from shoal.api.server import Server
from shoal.auth.audit_entries import AuditEvent
from shoal.auth.authorization import Principal
from shoal.auth.invitations import Invitation, InvitedShop
from shoal.auth.login_throttle import Guess
from shoal.auth.permission import Permission
from shoal.auth.users import Role, User
from shoal.errors import UnknownUser
from shoal.notices.incident_texts import console_url

routes = Routes(tags=["users"])

JOIN_PATH = "/console/join"
"""The console page of a link. The token follows ``#``, so no server and no log receives it."""

InvitationId = Annotated[
    str, Path(max_length=64, pattern=NO_NUL, description="The invitation's id.", examples=["5f2b9c0d1e3a4b6c"])
]


async def no_store(response: Response) -> None:
    """Forbid caches to store an answer that contains a secret."""
    response.headers["Cache-Control"] = "no-store"


NoStore = Annotated[None, Depends(no_store)]

_LINK: dict[str, Any] = {
    "id": "5f2b9c0d1e3a4b6c", "kind": "invitation", "role": "owner", "email": "ann@example.com", "username": None,
    "invited_by": "admin", "used_by": None, "created_at": "2026-01-02T03:04:05.000Z",
    "expires_at": "2026-01-05T03:04:05.000Z", "used_at": None,
    "shops": [{"account": "my-shop", "name": "手机壳", "permission": "reply"}],
}  # fmt: skip
Kind = Literal["invitation", "password"]


class InvitedShopShape(BaseModel):
    """One account that the new user may work in. ``name``: what its owner calls it, else the seller's nickname."""

    account: str
    name: str
    permission: PermissionWord


class InvitationShape(BaseModel):
    """One link. ``kind``: for a new user (with ``role``), or for a new password of ``username``.

    ``shops``: the accounts that are shared with the new user, shown to the maker and to whom the link was sent. Those
    that the maker no longer has are left out.
    """

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
    shops: list[InvitedShopShape]


class NewLinkAnswer(InvitationShape, ShownOnce):
    """A new link: its ``url`` (empty without `public_url`), its ``path`` on any address of the console, and the token.
    They are shown only once."""

    model_config = example(**_LINK, url="", path=f"{JOIN_PATH}#x3C9…", token="x3C9…", already_shown=False)  # noqa: S106  an example
    secrets = ("url", "path", "token")
    url: str = ""
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
        kind="invitation", role="owner", email="ann@example.com", username=None, expires_at="2026-01-05T03:04:05.000Z",
        shops=_LINK["shops"],
    )  # fmt: skip
    kind: Kind
    role: Role | None
    email: str | None
    username: str | None
    expires_at: str
    shops: list[InvitedShopShape]


class JoinAnswer(BaseModel):
    """The user who may sign in now.

    ``shared``: the accounts that the user may work in; ``skipped``: those of the link that are gone since.
    """

    model_config = example(user_id=2, username="ann", shared=["my-shop"], skipped=[])
    user_id: int
    username: str
    shared: list[str]
    skipped: list[str]


@routes.get("/invitations", summary="List invitations", responses=ASKING)
async def get_invitations(server: TheServer, me: Administrator) -> InvitationList:
    """List all links of the last weeks: open, used or expired. For administrators."""
    links = await server.invitations.everything()
    return InvitationList(items=[invitation_shape(server, link, reader=me) for link in links])


@routes.post("/invitations", summary="Create an invitation", responses=problems(400, 401, 403, 413, 422, 503))
async def create_invitation(
    body: InvitationBody, server: TheServer, me: Administrator, origin: Origin, also: TheNote, _: NoStore
) -> NewLinkAnswer:
    """Create a link by which one new user chooses a name and a password. The link is shown only once.

    `shops` are accounts of the caller. They are shared with the new user when the link is used, as far as the caller
    still owns them then.
    """
    link, token = await server.invitations.invite(
        Role(body.role),
        hours=body.expires_hours,
        email=body.email,
        invited_by=me.id,
        shops=await _invited(server, me, body.shops),
        also=also,
    )
    facts: dict[str, Any] = {"shops": len(link.shops)} if link.shops else {}
    await server.audit_log.record(
        AuditEvent.INVITATION_MADE, actor=actor_of(me), origin=origin, invitation_id=link.id, role=body.role, **facts
    )
    return new_link(server, link, token)


async def _invited(server: Server, me: User, shops: Sequence[InvitedShopBody]) -> list[InvitedShop]:
    """Return the accounts of an invitation. Raise ``UnknownAccount`` or ``Forbidden`` for one that is not the
    caller's."""
    who = Principal(user=me)
    found = {
        shop.account: (await found_account(server, who, shop.account, Permission.OWN), shop.permission)
        for shop in shops
    }
    return [
        InvitedShop(account_id=account.id, account_since_ms=account.created_at_ms, permission=permission)
        for account, permission in found.values()
    ]


@routes.delete("/invitations/{invitation_id}", summary="Revoke an invitation", responses=OF_ONE)
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
    return invitation_shape(server, link, reader=me)


@routes.post(
    "/join/look", summary="Check a link", dependencies=[ANYBODY], responses=problems(400, 404, 413, 422, 429, 503)
)
@ignores_keys
async def look_at_link(body: LinkBody, request: Request, server: TheServer, _: NoStore) -> LinkAnswer:
    """Return the purpose of a link before it is used."""
    async with _guessing(server, request):
        link = await server.invitations.look(body.token.get_secret_value())
    shape = invitation_shape(server, link)
    return filled(LinkAnswer, shape)


@routes.post(
    "/join",
    summary="Use an invitation or password link",
    dependencies=[ANYBODY],
    responses=problems(400, 404, 409, 413, 422, 429, 503),
)
async def join(body: JoinBody, request: Request, server: TheServer, _: NoStore) -> JoinAnswer:
    """Use a link: choose a name and a password, or a new password; then sign in with it. A link works once.

    The accounts of an invitation are shared in the same step; `skipped` names those that are gone since.
    """
    reading: list[asyncio.Task[None]] = []
    async with _guessing(server, request):
        used = await server.invitations.use(
            body.token.get_secret_value(),
            username=body.username,
            password=body.password.get_secret_value(),
            email=body.email,
            shared=lambda: reading.append(server.authorization.look_again()),
        )
    link, user = used.link, used.user
    if reading:
        await asyncio.wait(reading, timeout=server.settings.database_deadline_seconds)
    server.sessions.look_again(user.id)
    origin = origin_for(request, None)
    note = partial(server.audit_log.record, actor=actor_of(user), user_id=user.id, origin=origin, invitation_id=link.id)
    facts: dict[str, Any] = {"shops": len(used.shared)} if used.shared else {}
    await note(AuditEvent.INVITATION_USED, **facts)
    if link.for_user_id is None:
        await note(AuditEvent.PERSON_MADE, username=user.username, role=user.role.value)
    else:
        await note(AuditEvent.PASSWORD_CHANGED)
    shared = [shop.account_id for shop in used.shared]
    skipped = [shop.account_id for shop in link.shops if shop.account_id not in shared]
    return JoinAnswer(user_id=user.id, username=user.username, shared=shared, skipped=skipped)


@asynccontextmanager
async def _guessing(server: Server, request: Request) -> AsyncIterator[None]:
    """Delay a caller who tries one token after another, longer each time."""
    async with server.login.delays.attempt(Guess.LINK, address=address_of(request)) as attempt:
        try:
            yield
        except UnknownUser:
            attempt.fail()
            raise


def invitation_shape(server: Server, link: Invitation, *, reader: User | None = None) -> InvitationShape:
    """Return a link as JSON, without its token, of which the server keeps only a hash.

    ``reader``: an administrator; ``None`` for who has the token.
    """
    shops = link.shops if reader is None or reader.id == link.maker_id else ()
    return filled(
        InvitationShape,
        link,
        kind="invitation" if link.for_username is None else "password",
        role=Role(link.role) if link.role else None,
        username=link.for_username,
        shops=[shape for shop in shops if (shape := _shop_shape(server, link, shop)) is not None],
    )


def _shop_shape(server: Server, link: Invitation, shop: InvitedShop) -> InvitedShopShape | None:
    """Return an account of a link, if it is still there and its maker's."""
    account = server.manager.accounts.get(shop.account_id)
    if account is None or account.created_at_ms != shop.account_since_ms or account.owner_id != link.maker_id:
        return None
    permission = Permission.of(shop.permission)
    name = account.name or server.manager.observation(account.id).seller_name
    return InvitedShopShape(account=account.id, name=name, permission=permission_word(permission))


def new_link(server: Server, link: Invitation, token: str) -> NewLinkAnswer:
    """Return a new link, with its token."""
    url = console_url(server.settings.public_url, f"join#{token}")
    return NewLinkAnswer(
        **invitation_shape(server, link).model_dump(), url=url, path=f"{JOIN_PATH}#{token}", token=token
    )
