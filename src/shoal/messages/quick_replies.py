"""Quick replies: texts that people insert in a chat, of one shop or of all shops of an owner."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, delete, func, or_, select, update

from shoal.errors import Conflict, NotFound, UnknownAccount
from shoal.storage.among import among
from shoal.storage.chat_tables import quick_replies
from shoal.storage.database import Database
from shoal.storage.schema import accounts
from shoal.storage.upserts import insert_new
from shoal.storage.user_tables import users

MOST_QUICK_REPLIES: Final = 200
"""How many an owner may have, those of single shops among them."""


class UnknownQuickReply(NotFound):
    """There is no such quick reply, or the caller may not see it (the answer is the same)."""

    code = "unknown_quick_reply"


@dataclass(frozen=True, kw_only=True, slots=True)
class QuickReply:
    """One text. ``account_id`` is ``None`` when it is for all shops of the owner. ``shortcut`` may be empty.

    ``owner``: the owner's name, when it was read.
    """

    id: int = 0
    owner_id: int
    account_id: str | None
    shortcut: str
    text: str
    position: int = 0
    owner: str = ""


class QuickReplies:
    """Reads and changes quick replies."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, owner_ids: Collection[int], account_ids: Collection[str]) -> list[QuickReply]:
        """Return those of all shops of these owners, and those of these accounts, in the order of their positions."""
        table = quick_replies.c
        for_all = and_(table.account_id.is_(None), among(table.owner_id, owner_ids))
        query = _SELECTED.where(or_(for_all, among(table.account_id, account_ids)))
        query = query.order_by(table.position, table.id)
        return await self._database.read(
            lambda connection: [QuickReply(**row) for row in connection.execute(query).mappings()]
        )

    async def find(self, reply_id: int) -> QuickReply:
        """Return one. Raises ``UnknownQuickReply``."""
        return await self._database.read(lambda connection: _one(connection, quick_replies.c.id == reply_id))

    async def add(self, new: QuickReply, position: int | None, op_id: str) -> QuickReply:
        """Add one, without a position as the last; the same op adds one.

        Raises ``Conflict`` (``too_many_quick_replies``), and ``UnknownAccount`` when its account was removed.
        """
        mine = quick_replies.c.owner_id == new.owner_id

        def job(connection: Connection) -> QuickReply:
            _keep_account(connection, new.account_id)
            last = select(func.max(quick_replies.c.position)).where(mine)
            place = (connection.scalar(last) or 0) + 1 if position is None else position
            row = _row(new, place) | {"owner_id": new.owner_id, "op_id": op_id}
            fresh = insert_new(connection, quick_replies, "op_id").returning(quick_replies.c.id)
            added = connection.execute(fresh, row).first() is not None
            count = connection.scalar(select(func.count()).where(mine)) or 0
            if added and count > MOST_QUICK_REPLIES:
                raise Conflict(
                    "the owner has many quick replies", code="too_many_quick_replies", limit=MOST_QUICK_REPLIES
                )
            return _one(connection, quick_replies.c.op_id == op_id)

        return await self._database.write(job)

    async def change(self, reply_id: int, new: QuickReply, position: int | None) -> QuickReply:
        """Replace one; without a position it keeps its place. Raises ``UnknownQuickReply``, ``UnknownAccount``."""
        mine = quick_replies.c.id == reply_id

        def job(connection: Connection) -> QuickReply:
            _keep_account(connection, new.account_id)
            connection.execute(update(quick_replies).where(mine).values(**_row(new, position)))
            return _one(connection, mine)

        return await self._database.write(job)

    async def delete(self, reply_id: int) -> None:
        """Delete one. Raises ``UnknownQuickReply``."""

        def job(connection: Connection) -> None:
            if connection.execute(delete(quick_replies).where(quick_replies.c.id == reply_id)).rowcount == 0:
                raise UnknownQuickReply

        await self._database.write(job)


_SELECTED = select(
    *(column for column in quick_replies.c if column.name != "op_id"), users.c.username.label("owner")
).join(users, users.c.id == quick_replies.c.owner_id)


def _keep_account(connection: Connection, account_id: str | None) -> None:
    """Keep an account from being purged until the transaction ends. Raise ``UnknownAccount`` for a removed one.

    A row that came after the purge would be there for who takes the id next.
    """
    there = select(accounts.c.id).where(accounts.c.id == account_id, ~accounts.c.deleted).with_for_update(read=True)
    if account_id is not None and connection.scalar(there) is None:
        raise UnknownAccount(account_id)


def _one(connection: Connection, where: ColumnElement[bool]) -> QuickReply:
    row = connection.execute(_SELECTED.where(where)).mappings().one_or_none()
    if row is None:
        raise UnknownQuickReply
    return QuickReply(**row)


def _row(new: QuickReply, position: int | None) -> dict[str, Any]:
    row: dict[str, Any] = {"account_id": new.account_id, "shortcut": new.shortcut, "text": new.text}
    return row if position is None else row | {"position": position}
