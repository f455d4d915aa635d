"""Richer rules and their hits; chats, pauses and verdicts; positions on the site; what an order is about.

Revision ID: 0003
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _text(name: str, default: str = "") -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default=default, nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default=sa.text("0"), nullable=False)


def _flag(name: str, *, default: bool = False) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), server_default=sa.true() if default else sa.false(), nullable=False)


def _seconds(name: str) -> sa.Column[float]:
    return sa.Column(name, sa.Double(), server_default=sa.text("0"), nullable=False)


def _time(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False)


_COLUMNS: dict[str, tuple[sa.Column[Any], ...]] = {
    "accounts": (
        sa.Column("proxy_sealed", sa.LargeBinary(), nullable=True),
        _text("timezone"),
        sa.Column("buyer_replies_per_hour", sa.Integer(), nullable=True),
        sa.Column("shop_replies_per_minute", sa.Integer(), nullable=True),
        _flag("free_shipping"),
    ),
    "rules": (
        _text("words"),
        _text("word_mode", "any"),
        _text("item_ids"),
        _text("parts"),
        _seconds("delay_min_seconds"),
        _seconds("delay_max_seconds"),
        _number("cooldown_seconds"),
        _flag("active", default=True),
    ),
    "messages": (
        _text("verdict"),
        _text("rule_id"),
        sa.Column("joined_to", sa.Text(), nullable=True),
        _number("repeats"),
    ),
    "outbox": (
        _number("width"),
        _number("height"),
        _number("part"),
        _number("resends"),
        _text("actor"),
        sa.Column("op_id", sa.Text(), nullable=True),
    ),
    "orders": (
        _text("amount"),
        _text("quantity"),
        _text("spec_name"),
        _text("spec_value"),
        _flag("group_price"),
        _text("problem"),
    ),
    "order_events": (
        _text("act"),
        _text("outcome"),
        _text("words"),
        _text("message_id"),
        sa.Column("site_at_ms", sa.BigInteger(), nullable=True),
    ),
}


def upgrade() -> None:
    for table, added in _COLUMNS.items():
        for column in added:
            op.add_column(table, column)
    op.create_index("ix_outbox_buyer", "outbox", ["account_id", "buyer_id", "created_at_ms"], unique=False)
    op.create_index("ix_outbox_time", "outbox", ["account_id", "created_at_ms"], unique=False)
    for name, columns, where in (
        ("ix_outbox_op_id", ["account_id", "op_id"], sa.text("op_id IS NOT NULL")),
        ("ix_outbox_open", ["account_id", "id"], sa.text("outcome IN ('waiting', 'sending', 'uncertain')")),
    ):
        op.create_index(name, "outbox", columns, unique=False, sqlite_where=where, postgresql_where=where)
    _of_account(
        "rule_hits",
        [sa.Column("rule_id", sa.Text(), nullable=False)],
        [
            sa.Column("hits", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
            _time("last_hit_ms"),
        ],
    )
    _of_account(
        "chats",
        [sa.Column("chat_id", sa.Text(), nullable=False)],
        [
            _text("buyer_id"),
            _text("buyer_name"),
            sa.Column("item_id", sa.Text(), nullable=True),
            _time("last_at_ms"),
            _text("last_text"),
            _text("last_direction"),
            sa.Column("read_at_ms", sa.BigInteger(), nullable=True),
        ],
    )
    op.create_index("ix_chats_time", "chats", ["account_id", "last_at_ms"], unique=False)
    _of_account(
        "chat_pauses",
        [sa.Column("chat_id", sa.Text(), nullable=False)],
        [
            _text("reason"),
            _text("actor"),
            _time("since_ms"),
            _time("until_ms"),
        ],
    )
    op.create_index("ix_orders_chat", "orders", ["account_id", "chat_id"], unique=False)
    op.create_index("ix_intents_order", "intents", ["order_id", "action"], unique=False)
    _of_account("sync_positions", [], [_text("position"), _time("updated_at_ms")])


def _of_account(table: str, keys: list[sa.Column[str]], columns: list[sa.Column[Any]]) -> None:
    op.create_table(
        table,
        sa.Column("account_id", sa.Text(), nullable=False),
        *keys,
        *columns,
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f(f"fk_{table}_account_id_accounts")),
        sa.PrimaryKeyConstraint("account_id", *(key.name for key in keys), name=op.f(f"pk_{table}")),
    )
