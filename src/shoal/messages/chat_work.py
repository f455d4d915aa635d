"""The work of people on chats: who cares for one, whether it is done or put off, and what each user has seen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, Select, case, func, insert, select, text

from shoal.accounts.events import MessageEvent, Publish, publish_nothing
from shoal.clock import now_ms
from shoal.errors import Conflict, NotFound
from shoal.messages.chat_status import MOST_UNREAD, NO_ASSIGNEE, WorkStatus, of_chat, status
from shoal.storage.chat_tables import SNOOZED, chat_events, chat_seen, chat_work, chats
from shoal.storage.database import Database
from shoal.storage.upserts import insert_or
from shoal.storage.user_tables import users

MOST_ENTRIES = 50
"""So many entries of a chat's history are returned."""


class UnknownChat(NotFound):
    """The account has no chat of that id, or none with messages."""

    code = "unknown_chat"


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """The work on a chat as it is now. ``received``: how many messages the buyer has written.

    ``assignee``: a user name, or empty.
    """

    account_id: str
    chat_id: str
    received: int = 0
    status: WorkStatus = WorkStatus.OPEN
    until_ms: int | None = None
    assignee: str = ""


class WorkChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be changed; ``None`` leaves it as it is. ``assignee_id`` may be ``NO_ASSIGNEE``.

    ``received``: how many of the buyer's messages the person saw who calls the chat done or puts it off.
    """

    status: WorkStatus | None = None
    until_ms: int | None = None
    assignee_id: int | None = None
    received: int | None = None


class WorkEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One change: of the ``status`` (``until_ms``: put off until then), the ``assignee``, or of a ``note``."""

    at_ms: int
    actor: str
    what: str
    before: str = ""
    after: str = ""
    until_ms: int | None = None


class ChatWork:
    """Reads and changes the work on chats, on any server: the last change wins."""

    def __init__(
        self, database: Database, *, now_ms: Callable[[], int] = now_ms, publish: Publish = publish_nothing
    ) -> None:
        self._database = database
        self._now_ms = now_ms
        self._publish = publish

    async def of(self, account_id: str, chat_id: str) -> tuple[Work, list[WorkEntry]]:
        """Return the work on a chat and its newest changes. Raises ``UnknownChat``."""
        now = self._now_ms()
        return await self._database.read(
            lambda connection: (
                find_work(connection, account_id, chat_id, now),
                _entries(connection, account_id, chat_id),
            )
        )

    async def change(self, account_id: str, chat_id: str, change: WorkChange, actor: str) -> Work:
        """Change the work on a chat, and note who did what. Nothing is stored when nothing differs.

        Raises ``UnknownChat``, and ``Conflict`` (``buyer_wrote_since``) when the buyer has written what the person who
        calls the chat done, or puts it off, has not seen.
        """
        now = self._now_ms()

        def job(connection: Connection) -> tuple[Work, Work]:
            before = find_work(connection, account_id, chat_id, now)
            closes = change.status not in {None, WorkStatus.OPEN}
            if closes and change.received is not None and before.received > change.received:
                raise Conflict("the buyer has written since", code="buyer_wrote_since", received=before.received)
            _store(connection, before, change)
            after = find_work(connection, account_id, chat_id, now)
            _note_changes(connection, before, after, actor, now)
            return before, after

        def publish(works: tuple[Work, Work]) -> None:
            if works[0] != works[1]:
                self._publish(work_event(works[1], "work", actor, now))

        _, after = await self._database.write(job, on_commit=publish)
        return after

    async def see(self, account_id: str, chat_id: str, *, user_id: int, received: int, actor: str) -> tuple[int, int]:
        """Note that a user has seen so many of the buyer's messages; it never goes back.

        Return how many there are and how many the user has not seen. Raises ``UnknownChat``.
        """
        there, seen = await self._database.read(lambda connection: _seen(connection, account_id, chat_id, user_id))
        if (now_seen := min(received, there)) > seen:
            seen = now_seen
            await self._database.write(
                lambda connection: _see(connection, account_id, chat_id, user_id, seen),
                on_commit=lambda _: self._publish(_seen_event(account_id, chat_id, seen, actor, self._now_ms())),
            )
        return there, min(there - seen, MOST_UNREAD)


def find_work(connection: Connection, account_id: str, chat_id: str, now: int) -> Work:
    """Return the work on a chat as it is now. Raises ``UnknownChat``."""
    query = works(now).where(chats.c.account_id == account_id, chats.c.chat_id == chat_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise UnknownChat
    return work_of(row)


def works(now: int) -> Select[Any]:
    """Select the work on chats as it is now, for ``work_of``."""
    columns = (chats.c.account_id, chats.c.chat_id, chats.c.heard, chat_work.c.until_ms, users.c.username)
    return (
        select(*columns, status(now).label("status"))
        .select_from(chats)
        .outerjoin(chat_work, of_chat(chat_work))
        .outerjoin(users, users.c.id == chat_work.c.assignee_id)
    )


def work_of(row: Row[Any]) -> Work:
    """Return the work of a row of ``works``."""
    is_snoozed = row.status == WorkStatus.SNOOZED.value
    return Work(
        account_id=row.account_id,
        chat_id=row.chat_id,
        received=row.heard,
        status=WorkStatus(row.status),
        until_ms=row.until_ms if is_snoozed else None,
        assignee=row.username or "",
    )


def note_entry(connection: Connection, account_id: str, chat_id: str, entry: WorkEntry) -> None:
    """Add an entry to a chat's history."""
    names = ("at_ms", "actor", "what", "before", "after", "until_ms")
    values = {name: getattr(entry, name) for name in names}
    connection.execute(insert(chat_events).values(account_id=account_id, chat_id=chat_id, **values))


def work_event(work: Work, what: str, actor: str, at_ms: int) -> MessageEvent:
    """Return the event that the work on a chat is so now."""
    facts = {
        "chat": work.chat_id,
        "what": what,
        "actor": actor,
        "status": work.status.value,
        "snoozed_until_ms": work.until_ms,
        "assignee": work.assignee or None,
    }
    return chat_event(work.account_id, facts, at_ms)


def chat_event(account_id: str, facts: dict[str, Any], at_ms: int) -> MessageEvent:
    """Return an event about a chat, which takes the place of an earlier one about the same."""
    key = "/".join(str(facts[name]) for name in ("chat", "what", "actor"))
    return MessageEvent(account_id=account_id, kind="chat", key=key, facts=facts, at_ms=at_ms)


def _seen_event(account_id: str, chat_id: str, received: int, actor: str, at_ms: int) -> MessageEvent:
    return chat_event(account_id, {"chat": chat_id, "what": "seen", "actor": actor, "received": received}, at_ms)


def _store(connection: Connection, before: Work, change: WorkChange) -> None:
    values: dict[str, Any] = {}
    wanted = (change.status, change.until_ms)
    if change.status is not None and wanted != (before.status, before.until_ms):
        seen = before.received if change.received is None else min(change.received, before.received)
        values = {"status": change.status.value, "until_ms": change.until_ms, "heard": seen}  # later messages open it
    if change.assignee_id is not None:
        values["assignee_id"] = None if change.assignee_id == NO_ASSIGNEE else change.assignee_id
    if values:
        row = insert_or(connection, chat_work).values(account_id=before.account_id, chat_id=before.chat_id, **values)
        connection.execute(row.on_conflict_do_update(index_elements=list(chat_work.primary_key), set_=values))


def _note_changes(connection: Connection, before: Work, after: Work, actor: str, now: int) -> None:
    if (before.status, before.until_ms) != (after.status, after.until_ms):
        entry = WorkEntry(
            at_ms=now,
            actor=actor,
            what="status",
            before=before.status.value,
            after=after.status.value,
            until_ms=after.until_ms,
        )
        note_entry(connection, after.account_id, after.chat_id, entry)
    if before.assignee != after.assignee:
        entry = WorkEntry(at_ms=now, actor=actor, what="assignee", before=before.assignee, after=after.assignee)
        note_entry(connection, after.account_id, after.chat_id, entry)


def _entries(connection: Connection, account_id: str, chat_id: str) -> list[WorkEntry]:
    table = chat_events.c
    query = (
        select(table.at_ms, table.actor, table.what, table.before, table.after, table.until_ms)
        .where(table.account_id == account_id, table.chat_id == chat_id)
        .order_by(table.id.desc())
        .limit(MOST_ENTRIES)
    )
    return [WorkEntry(**row) for row in connection.execute(query).mappings()]


def _seen(connection: Connection, account_id: str, chat_id: str, user_id: int) -> tuple[int, int]:
    mine = (of_chat(chat_seen), chat_seen.c.user_id == user_id)
    query = (
        select(chats.c.heard, func.coalesce(chat_seen.c.heard, 0))
        .select_from(chats)
        .outerjoin(chat_seen, mine[0] & mine[1])
        .where(chats.c.account_id == account_id, chats.c.chat_id == chat_id)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        raise UnknownChat
    return row[0], row[1]


def _see(connection: Connection, account_id: str, chat_id: str, user_id: int, seen: int) -> None:
    """Store what was seen, unless the chat is gone by now: its rows were deleted with it."""
    there = select(chats.c.heard).where(chats.c.account_id == account_id, chats.c.chat_id == chat_id)
    if connection.scalar(there) is None:
        return
    row = insert_or(connection, chat_seen).values(user_id=user_id, account_id=account_id, chat_id=chat_id, heard=seen)
    later = case((row.excluded.heard > chat_seen.c.heard, row.excluded.heard), else_=chat_seen.c.heard)
    connection.execute(row.on_conflict_do_update(index_elements=list(chat_seen.primary_key), set_={"heard": later}))


LOOK_SECONDS: Final = 30.0
"""How often it is asked which ended: one look-up in an index that holds only snoozed chats."""


class SnoozeEnds:
    """Looks for what ended since the last look; what ended while no server ran is not reported."""

    def __init__(
        self,
        database: Database,
        publish: Publish,
        *,
        now_ms: Callable[[], int] = now_ms,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._database = database
        self._publish = publish
        self._now_ms = now_ms
        self._look_seconds = look_seconds

    async def run(self) -> None:
        """Tell of ended snoozes until this is cancelled."""
        published_ms = self._now_ms()
        while True:
            await asyncio.sleep(self._look_seconds)
            published_ms = await self.publish_ended(published_ms)

    async def publish_ended(self, after_ms: int) -> int:
        """Report the snoozes that ended after that time. Return up to when all are reported."""
        now = self._now_ms()
        for work, until_ms in await self._database.read(partial(_ended, after_ms=after_ms, now=now)):
            self._publish(work_event(work, "snooze_ended", "", until_ms))
        return max(now, after_ms)


def _ended(connection: Connection, *, after_ms: int, now: int) -> list[tuple[Work, int]]:
    """Return the chats that were put off until a time since then, unless the buyer has written before it."""
    until = chat_work.c.until_ms
    query = works(now).where(text(SNOOZED), until > after_ms, until <= now, chat_work.c.heard >= chats.c.heard)
    return [(work_of(row), row.until_ms) for row in connection.execute(query.order_by(until))]
