"""The tables of several servers on one PostgreSQL database, and two indexes that let the database refuse twins.

Revision ID: 0023
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_FORGET_TWIN_OPS = """
UPDATE outbox SET op_id = NULL WHERE op_id IS NOT NULL AND EXISTS (
    SELECT 1 FROM outbox AS other
    WHERE other.account_id = outbox.account_id AND other.op_id = outbox.op_id AND other.part = outbox.part
    AND other.id < outbox.id
)
"""
"""One server never stores two; a row that stayed nevertheless keeps its message, and only loses the request's id."""
_DOUBT_TWIN_ACTIONS = """
UPDATE intents SET state = 'uncertain', detail = 'interrupted', settled_at_ms = created_at_ms, due_at_ms = NULL
WHERE state = 'intended' AND EXISTS (
    SELECT 1 FROM intents AS other
    WHERE other.order_id = intents.order_id AND other.action = intents.action AND other.state = 'intended'
    AND other.account_id < intents.account_id
)
"""
"""What a start does with an action that was under way, for the second of two under way for one order."""
_UNDER_WAY = sa.text("state = 'intended'")
_BY_REQUEST = sa.text("op_id IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "nodes",
        sa.Column("name", sa.Text(), nullable=False),
        _number("inc"),
        _number("expires_at_ms"),
        sa.Column("dead", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("draining", sa.Boolean(), server_default=sa.false(), nullable=False),
        _number("capacity"),
        _text("host"),
        _text("address"),
        _text("version"),
        _text("schema"),
        _text("key_ids"),
        _number("clock_offset_ms"),
        _number("position"),
        _text("last_error"),
        _number("started_at_ms"),
        sa.PrimaryKeyConstraint("name", name="pk_nodes"),
    )
    op.create_table(
        "shards",
        sa.Column("shard", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        _number("owner_inc"),
        _number("epoch"),
        sa.PrimaryKeyConstraint("shard", name="pk_shards"),
    )
    op.create_index("ix_shards_owner", "shards", ["owner", "owner_inc"])
    op.create_table(
        "paces",
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        _number("next_at_ms"),
        sa.PrimaryKeyConstraint("address", "kind", name="pk_paces"),
    )
    op.execute(_FORGET_TWIN_OPS)
    op.drop_index("ix_outbox_op_id", table_name="outbox")
    op.create_index(
        "uq_outbox_op_id",
        "outbox",
        ["account_id", "op_id", "part"],
        unique=True,
        sqlite_where=_BY_REQUEST,
        postgresql_where=_BY_REQUEST,
    )
    op.execute(_DOUBT_TWIN_ACTIONS)
    op.create_index(
        "uq_intents_under_way",
        "intents",
        ["order_id", "action"],
        unique=True,
        sqlite_where=_UNDER_WAY,
        postgresql_where=_UNDER_WAY,
    )


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default="", nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False)
