"""Notes of people about a chat. They are never sent; they go with the chat, its buyer, its account."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
from sqlalchemy import Connection, delete, func, select

from shoal.accounts.events import MessageEvent, Publish, publish_nothing
from shoal.clock import now_ms
from shoal.errors import Conflict, Forbidden, NotFound
from shoal.messages.chat_work import WorkEntry, chat_event, find_work, note_entry
from shoal.storage.chat_tables import chat_notes
from shoal.storage.database import Database
from shoal.storage.upserts import insert_new

LONGEST_NOTE: Final = 2_000
MOST_NOTES: Final = 200
"""How many notes a chat may have."""


class UnknownNote(NotFound):
    """The chat has no note of that id."""

    code = "unknown_note"


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """One note. ``author_id`` is ``None`` when the user was removed since; ``author`` is the name then."""

    id: int
    account_id: str
    chat_id: str
    author_id: int | None
    author: str
    text: str
    created_at_ms: int


_COLUMNS = [column for column in chat_notes.c if column.name != "op_id"]


class ChatNotes:
    """Reads, adds and deletes notes."""

    def __init__(
        self, database: Database, *, now_ms: Callable[[], int] = now_ms, publish: Publish = publish_nothing
    ) -> None:
        self._database = database
        self._now_ms = now_ms
        self._publish = publish

    async def list(self, account_id: str, chat_id: str) -> list[Note]:
        """Return the notes of a chat, the oldest first."""
        query = (
            select(*_COLUMNS)
            .where(chat_notes.c.account_id == account_id, chat_notes.c.chat_id == chat_id)
            .order_by(chat_notes.c.id)
        )
        return await self._database.read(
            lambda connection: [Note(**row) for row in connection.execute(query).mappings()]
        )

    async def add(self, account_id: str, chat_id: str, text: str, *, author_id: int, author: str, op_id: str) -> Note:
        """Add a note; the same op adds one. Raises ``UnknownChat``, and ``Conflict`` (``too_many_notes``)."""
        now, actor = self._now_ms(), f"user:{author}"
        row = {
            "account_id": account_id,
            "chat_id": chat_id,
            "author_id": author_id,
            "author": author,
            "text": text,
            "created_at_ms": now,
            "op_id": op_id,
        }

        def job(connection: Connection) -> tuple[Note, bool]:
            find_work(connection, account_id, chat_id, now)
            new = insert_new(connection, chat_notes, "op_id").returning(chat_notes.c.id)
            added = connection.execute(new, row).first() is not None
            mine = (chat_notes.c.account_id == account_id, chat_notes.c.chat_id == chat_id)
            count = connection.scalar(select(func.count()).where(*mine)) or 0
            if added and count > MOST_NOTES:
                raise Conflict("the chat has many notes", code="too_many_notes", limit=MOST_NOTES)
            if added:
                note_entry(connection, account_id, chat_id, WorkEntry(at_ms=now, actor=actor, what="note"))
            found = connection.execute(select(*_COLUMNS).where(chat_notes.c.op_id == op_id)).mappings().one()
            return Note(**found), added

        def publish(made: tuple[Note, bool]) -> None:
            if made[1]:
                self._publish(_event(account_id, chat_id, actor, now))

        note, _ = await self._database.write(job, on_commit=publish)
        return note

    async def delete(
        self, account_id: str, chat_id: str, note_id: int, *, user_id: int, actor: str, owns: bool
    ) -> None:
        """Delete a note of the user, or any for who owns the account. Raises ``UnknownNote`` and ``Forbidden``."""
        now = self._now_ms()
        mine = (
            chat_notes.c.id == note_id,
            chat_notes.c.account_id == account_id,
            chat_notes.c.chat_id == chat_id,
        )

        def job(connection: Connection) -> None:
            row = connection.execute(select(chat_notes.c.author_id).where(*mine)).one_or_none()
            if row is None:
                raise UnknownNote
            if row.author_id != user_id and not owns:
                raise Forbidden("the note is another user's", code="not_your_note")
            connection.execute(delete(chat_notes).where(*mine))
            note_entry(connection, account_id, chat_id, WorkEntry(at_ms=now, actor=actor, what="note_deleted"))

        await self._database.write(job, on_commit=lambda _: self._publish(_event(account_id, chat_id, actor, now)))


def _event(account_id: str, chat_id: str, actor: str, at_ms: int) -> MessageEvent:
    return chat_event(account_id, {"chat": chat_id, "what": "note", "actor": actor}, at_ms)
