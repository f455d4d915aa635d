"""The tables of chats: the list, takeovers, the work of people on them, notes, and quick replies."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Table, Text, UniqueConstraint, text

from shoal.storage.columns import (
    RowId,
    account_column,
    maybe_time_column,
    metadata,
    number_column,
    text_column,
    time_column,
    user_column,
)

ASKED = "chats.last_direction = 'in'"
"""The chats in which the buyer spoke last; spelled out, because the index is used only for queries with this
condition."""

SNOOZED = "chat_work.status = 'snoozed'"
"""The chats that were put off; spelled out like ``ASKED``."""


def _someone(name: str) -> Column[int]:
    """A user who may be gone: then the column is NULL."""
    return Column(name, RowId, ForeignKey("users.id", ondelete="SET NULL"), nullable=True)


def _op_column() -> Column[str]:
    """The op that added the row, so that a repeated request adds none."""
    return Column("op_id", Text, nullable=True)


chats = Table(
    "chats",
    metadata,
    account_column(primary_key=True),
    Column("chat_id", Text, primary_key=True),
    text_column("buyer_id"),
    text_column("buyer_name"),
    Column("item_id", Text, nullable=True),
    time_column("last_at_ms"),
    text_column("last_text"),
    text_column("last_direction"),
    maybe_time_column("read_at_ms"),
    Column("heard", BigInteger, nullable=False, server_default=text("0")),
    Index("ix_chats_time", "account_id", "last_at_ms"),
    Index(
        "ix_chats_asked",
        "account_id",
        "last_at_ms",
        sqlite_where=text("last_direction = 'in'"),
        postgresql_where=text("last_direction = 'in'"),
    ),
)
"""``heard``: how many messages the buyer has written in the chat (``received`` of ``Chat``). It only grows."""

takeovers = Table(
    "chat_pauses",
    metadata,
    account_column(primary_key=True),
    Column("chat_id", Text, primary_key=True),
    text_column("reason"),
    text_column("actor"),
    time_column("since_ms"),
    time_column("until_ms"),
)

chat_work = Table(
    "chat_work",
    metadata,
    account_column(primary_key=True),
    Column("chat_id", Text, primary_key=True),
    text_column("status", "open"),
    maybe_time_column("until_ms"),
    Column("heard", BigInteger, nullable=False, server_default=text("0")),
    _someone("assignee_id"),
    Index("ix_chat_work_assignee_id", "assignee_id"),
    Index(
        "ix_chat_work_snoozed",
        "until_ms",
        sqlite_where=text("status = 'snoozed'"),
        postgresql_where=text("status = 'snoozed'"),
    ),
)
"""What a person decided about a chat. ``heard``: how many of the buyer's messages were there then; with a later one,
the chat is open again. A chat without a row is open and has no assignee."""

chat_seen = Table(
    "chat_seen",
    metadata,
    user_column(primary_key=True),
    account_column(primary_key=True),
    Column("chat_id", Text, primary_key=True),
    Column("heard", BigInteger, nullable=False, server_default=text("0")),
    Index("ix_chat_seen_account_id", "account_id", "chat_id"),
)
"""How many of the buyer's messages in a chat a user has seen."""

chat_notes = Table(
    "chat_notes",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    account_column(),
    Column("chat_id", Text, nullable=False),
    _someone("author_id"),
    text_column("author"),
    text_column("text"),
    time_column("created_at_ms"),
    _op_column(),
    Index("ix_chat_notes_chat", "account_id", "chat_id"),
    UniqueConstraint("op_id"),
    sqlite_autoincrement=True,
)
"""Notes of people about a chat. They are never sent."""

chat_events = Table(
    "chat_events",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    account_column(),
    Column("chat_id", Text, nullable=False),
    time_column("at_ms"),
    text_column("actor"),
    text_column("what"),
    text_column("before"),
    text_column("after"),
    maybe_time_column("until_ms"),
    Index("ix_chat_events_chat", "account_id", "chat_id"),
    sqlite_autoincrement=True,
)
"""Who changed what of the work on a chat."""

quick_replies = Table(
    "quick_replies",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    user_column("owner_id"),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=True),
    text_column("shortcut"),
    text_column("text"),
    number_column("position"),
    _op_column(),
    Index("ix_quick_replies_owner_id", "owner_id"),
    Index("ix_quick_replies_account_id", "account_id"),
    UniqueConstraint("op_id"),
    sqlite_autoincrement=True,
)
"""Texts that people insert in a chat: in one shop, or without an account in all shops of the owner."""
