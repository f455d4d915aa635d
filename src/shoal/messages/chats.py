"""The chats of all accounts: buyer, item, last message, takeover."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
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
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from shoal.messages.chat_status import ChatFilter, Reader, WorkStatus, listed_chats, of_chat
from shoal.messages.takeovers import TakeoverReason
from shoal.messages.word_search import are_few, contains, newest_by_chat
from shoal.storage.among import among
from shoal.storage.chat_tables import chat_events, chat_notes, chat_seen, chat_work, chats, takeovers
from shoal.storage.database import Database
from shoal.storage.known_item_rows import UNKNOWN, item_facts
from shoal.storage.newest_rows import newest_since
from shoal.storage.old_rows import delete_in_steps
from shoal.storage.schema import messages
from shoal.storage.upserts import insert_for, insert_or

LONGEST_EXCERPT = 200
"""How many characters of the last message the list keeps."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chat:
    """One chat. ``read_at_ms``: when the buyer last read our messages, as far as the site reported it.

    ``pause_reason`` is empty unless a takeover lasts until ``paused_until_ms``. ``found_text`` is the newest message
    that matches a search. ``waits``: a question of the buyer waits for a person. ``received``: how many messages the
    buyer has written; ``unread``: how many of them the reader of the list has not seen. ``assignee``: a user name, or
    empty. ``item_title`` and ``item_picture`` (an address here) are empty while they are not known.
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
    received: int = 0
    unread: int = 0
    status: WorkStatus = WorkStatus.OPEN
    snoozed_until_ms: int | None = None
    assignee: str = ""
    item_title: str = ""
    item_picture: str = ""

    @property
    def cursor(self) -> tuple[int, str, str]:
        """Return this chat's place in a list, newest first."""
        return (self.last_at_ms, self.account_id, self.chat_id)

    @property
    def ids(self) -> tuple[str | None, ...]:
        """Return the ids by which it is searched for."""
        return (self.chat_id, self.buyer_id, self.item_id)


EVERY_CHAT = ChatFilter()
_PLACE = tuple_(chats.c.last_at_ms, chats.c.account_id, chats.c.chat_id)
_IDS = (chats.c.chat_id, chats.c.buyer_id, chats.c.item_id)
_AN_ID = re.compile(r"[!-~]+")
_LOOKED_AT = (8, 100)
"""So many times the rows of a page are looked at first, and then, to find those that a filter lets through."""
_OF_CHAT = (chat_work, chat_seen, chat_notes, chat_events)
"""The tables whose rows go with their chat: a later chat of the same id must find none of them."""
_FEW_MATCHES = 2_000
"""So many messages are looked at to find the chats with a word."""
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
        only: ChatFilter = EVERY_CHAT,
        reader: Reader | None = None,
        query: str = "",
        before: tuple[int, str, str] | None = None,
        limit: int = 50,
    ) -> list[Chat]:
        """List chats, the most recently active first. ``before`` is the ``cursor`` of the last one seen.

        ``reader``: whose unread messages are counted. ``query`` is searched literally, ignoring case, in message texts
        and sender names, and compared with the ids of chat, buyer and item.
        """
        listed = listed_chats(now_ms, reader).order_by(*(column.desc() for column in _PLACE))
        listed = listed.where(*only.conditions(now_ms, reader))
        if before is not None:
            listed = listed.where(tuple_(*before) > _PLACE)

        def job(connection: Connection) -> list[Chat]:
            return _with_items(connection, found_in(connection))

        def found_in(connection: Connection) -> list[Chat]:
            if query and only.chat_id is None and not are_few(connection, account_ids):
                return _with_words(connection, listed, query, account_ids, limit)
            mine = listed.where(among(chats.c.account_id, account_ids))
            if query:
                found = _found(query, chats)
                mine = mine.add_columns(found.label("found_text")).where(or_(found.is_not(None), _named(query)))
                return [_chat(row) for row in connection.execute(mine.limit(limit)).mappings()]
            before_ms = before[0] if before else None
            return _newest(connection, mine, account_ids, only, before_ms=before_ms, limit=limit)

        return await (self._database.search(job) if query else self._database.read(job))

    async def find(self, account_id: str, chat_id: str, *, now_ms: int) -> Chat | None:
        """Return one chat, or ``None`` without messages."""
        found = await self.list_chats([account_id], now_ms=now_ms, only=ChatFilter(chat_id=chat_id), limit=1)
        return found[0] if found else None


def _with_items(connection: Connection, found: list[Chat]) -> list[Chat]:
    """Return chats with what is known of their items."""
    keys = {(chat.account_id, chat.item_id) for chat in found if chat.item_id}
    items = item_facts(connection, keys)
    pairs = [(chat, items.get((chat.account_id, chat.item_id or ""), UNKNOWN)) for chat in found]
    return [replace(chat, item_title=item.title, item_picture=item.picture) for chat, item in pairs]


def _newest(
    connection: Connection,
    mine: Select[Any],
    account_ids: Collection[str],
    only: ChatFilter,
    *,
    before_ms: int | None,
    limit: int,
) -> list[Chat]:
    """Read a page of the chats of many accounts from the time on since which they have enough.

    With a filter, chats since a time may be too few: then all are looked at.
    """
    last_at = chats.c.last_at_ms
    for times in () if only.chat_id is not None else (1,) if only.is_everything else _LOOKED_AT:
        rows = times * limit
        since_ms = newest_since(connection, chats.c.account_id, last_at, account_ids, before_ms=before_ms, rows=rows)
        if since_ms is None:
            break
        some = mine.where(last_at >= since_ms).limit(limit)
        found = [_chat(row) for row in connection.execute(some).mappings()]
        if len(found) == limit or only.is_everything:
            return found
    return [_chat(row) for row in connection.execute(mine.limit(limit)).mappings()]


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
    """Delete chats without messages since then with the work on them, takeovers that ended before, and older notes and
    entries of the work on other chats, at most ``rows`` of each at once.
    """
    for table, time_ms in ((chats, chats.c.last_at_ms), (takeovers, takeovers.c.until_ms)):
        while await _forget(database, table, time_ms < moment_ms, rows) == rows:
            pass
    await delete_in_steps(database, chat_notes, chat_notes.c.created_at_ms < moment_ms, rows)
    await delete_in_steps(database, chat_events, chat_events.c.at_ms < moment_ms, rows)


async def _forget(database: Database, table: Table, old: ColumnElement[bool], rows: int) -> int:
    """Delete some of the old rows, which are looked for on a reader. Return how many were found."""
    query = select(table.c.account_id, table.c.chat_id).where(old).limit(rows)
    keys = await database.read(lambda connection: connection.execute(query).all())
    accounts, names = ({key[place] for key in keys} for place in (0, 1))

    def job(connection: Connection) -> None:
        for one in (table, *(_OF_CHAT if table is chats else ())):
            gone = old if one is table else ~exists().where(of_chat(one))
            step = delete(one).where(among(one.c.account_id, accounts), among(one.c.chat_id, names), gone)
            connection.execute(step)

    if keys:
        await database.write(job)
    return len(keys)


def note(connection: Connection, latest: Iterable[Chat]) -> None:
    """Update the list with messages, in any order of arrival."""
    for chat in latest:
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
        "heard": chats.c.heard + new.heard,
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
        "heard": chat.received,
    }


def _chat(row: Mapping[Any, Any]) -> Chat:
    values = dict(row)
    values["received"] = values.pop("heard")
    values["waits"] = bool(values["waits"])
    reason = values.pop("pause_reason")
    values["status"] = WorkStatus(values["status"])
    if values["status"] is not WorkStatus.SNOOZED:
        values["snoozed_until_ms"] = None
    for name in ("pause_actor", "assignee"):
        values[name] = values[name] or ""
    return Chat(**values, pause_reason=TakeoverReason(reason) if reason else None)
