"""The tables of language models: providers and how they fare, what was asked, and what it cost.

Revision ID: 0025
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_OPEN = sa.text("state IN ('asked', 'drafted')")


def upgrade() -> None:
    _providers()
    _usage()
    _runs()


def _providers() -> None:
    op.create_table(
        "ai_providers",
        sa.Column("id", _ROW_ID, autoincrement=True, nullable=False),
        sa.Column("owner_id", _ROW_ID, nullable=False),
        _text("name"),
        _text("kind", "openai"),
        sa.Column("settings_sealed", sa.LargeBinary(), nullable=False),
        _text("host"),
        _text("model"),
        _number("price_in_fen"),
        _number("price_out_fen"),
        _number("calls_per_minute", 30),
        sa.Column("fen_per_day", sa.Integer(), nullable=True),
        _text("consented_host"),
        sa.Column("consented_at_ms", sa.BigInteger(), nullable=True),
        _number("version", 1),
        _count("created_at_ms"),
        _count("changed_at_ms"),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name="fk_ai_providers_owner_id_users", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_ai_providers"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_ai_providers_owner_id", "ai_providers", ["owner_id"])
    op.create_table(
        "ai_provider_states",
        sa.Column("provider_id", _ROW_ID, autoincrement=False, nullable=False),
        _number("failures"),
        sa.Column("failing_since_ms", sa.BigInteger(), nullable=True),
        _count("resting_until_ms"),
        _number("rests"),
        _text("last_error"),
        _count("minute_began_ms"),
        _number("minute_calls"),
        sa.ForeignKeyConstraint(
            ["provider_id"],
            ["ai_providers.id"],
            name="fk_ai_provider_states_provider_id_ai_providers",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("provider_id", name="pk_ai_provider_states"),
    )


def _usage() -> None:
    op.create_table(
        "ai_usage",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("provider_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        _number("calls"),
        _count("tokens_in"),
        _count("tokens_out"),
        _count("cost_microfen"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_ai_usage_account_id_accounts"),
        sa.PrimaryKeyConstraint("account_id", "provider_id", "day", name="pk_ai_usage"),
    )
    op.create_index("ix_ai_usage_provider", "ai_usage", ["provider_id", "day"])


def _runs() -> None:
    op.create_table(
        "ai_runs",
        sa.Column("id", _ROW_ID, autoincrement=True, nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        _text("chat_id"),
        _text("buyer_id"),
        _text("message_ids", "[]"),
        _text("item_id"),
        _count("provider_id"),
        _text("model"),
        _text("prompt_hash"),
        _text("mode", "draft"),
        _text("state", "asked"),
        _text("why"),
        _text("rail"),
        _number("tokens_in"),
        _number("tokens_out"),
        _count("cost_microfen"),
        _number("duration_ms"),
        sa.Column("offered_fen", sa.BigInteger(), nullable=True),
        _text("text"),
        _text("raw"),
        _text("actor"),
        sa.Column("outbox_id", sa.BigInteger(), nullable=True),
        _count("created_at_ms"),
        sa.Column("decided_at_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_ai_runs_account_id_accounts"),
        sa.PrimaryKeyConstraint("id", name="pk_ai_runs"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_ai_runs_account", "ai_runs", ["account_id", "id"])
    op.create_index("ix_ai_runs_chat", "ai_runs", ["account_id", "chat_id", "id"])
    where: dict[str, Any] = {"sqlite_where": _OPEN, "postgresql_where": _OPEN}
    op.create_index("ix_ai_runs_open", "ai_runs", ["account_id", "chat_id"], **where)
    op.create_index("ix_ai_runs_created_at_ms", "ai_runs", ["created_at_ms"])


def _text(name: str, default: str = "") -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default=default, nullable=False)


def _number(name: str, default: int = 0) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default=str(default), nullable=False)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False)
