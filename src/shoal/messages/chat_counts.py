"""How many chats wait for a person: counted up to a limit, by the indexes that hold only such chats."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Select, func, select, text

from shoal.messages.chat_status import Reader, WorkStatus, is_unread, of_chat, seen_by, status, waits
from shoal.storage.among import among, kept_of
from shoal.storage.chat_tables import SNOOZED, chat_seen, chat_work, chats
from shoal.storage.database import Database
from shoal.storage.newest_rows import newest_since

MOST_COUNTED: Final = 100
"""More are not counted: then the number means so many or more."""
UNREAD_MS: Final = 30 * 86_400_000
"""Unread messages of chats without a message in this time are not counted."""
MOST_LOOKED_AT: Final = 2_000
"""About so many chats, the most recently active of all accounts, are looked at for unread messages."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatCounts:
    """How many chats wait for a person, have messages that the reader has not seen, are the reader's, are put off."""

    waiting: int
    unread: int
    mine: int
    snoozed: int


async def count_chats(database: Database, account_ids: Collection[str], reader: Reader, *, now_ms: int) -> ChatCounts:
    """Count the chats of the accounts, each number up to ``MOST_COUNTED``."""
    of_accounts = among(chats.c.account_id, account_ids)
    of_kept = kept_of(chats.c.account_id, account_ids)
    worked_on = select(chat_work.c.chat_id).join(chats, of_chat(chat_work)).where(of_kept)
    is_snoozed = status(now_ms) == WorkStatus.SNOOZED.value
    asked: dict[str, Select[Any]] = {
        "waiting": select(chats.c.chat_id).outerjoin(chat_work, of_chat(chat_work)).where(of_accounts, waits(now_ms)),
        "unread": select(chats.c.chat_id).outerjoin(chat_seen, seen_by(reader)).where(of_accounts, is_unread(reader)),
        "mine": worked_on.where(chat_work.c.assignee_id == reader.user_id, status(now_ms) == WorkStatus.OPEN.value),
        "snoozed": worked_on.where(text(SNOOZED), chat_work.c.until_ms > now_ms, is_snoozed),
    }

    def job(connection: Connection) -> ChatCounts:
        last_at = chats.c.last_at_ms
        since_ms = newest_since(
            connection, chats.c.account_id, last_at, account_ids, before_ms=None, rows=MOST_LOOKED_AT
        )
        newest = last_at >= max(now_ms - UNREAD_MS, since_ms or 0)
        asked["unread"] = asked["unread"].where(newest)
        return ChatCounts(**{name: _counted(connection, query) for name, query in asked.items()})

    return await database.read(job)


def _counted(connection: Connection, query: Select[Any]) -> int:
    some = query.limit(MOST_COUNTED).subquery()
    return connection.scalar(select(func.count()).select_from(some)) or 0
