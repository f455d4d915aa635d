"""Incidents, and the notices that reported them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, Field

from shoal.api.http.account_filter import OfAccount, asked_for
from shoal.api.http.caller import AcceptLanguage, Me, TheServer, WhoReadsNamed
from shoal.api.http.openapi_errors import READING_COMPAT, READING_ONE
from shoal.api.http.routing import Routes
from shoal.api.routes.history import Cursor, Limit
from shoal.api.schemas.cursors import cursor_of, place_of
from shoal.api.schemas.filled import filled
from shoal.api.schemas.responses import example
from shoal.api.server import Server
from shoal.auth.authorization import Principal
from shoal.auth.users import Role
from shoal.language.choice import Language, language_of
from shoal.notices.incident_history import Incident, Notice, Sight
from shoal.notices.incident_texts import do_of, link_of, page_of, title_of
from shoal.notices.plans import NoticeState, Phase
from shoal.notices.transport import answer_text
from shoal.storage.incident_kinds import POLICIES, IncidentKind, Level

routes = Routes(tags=["notices"])

Open = Annotated[
    bool | None, Query(alias="open", description="`1`: only those that last; `0`: only those that are over.")
]
Notified = Annotated[
    bool | None, Query(description="`1`: only those that lasted long enough to be notified; `0`: only the others.")
]
OfKind = Annotated[IncidentKind | None, Query(description="Only of this kind.")]
State = Annotated[NoticeState | None, Query(description="Only notices in this state.")]
OfIncident = Annotated[int | None, Query(ge=1, le=2**53, description="Only notices of this incident.", examples=[7])]


class IncidentShape(BaseModel):
    """One incident: what happened (`detail`), what to do (`do`), and the page on which to do it.

    `account_id` is `null` for what is of no account: goods, a sign-in, the server. `count`: how often it came.
    """

    id: int
    account_id: str | None
    kind: IncidentKind
    level: Level
    opened_at_ms: int
    closed_at_ms: int | None
    notified_at_ms: int | None = Field(description="When its notices were planned.")
    count: int
    reason: str = Field(description="What chooses the sentence, such as why an account is parked.")
    detail: str
    about: str = Field(description="The buyer and the item of a chat or an order, as far as they are known.")
    do: str
    url: str = Field(description="Empty without `public_url`.")
    page: str = Field(description="The same page as a path below `/console/`.")


_INCIDENT: dict[str, Any] = {
    "id": 7, "account_id": "my-shop", "kind": "parked", "level": "urgent", "opened_at_ms": 1767323045000,
    "closed_at_ms": None, "notified_at_ms": 1767323046000, "count": 1, "reason": "risk_control",
    "detail": "Shop “my-shop” needs you: Xianyu asked for verification (risk control)", "about": "",
    "do": "Until you deal with this, the shop does not connect, reply or deliver.\n…",
    "url": "https://shoal.example.com/console/accounts/my-shop",
    "page": "accounts/my-shop",
}  # fmt: skip


class IncidentList(BaseModel):
    """Incidents, newest first."""

    model_config = example(items=[_INCIDENT], next=None)
    items: list[IncidentShape]
    next: str | None = None


class NoticeShape(BaseModel):
    """One notice of a channel. A digest has no `incident_id`; the notices that it stands for have its id.

    `maybe_again`: an earlier sending may have arrived. `error`: why the last try failed.
    """

    id: int
    incident_id: int | None
    digest_id: int | None
    channel_id: int
    phase: Phase
    state: NoticeState
    tries: int
    maybe_again: bool
    error: str
    created_at_ms: int
    due_at_ms: int
    settled_at_ms: int | None


class NoticeList(BaseModel):
    """Notices, newest first."""

    model_config = example(
        items=[
            {
                "id": 12, "incident_id": 7, "digest_id": None, "channel_id": 3, "phase": "begin", "state": "sent",
                "tries": 1, "maybe_again": False, "error": "", "created_at_ms": 1767323046000,
                "due_at_ms": 1767323046000, "settled_at_ms": 1767323046500,
            }
        ],
        next=None,
    )  # fmt: skip
    items: list[NoticeShape]
    next: str | None = None


@routes.get("/incidents", summary="List incidents", responses=READING_ONE)
async def list_incidents(
    server: TheServer,
    who: WhoReadsNamed,
    *,
    is_open: Open = None,
    account_id: OfAccount,
    kind: OfKind = None,
    notified: Notified = None,
    cursor: Cursor = None,
    limit: Limit = 50,
    accept_language: AcceptLanguage = None,
) -> IncidentList:
    """List what stopped a shop of the caller or needs its owner, newest first.

    Also the caller's own stocks and sign-ins; for administrators, what is of the server.
    """
    before = place_of(cursor, 1)[0] if cursor else None
    found = await server.notices.history.incidents(
        await _sight(server, who, account_id),
        is_open=is_open,
        kind=kind,
        notified=notified,
        before=before,
        limit=limit + 1,
    )
    language, page = language_of(accept_language), found[:limit]
    following = cursor_of(page[-1].id) if len(found) > limit else None
    url = server.settings.public_url
    await server.manager.look({one.account_id for one in page if one.account_id} & server.manager.accounts.keys())
    return IncidentList(items=[_incident(server, one, language, url) for one in page], next=following)


@routes.get("/notices", summary="List your notices", responses=READING_COMPAT)
async def list_notices(
    server: TheServer,
    me: Me,
    *,
    state: State = None,
    incident: OfIncident = None,
    cursor: Cursor = None,
    limit: Limit = 50,
    accept_language: AcceptLanguage = None,
) -> NoticeList:
    """List the notices of the caller's channels, newest first, also those that failed or were given up."""
    before = place_of(cursor, 1)[0] if cursor else None
    found = await server.notices.history.notices(me.id, state=state, incident=incident, before=before, limit=limit + 1)
    page = found[:limit]
    following = cursor_of(page[-1].id) if len(found) > limit else None
    language = language_of(accept_language)
    return NoticeList(items=[_notice(one, language) for one in page], next=following)


async def _sight(server: Server, who: Principal, account_id: str | None) -> Sight:
    accounts = await asked_for(server, who, account_id)
    if account_id is not None or (who.token is not None and who.token.only_accounts is not None):
        return Sight(accounts=accounts)
    return Sight(accounts=accounts, user_id=who.id, sees_server=who.user.role is Role.ADMIN)


def _incident(server: Server, one: Incident, language: Language, public_url: str) -> IncidentShape:
    facts = {**one.facts, "shop": _shop(server, one.account_id)}
    return filled(
        IncidentShape,
        one,
        level=POLICIES[one.kind].level,
        reason=one.detail,
        detail=title_of(one.kind, one.detail, facts, language),
        do=do_of(one.kind, one.detail, one.facts, language),
        url=link_of(one.kind, one.account_id, one.facts, public_url),
        page=page_of(one.kind, one.account_id, one.facts),
    )


def _shop(server: Server, account_id: str | None) -> str:
    account = server.manager.accounts.get(account_id or "")
    if account is None:
        return account_id or ""
    return account.name or server.manager.observation(account.id).seller_name or account.id


def _notice(one: Notice, language: Language) -> NoticeShape:
    names = ("id", "incident_id", "digest_id", "channel_id", "phase", "state", "tries", "maybe_again")
    times = ("created_at_ms", "due_at_ms", "settled_at_ms")
    error = answer_text(one.last_error, one.failure, one.failure_host, language)
    return NoticeShape(**{name: getattr(one, name) for name in (*names, *times)}, error=error)
