"""The work on chats: who cares for which, notes, what each user has seen, and quick replies.

Revision ID: 0033
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None
kind = "additive"


def upgrade() -> None:
    op.add_column("chats", _number("heard"))
    op.create_index(
        "ix_chats_asked",
        "chats",
        ["account_id", "last_at_ms"],
        sqlite_where=sa.text("last_direction = 'in'"),
        postgresql_where=sa.text("last_direction = 'in'"),
    )
    op.create_table(
        "chat_work",
        _name("account_id"),
        _name("chat_id"),
        _text("status", "open"),
        sa.Column("until_ms", sa.BigInteger(), nullable=True),
        _number("heard"),
        sa.Column("assignee_id", _row_id(), nullable=True),
        _of_account("chat_work"),
        sa.ForeignKeyConstraint(
            ["assignee_id"], ["users.id"], name="fk_chat_work_assignee_id_users", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("account_id", "chat_id", name="pk_chat_work"),
    )
    op.create_index("ix_chat_work_assignee_id", "chat_work", ["assignee_id"])
    op.create_index(
        "ix_chat_work_snoozed",
        "chat_work",
        ["until_ms"],
        sqlite_where=sa.text("status = 'snoozed'"),
        postgresql_where=sa.text("status = 'snoozed'"),
    )
    op.create_table(
        "chat_seen",
        sa.Column("user_id", _row_id(), nullable=False),
        _name("account_id"),
        _name("chat_id"),
        _number("heard"),
        _of_account("chat_seen"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_chat_seen_user_id_users", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "account_id", "chat_id", name="pk_chat_seen"),
    )
    op.create_index("ix_chat_seen_account_id", "chat_seen", ["account_id", "chat_id"])
    _notes_and_events()
    _quick_replies()


def _notes_and_events() -> None:
    op.create_table(
        "chat_notes",
        sa.Column("id", _row_id(), autoincrement=True, nullable=False),
        _name("account_id"),
        _name("chat_id"),
        sa.Column("author_id", _row_id(), nullable=True),
        _text("author"),
        _text("text"),
        _number("created_at_ms"),
        sa.Column("op_id", sa.Text(), nullable=True),
        _of_account("chat_notes"),
        sa.ForeignKeyConstraint(["author_id"], ["users.id"], name="fk_chat_notes_author_id_users", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_chat_notes"),
        sa.UniqueConstraint("op_id", name="uq_chat_notes_op_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_chat_notes_chat", "chat_notes", ["account_id", "chat_id"])
    op.create_table(
        "chat_events",
        sa.Column("id", _row_id(), autoincrement=True, nullable=False),
        _name("account_id"),
        _name("chat_id"),
        _number("at_ms"),
        _text("actor"),
        _text("what"),
        _text("before"),
        _text("after"),
        sa.Column("until_ms", sa.BigInteger(), nullable=True),
        _of_account("chat_events"),
        sa.PrimaryKeyConstraint("id", name="pk_chat_events"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_chat_events_chat", "chat_events", ["account_id", "chat_id"])


def _quick_replies() -> None:
    op.create_table(
        "quick_replies",
        sa.Column("id", _row_id(), autoincrement=True, nullable=False),
        sa.Column("owner_id", _row_id(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=True),
        _text("shortcut"),
        _text("text"),
        sa.Column("position", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("op_id", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name="fk_quick_replies_owner_id_users", ondelete="CASCADE"),
        _of_account("quick_replies"),
        sa.PrimaryKeyConstraint("id", name="pk_quick_replies"),
        sa.UniqueConstraint("op_id", name="uq_quick_replies_op_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_quick_replies_owner_id", "quick_replies", ["owner_id"])
    op.create_index("ix_quick_replies_account_id", "quick_replies", ["account_id"])


def _row_id() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _name(column: str) -> sa.Column[str]:
    return sa.Column(column, sa.Text(), nullable=False)


def _text(column: str, default: str = "") -> sa.Column[str]:
    return sa.Column(column, sa.Text(), server_default=default, nullable=False)


def _number(column: str) -> sa.Column[int]:
    return sa.Column(column, sa.BigInteger(), server_default=sa.text("0"), nullable=False)


def _of_account(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=f"fk_{table}_account_id_accounts")
