"""Incidents and notices as users read them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, false, or_, select, tuple_

from shoal.notices.plans import NoticeState, Phase
from shoal.storage.among import among
from shoal.storage.chat_tables import chats
from shoal.storage.database import Database
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.incident_rows import KNOWN
from shoal.storage.known_item_rows import UNKNOWN, item_facts
from shoal.storage.notice_tables import channels, incidents, notices, webhook_attempts
from shoal.storage.old_rows import delete_in_steps
from shoal.storage.order_tables import orders

_KNOWN_NOTICES: Final = (notices.c.phase.in_(list(Phase)), notices.c.state.in_(list(NoticeState)))
"""Without those that a later version stored, before its user went back to this one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Incident:
    """One incident. ``detail`` is the word that chooses its sentence.

    ``about`` is the buyer and the item; empty for what is of no chat and no order, and while they are not known.
    """

    id: int
    kind: IncidentKind
    account_id: str | None
    opened_at_ms: int
    notified_at_ms: int | None
    closed_at_ms: int | None
    count: int
    detail: str
    facts: dict[str, Any]
    about: str = ""


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One notice of a user's channel; a digest has no ``incident_id``, and what it reports has its ``digest_id``."""

    id: int
    incident_id: int | None
    channel_id: int
    digest_id: int | None
    phase: Phase
    state: NoticeState
    due_at_ms: int
    tries: int
    maybe_again: bool
    last_error: str
    failure: str
    failure_host: str
    created_at_ms: int
    settled_at_ms: int | None


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """Which incidents a reader may see: of these accounts, of this user, and of the server."""

    accounts: Collection[str]
    user_id: int | None = None
    sees_server: bool = False

    def condition(self) -> ColumnElement[bool]:
        """Return the condition of the rows."""
        table = incidents.c
        of_user = and_(table.account_id.is_(None), table.user_id == self.user_id)
        of_server = and_(table.account_id.is_(None), table.user_id.is_(None))
        return or_(
            among(table.account_id, self.accounts) if self.accounts else false(),
            of_user if self.user_id is not None else false(),
            of_server if self.sees_server else false(),
        )


class IncidentHistory:
    """Reads incidents and notices, and deletes old ones."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def incidents(
        self,
        sight: Sight,
        *,
        is_open: bool | None = None,
        kind: IncidentKind | None = None,
        notified: bool | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> list[Incident]:
        """Return incidents, the newest first; none of a kind that only a later version knows.

        With ``is_open`` only those that last, or that are closed; with ``notified`` only those with notices, or none.
        """
        query = select(incidents).where(sight.condition(), KNOWN).order_by(incidents.c.id.desc()).limit(limit)
        if is_open is not None:
            closed = incidents.c.closed_at_ms
            query = query.where(closed.is_(None) if is_open else closed.is_not(None))
        if notified is not None:
            at_ms = incidents.c.told_at_ms
            query = query.where(at_ms.is_not(None) if notified else at_ms.is_(None))
        if kind is not None:
            query = query.where(incidents.c.kind == kind.value)
        if before is not None:
            query = query.where(incidents.c.id < before)
        return await self._database.read(lambda connection: _incidents(connection, query))

    async def notices(
        self,
        user_id: int,
        *,
        state: NoticeState | None = None,
        incident: int | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> list[Notice]:
        """Return the notices of a user's channels, the newest first."""
        mine = select(channels.c.id).where(channels.c.user_id == user_id)
        query = select(notices).where(notices.c.channel_id.in_(mine), *_KNOWN_NOTICES)
        query = query.order_by(notices.c.id.desc()).limit(limit)
        if state is not None:
            query = query.where(notices.c.state == state.value)
        if incident is not None:
            query = query.where(notices.c.incident_id == incident)
        if before is not None:
            query = query.where(notices.c.id < before)
        return await self._database.read(lambda connection: _notices(connection, query))

    async def last_tried(self, user_id: int) -> dict[int, Notice]:
        """Return the newest notice that was tried, of each channel of a user that tried one."""
        tried = select(notices.c.id).where(notices.c.channel_id == channels.c.id, notices.c.tries > 0, *_KNOWN_NOTICES)
        newest = tried.order_by(notices.c.id.desc()).limit(1).correlate(channels).scalar_subquery()
        query = select(notices).where(notices.c.id.in_(select(newest).where(channels.c.user_id == user_id)))
        found = await self._database.read(lambda connection: _notices(connection, query))
        return {one.channel_id: one for one in found}

    async def forget_older_than(self, moment_ms: int, *, rows: int = 2_000) -> int:
        """Delete incidents that were over before that moment, with their notices, and calls of webhooks.

        Return how many incidents.
        """
        old = and_(incidents.c.over, incidents.c.closed_at_ms < moment_ms)
        digests = and_(notices.c.phase == Phase.DIGEST.value, notices.c.settled_at_ms < moment_ms)
        forgotten = await delete_in_steps(self._database, incidents, old, rows)
        await delete_in_steps(self._database, notices, digests, rows)
        await delete_in_steps(self._database, webhook_attempts, webhook_attempts.c.at_ms < moment_ms, rows)
        return forgotten


def _incidents(connection: Connection, query: Any) -> list[Incident]:
    found = [_incident(row) for row in connection.execute(query).mappings()]
    about = subjects_of(connection, [(one.account_id, one.facts) for one in found])
    return [replace(one, about=text) for one, text in zip(found, about, strict=True)]


def _incident(row: Any) -> Incident:
    names = ("id", "account_id", "opened_at_ms", "closed_at_ms", "count", "detail")
    values = {name: row[name] for name in names}
    return Incident(
        kind=IncidentKind(row["kind"]),
        facts=json.loads(row["facts"] or "{}"),
        **values,
        notified_at_ms=row["told_at_ms"],
    )


def _notices(connection: Connection, query: Any) -> list[Notice]:
    names = [name for name in Notice.__struct_fields__ if name not in {"phase", "state"}]
    return [
        Notice(phase=Phase(row["phase"]), state=NoticeState(row["state"]), **{name: row[name] for name in names})
        for row in connection.execute(query).mappings()
    ]


_Key = tuple[str, str]


def subjects_of(connection: Connection, incidents: Sequence[tuple[str | None, Mapping[str, Any]]]) -> list[str]:
    """Return the buyer's name and the item's title of each incident, given as account and facts.

    A text is empty for what is of no chat and no order, and while neither name is known. Three queries at most; none
    for incidents of other kinds.
    """
    of_orders = _orders(connection, {key for one in incidents if (key := _key(one, "order_id"))})
    places = [_place(one, of_orders) for one in incidents]
    found = _chats(connection, {(account, chat) for account, chat, _ in places if chat})
    named = []
    for account, chat, item in places:
        name, item_of_chat = found.get((account, chat), ("", ""))
        named.append((name, (account, item or item_of_chat)))
    items = item_facts(connection, {key for _, key in named if key[1]})
    return [" · ".join(filter(None, (name, items.get(key, UNKNOWN).title))) for name, key in named]


def _key(incident: tuple[str | None, Mapping[str, Any]], fact: str) -> _Key | None:
    account_id, facts = incident
    return (account_id, str(facts[fact])) if account_id and facts.get(fact) else None


def _place(incident: tuple[str | None, Mapping[str, Any]], of_orders: Mapping[_Key, _Key]) -> tuple[str, str, str]:
    """Return the account, the chat and the item of an incident; empty where it has none."""
    if order := _key(incident, "order_id"):
        return (order[0], *of_orders.get(order, ("", "")))
    account_id, chat_id = _key(incident, "chat_id") or ("", "")
    return account_id, chat_id, ""


def _orders(connection: Connection, keys: set[_Key]) -> dict[_Key, _Key]:
    """Return the chat and the item of orders."""
    if not keys:
        return {}
    columns = (orders.c.account_id, orders.c.order_id, orders.c.chat_id, orders.c.item_id)
    query = select(*columns).where(tuple_(*columns[:2]).in_(sorted(keys)))
    return {(account, order): (chat, item or "") for account, order, chat, item in connection.execute(query)}


def _chats(connection: Connection, keys: set[_Key]) -> dict[_Key, _Key]:
    """Return the buyer's name and the item of chats."""
    if not keys:
        return {}
    columns = (chats.c.account_id, chats.c.chat_id, chats.c.buyer_name, chats.c.item_id)
    query = select(*columns).where(tuple_(*columns[:2]).in_(sorted(keys)))
    return {(account, chat): (name, item or "") for account, chat, name, item in connection.execute(query)}
