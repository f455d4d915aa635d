"""The chats of all accounts: buyer, item, last message, takeover."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    Connection,
    RowMapping,
    ScalarSelect,
    and_,
    case,
    func,
    null,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from shoal.messages.takeovers import TakeoverReason
from shoal.storage.database import Database
from shoal.storage.schema import chats, messages, takeovers
from shoal.storage.upserts import insert_for, insert_or

LONGEST_EXCERPT = 200
"""How many characters of the last message the list keeps."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chat:
    """One chat. ``read_at_ms``: when the buyer last read our messages, as far as the site reported it.

    ``pause_reason`` is empty unless a takeover lasts until ``paused_until_ms``. ``found_text`` is the newest message
    that matches a search.
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

    @property
    def cursor(self) -> tuple[int, str, str]:
        """Return this chat's place in a list, newest first."""
        return (self.last_at_ms, self.account_id, self.chat_id)


_PLACE = tuple_(chats.c.last_at_ms, chats.c.account_id, chats.c.chat_id)
_IDS = (chats.c.chat_id, chats.c.buyer_id, chats.c.item_id)
_FROM_BUYER = "in"
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

        ``waiting``: only chats whose last message is, or is not, the buyer's. ``query`` is searched literally, ignoring
        case, in message texts and sender names, and compared with the ids of chat, buyer and item.
        """
        holds = and_(
            takeovers.c.account_id == chats.c.account_id,
            takeovers.c.chat_id == chats.c.chat_id,
            takeovers.c.until_ms > now_ms,
        )
        found = _found(query) if query else None
        statement = (
            select(
                chats,
                (null() if found is None else found).label("found_text"),
                takeovers.c.until_ms.label("paused_until_ms"),
                takeovers.c.reason.label("pause_reason"),
                takeovers.c.actor.label("pause_actor"),
            )
            .outerjoin(takeovers, holds)
            .where(chats.c.account_id.in_(list(account_ids)))
        )
        if found is not None:
            statement = statement.where(or_(found.is_not(None), *(column == query for column in _IDS)))
        if chat_id is not None:
            statement = statement.where(chats.c.chat_id == chat_id)
        if paused is not None:
            held = takeovers.c.until_ms
            statement = statement.where(held.is_not(None) if paused else held.is_(None))
        if waiting is not None:
            last = chats.c.last_direction
            statement = statement.where(last == _FROM_BUYER if waiting else last != _FROM_BUYER)
        if before is not None:
            statement = statement.where(tuple_(*before) > _PLACE)
        statement = statement.order_by(*(column.desc() for column in _PLACE)).limit(limit)

        def job(connection: Connection) -> list[Chat]:
            return [_chat(row) for row in connection.execute(statement).mappings()]

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


def _found(query: str) -> ScalarSelect[str]:
    """Select the chat's newest message that contains the query; null without one."""
    return (
        select(messages.c.text)
        .where(
            messages.c.account_id == chats.c.account_id,
            messages.c.chat_id == chats.c.chat_id,
            or_(
                messages.c.text.icontains(query, autoescape=True),
                messages.c.sender_name.icontains(query, autoescape=True),
            ),
        )
        .order_by(messages.c.created_at_ms.desc())
        .limit(1)
        .correlate(chats)
        .scalar_subquery()
    )


def mark_read(connection: Connection, account_id: str, chat_id: str, at_ms: int) -> None:
    """Record that the buyer has read our messages up to then."""
    later = or_(chats.c.read_at_ms.is_(None), chats.c.read_at_ms < at_ms)
    mine = and_(chats.c.account_id == account_id, chats.c.chat_id == chat_id, later)
    connection.execute(update(chats).where(mine).values(read_at_ms=at_ms))


def forget_older_than(connection: Connection, moment_ms: int) -> None:
    """Delete chats without messages since then, and takeovers that ended before."""
    connection.execute(chats.delete().where(chats.c.last_at_ms < moment_ms))
    connection.execute(takeovers.delete().where(takeovers.c.until_ms < moment_ms))


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


def _chat(row: RowMapping) -> Chat:
    values = dict(row)
    reason = values.pop("pause_reason")
    actor = values.pop("pause_actor")
    return Chat(**values, pause_reason=TakeoverReason(reason) if reason else None, pause_actor=actor or "")
