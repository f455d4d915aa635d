"""The chats of all accounts: buyer, item, last message, takeover."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    ScalarSelect,
    Select,
    Table,
    and_,
    case,
    delete,
    exists,
    func,
    not_,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from shoal.messages.decisions import Decision
from shoal.messages.outbox_rows import SendOutcome
from shoal.messages.takeovers import TakeoverReason
from shoal.messages.word_search import are_few, contains, newest_by_chat
from shoal.storage.among import among
from shoal.storage.database import Database
from shoal.storage.newest_rows import newest_since
from shoal.storage.schema import chats, messages, outbox, takeovers
from shoal.storage.upserts import insert_for, insert_or

LONGEST_EXCERPT = 200
"""How many characters of the last message the list keeps."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chat:
    """One chat. ``read_at_ms``: when the buyer last read our messages, as far as the site reported it.

    ``pause_reason`` is empty unless a takeover lasts until ``paused_until_ms``. ``found_text`` is the newest message
    that matches a search. ``waits``: a question of the buyer waits for a person.
    """

    account_id: str
    chat_id: str
    buyer_id: str = ""
    buyer_name: str = ""
    item_id: str | None = None
    last_at_ms: int = 0
    last_text: str = ""
    last_direction: str = ""
    read_at_ms: int | None = None
    paused_until_ms: int | None = None
    pause_reason: TakeoverReason | None = None
    pause_actor: str = ""
    found_text: str | None = None
    waits: bool = False

    @property
    def cursor(self) -> tuple[int, str, str]:
        """Return this chat's place in a list, newest first."""
        return (self.last_at_ms, self.account_id, self.chat_id)

    @property
    def ids(self) -> tuple[str | None, ...]:
        """Return the ids by which it is searched for."""
        return (self.chat_id, self.buyer_id, self.item_id)


_PLACE = tuple_(chats.c.last_at_ms, chats.c.account_id, chats.c.chat_id)
_IDS = (chats.c.chat_id, chats.c.buyer_id, chats.c.item_id)
_AN_ID = re.compile(r"[!-~]+")
_FEW_MATCHES = 2_000
"""So many messages are looked at to find the chats with a word."""
_FROM_BUYER = "in"
_UNDECIDED_MS = 120_000
"""After that time a question that is not decided yet waits for a person too: nothing seems to answer it."""
_FOR_NOBODY = frozenset(
    {
        Decision.SILENT_RULE,
        Decision.HUMAN_ANSWERED,
        Decision.SYSTEM_TEXT,
        Decision.SITE_CARD,
        Decision.SITE_TIP,
        Decision.OFFICIAL,
        Decision.GROUP_CHAT,
        Decision.ECHO,
        Decision.HUMAN,
    }
)
"""Decisions about what needs no answer, of this server or of a person."""
_NOT_SENT = (SendOutcome.REFUSED.value, SendOutcome.DROPPED.value)
FROM_SITE = "site"
"""The direction of what the site says itself: it takes neither the buyer's turn nor the owner's."""


class Chats:
    """Reads the list of chats."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_chats(
        self,
        account_ids: Collection[str],
        *,
        now_ms: int,
        chat_id: str | None = None,
        paused: bool | None = None,
        waiting: bool | None = None,
        query: str = "",
        before: tuple[int, str, str] | None = None,
        limit: int = 50,
    ) -> list[Chat]:
        """List chats, the most recently active first. ``before`` is the ``cursor`` of the last one seen.

        ``waiting``: only chats in which a question of the buyer does, or does not, wait for a person. ``query`` is
        searched literally, ignoring case, in message texts and sender names, and compared with the ids of chat, buyer
        and item.
        """
        waits = _waits(now_ms)
        listed = _newest_first(now_ms, waits)
        if chat_id is not None:
            listed = listed.where(chats.c.chat_id == chat_id)
        if paused is not None:
            held = takeovers.c.until_ms
            listed = listed.where(held.is_not(None) if paused else held.is_(None))
        if waiting is not None:
            listed = listed.where(waits if waiting else not_(waits))
        if before is not None:
            listed = listed.where(tuple_(*before) > _PLACE)

        def job(connection: Connection) -> list[Chat]:
            if query and chat_id is None and not are_few(connection, account_ids):
                return _with_words(connection, listed, query, account_ids, limit)
            mine = listed.where(among(chats.c.account_id, account_ids))
            if not query and all(part is None for part in (chat_id, paused, waiting)):
                last_at, before_ms = chats.c.last_at_ms, before[0] if before else None
                since_ms = newest_since(
                    connection, chats.c.account_id, last_at, account_ids, before_ms=before_ms, rows=limit
                )
                mine = mine if since_ms is None else mine.where(last_at >= since_ms)
            if query:
                found = _found(query, chats)
                mine = mine.add_columns(found.label("found_text")).where(or_(found.is_not(None), _named(query)))
            return [_chat(row) for row in connection.execute(mine.limit(limit)).mappings()]

        return await (self._database.search(job) if query else self._database.read(job))

    async def find(self, account_id: str, chat_id: str, *, now_ms: int) -> Chat | None:
        """Return one chat, or ``None`` without messages."""
        found = await self.list_chats([account_id], now_ms=now_ms, chat_id=chat_id, limit=1)
        return found[0] if found else None

    async def buyer_names(self, chats_of_accounts: Collection[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """Return the buyers' names of chats, by account and chat; unknown names are left out."""
        if not chats_of_accounts:
            return {}
        key = tuple_(chats.c.account_id, chats.c.chat_id)
        query = select(chats.c.account_id, chats.c.chat_id, chats.c.buyer_name).where(
            key.in_(list(chats_of_accounts)), chats.c.buyer_name != ""
        )

        def job(connection: Connection) -> dict[tuple[str, str], str]:
            return {(account_id, chat_id): name for account_id, chat_id, name in connection.execute(query)}

        return await self._database.read(job)


def _newest_first(now_ms: int, waits: ColumnElement[bool]) -> Select[Any]:
    holds = and_(
        takeovers.c.account_id == chats.c.account_id,
        takeovers.c.chat_id == chats.c.chat_id,
        takeovers.c.until_ms > now_ms,
    )
    return (
        select(
            chats,
            takeovers.c.until_ms.label("paused_until_ms"),
            takeovers.c.reason.label("pause_reason"),
            takeovers.c.actor.label("pause_actor"),
            waits.label("waits"),
        )
        .outerjoin(takeovers, holds)
        .order_by(*(column.desc() for column in _PLACE))
    )


def _waits(now_ms: int) -> ColumnElement[bool]:
    """Select whether a question waits: the buyer spoke last, and no automatic answer is coming or was left out on
    purpose.
    """
    failed = exists().where(
        outbox.c.account_id == messages.c.account_id,
        outbox.c.message_id == messages.c.message_id,
        outbox.c.outcome.in_(_NOT_SENT),
    )
    for_a_person = case(
        (messages.c.verdict == Decision.PENDING.value, messages.c.received_at_ms < now_ms - _UNDECIDED_MS),
        (messages.c.verdict == Decision.ANSWERED.value, failed),
        else_=messages.c.verdict.not_in([one.value for one in _FOR_NOBODY]),
    )
    newest = (
        select(for_a_person)
        .where(
            messages.c.account_id == chats.c.account_id,
            messages.c.chat_id == chats.c.chat_id,
            messages.c.direction == _FROM_BUYER,
        )
        .order_by(messages.c.created_at_ms.desc(), messages.c.id.desc())
        .limit(1)
        .correlate(chats)
        .scalar_subquery()
    )
    return and_(chats.c.last_direction == _FROM_BUYER, func.coalesce(newest, true()))


def _named(query: str) -> ColumnElement[bool]:
    return or_(*(column == query for column in _IDS))


def _found(query: str, of: Any) -> ScalarSelect[str]:
    """Select the newest message of the chat in ``of`` that contains the query; null without one."""
    return (
        select(messages.c.text)
        .where(messages.c.account_id == of.c.account_id, messages.c.chat_id == of.c.chat_id, contains(query))
        .order_by(messages.c.created_at_ms.desc())
        .limit(1)
        .correlate(of)
        .scalar_subquery()
    )


def _with_words(
    connection: Connection, listed: Select[Any], query: str, account_ids: Collection[str], limit: int
) -> list[Chat]:
    """Find a rare word's chats by the index of words; look for a common one in chat after chat, the newest first."""
    texts = newest_by_chat(connection, query, account_ids, _FEW_MATCHES)
    if texts is None:
        return _one_after_another(connection, listed.where(among(chats.c.account_id, account_ids)), query, limit)
    of_accounts = defaultdict[str, list[str]](list)
    for account_id, name in texts:
        of_accounts[account_id].append(name)
    some = [
        listed.where(chats.c.account_id == account_id, among(chats.c.chat_id, names))
        for account_id, names in of_accounts.items()
    ]
    if _AN_ID.fullmatch(query):
        some.append(listed.where(among(chats.c.account_id, account_ids), _named(query)))
    found = {
        (row["account_id"], row["chat_id"]): row
        for part in some
        for row in connection.execute(part.limit(limit)).mappings()
    }
    made = [_chat({**row, "found_text": texts.get(key)}) for key, row in found.items()]
    return sorted(made, key=lambda chat: chat.cursor, reverse=True)[:limit]


def _one_after_another(connection: Connection, mine: Select[Any], query: str, limit: int) -> list[Chat]:
    found: list[Chat] = []
    before: Any = None
    many = 4 * limit
    while len(found) < limit:
        some = (mine if before is None else mine.where(tuple_(*before) > _PLACE)).limit(many).subquery()
        texts = select(some, _found(query, some).label("found_text"))
        page = [_chat(row) for row in connection.execute(texts).mappings()]
        found += [chat for chat in page if chat.found_text is not None or query in chat.ids]
        if len(page) < many:
            break
        before = min(chat.cursor for chat in page)
        many *= 2
    return sorted(found, key=lambda chat: chat.cursor, reverse=True)[:limit]


def mark_read(connection: Connection, account_id: str, chat_id: str, at_ms: int) -> None:
    """Record that the buyer has read our messages up to then."""
    later = or_(chats.c.read_at_ms.is_(None), chats.c.read_at_ms < at_ms)
    mine = and_(chats.c.account_id == account_id, chats.c.chat_id == chat_id, later)
    connection.execute(update(chats).where(mine).values(read_at_ms=at_ms))


async def forget_older_than(database: Database, moment_ms: int, rows: int) -> None:
    """Delete chats without messages since then, and takeovers that ended before, at most ``rows`` of each at once."""
    for table, time_ms in ((chats, chats.c.last_at_ms), (takeovers, takeovers.c.until_ms)):
        while await _forget(database, table, time_ms < moment_ms, rows) == rows:
            pass


async def _forget(database: Database, table: Table, old: ColumnElement[bool], rows: int) -> int:
    """Delete some of the old rows, which are looked for on a reader. Return how many were found."""
    query = select(table.c.account_id, table.c.chat_id).where(old).limit(rows)
    keys = await database.read(lambda connection: connection.execute(query).all())
    if keys:
        accounts, names = ({key[place] for key in keys} for place in (0, 1))
        step = delete(table).where(among(table.c.account_id, accounts), among(table.c.chat_id, names), old)
        await database.write(lambda connection: connection.execute(step).rowcount)
    return len(keys)


def note(connection: Connection, spoken: Iterable[Chat]) -> None:
    """Update the list with messages, in any order of arrival."""
    for chat in spoken:
        connection.execute(_merge(connection.dialect.name), _row(chat))


@cache
def _merge(dialect: str) -> sqlite.Insert | postgresql.Insert:
    """Return the statement that adds a chat or merges a message into it."""
    statement = insert_for(dialect, chats)
    new = statement.excluded
    later = new.last_at_ms >= chats.c.last_at_ms

    def newest(name: str) -> Any:
        return case((later, new[name]), else_=chats.c[name])

    def known(name: str) -> Any:
        return case((and_(later, new[name] != ""), new[name]), (chats.c[name] == "", new[name]), else_=chats.c[name])

    merged = {
        "buyer_id": known("buyer_id"),
        "buyer_name": known("buyer_name"),
        "item_id": case(
            (later, func.coalesce(new.item_id, chats.c.item_id)), else_=func.coalesce(chats.c.item_id, new.item_id)
        ),
        "last_at_ms": newest("last_at_ms"),
        "last_text": newest("last_text"),
        "last_direction": case(
            (and_(later, new.last_direction != FROM_SITE), new.last_direction), else_=chats.c.last_direction
        ),
    }
    return statement.on_conflict_do_update(index_elements=[chats.c.account_id, chats.c.chat_id], set_=merged)


def make_known(connection: Connection, chat: Chat) -> None:
    """Add a chat without messages, or fill in what is not known of it. Keeps its last message."""
    statement = insert_or(connection, chats).values(**_row(chat))
    new = statement.excluded
    merged = {
        "buyer_id": case((chats.c.buyer_id == "", new.buyer_id), else_=chats.c.buyer_id),
        "buyer_name": case((chats.c.buyer_name == "", new.buyer_name), else_=chats.c.buyer_name),
        "item_id": func.coalesce(chats.c.item_id, new.item_id),
    }
    connection.execute(
        statement.on_conflict_do_update(index_elements=[chats.c.account_id, chats.c.chat_id], set_=merged)
    )


def _row(chat: Chat) -> dict[str, Any]:
    return {
        "account_id": chat.account_id,
        "chat_id": chat.chat_id,
        "buyer_id": chat.buyer_id,
        "buyer_name": chat.buyer_name,
        "item_id": chat.item_id,
        "last_at_ms": chat.last_at_ms,
        "last_text": chat.last_text[:LONGEST_EXCERPT],
        "last_direction": chat.last_direction,
    }


def _chat(row: Mapping[Any, Any]) -> Chat:
    values = dict(row)
    values["waits"] = bool(values["waits"])
    reason = values.pop("pause_reason")
    actor = values.pop("pause_actor")
    return Chat(**values, pause_reason=TakeoverReason(reason) if reason else None, pause_actor=actor or "")
