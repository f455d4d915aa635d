"""Goods with a stock: the units of each, the imports they came from, and the order to which each is bound.

A message that carries units names them, and keeps a digest of its text. An action of an order may be due later.

Revision ID: 0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _goods()
    _stock()
    _orders()
    _serving()


def _goods() -> None:
    op.create_table(
        "goods",
        sa.Column("id", _ROW_ID, autoincrement=True, nullable=False),
        sa.Column("owner_id", _ROW_ID, nullable=False),
        sa.Column("name", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("kind", sa.Text(), server_default=sa.text("'stock'"), nullable=False),
        sa.Column("per_message", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("low_at", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("text", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("image_url", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("uses_each", sa.Integer(), nullable=True),
        sa.Column("serve_on_restock", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("supplier_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("changed_at_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name="fk_goods_owner_id_users", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_goods"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_goods_owner_id", "goods", ["owner_id"], unique=False)
    op.create_table(
        "batches",
        sa.Column("id", _ROW_ID, autoincrement=True, nullable=False),
        sa.Column("goods_id", _ROW_ID, nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'importing'"), nullable=False),
        sa.Column("file_name", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("file_hash", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("lines", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("done", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("taken", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("doubles", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("refused", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("undone", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("actor", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("op_id", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("undone_at_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["goods_id"], ["goods.id"], name="fk_batches_goods_id_goods", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_batches"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_batches_goods", "batches", ["goods_id", "id"], unique=False)


def _stock() -> None:
    op.create_table(
        "units",
        sa.Column("id", _ROW_ID, autoincrement=True, nullable=False),
        sa.Column("goods_id", _ROW_ID, nullable=False),
        sa.Column("owner_id", sa.BigInteger(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("digest", sa.Text(), nullable=True),
        sa.Column("batch_id", _ROW_ID, nullable=True),
        sa.Column("state", sa.Text(), server_default=sa.text("'free'"), nullable=False),
        sa.Column("uses", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_units_batch_id_batches", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["goods_id"], ["goods.id"], name="fk_units_goods_id_goods", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_units"),
        sa.UniqueConstraint("goods_id", "digest", name="uq_units_goods_id_digest"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_units_batch", "units", ["batch_id", "state"], unique=False)
    op.create_index(
        "ix_units_free",
        "units",
        ["goods_id", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'free'"),
        postgresql_where=sa.text("state = 'free'"),
    )
    op.create_index(
        "ix_units_not_free",
        "units",
        ["goods_id", "state", "id"],
        unique=False,
        sqlite_where=sa.text("state <> 'free'"),
        postgresql_where=sa.text("state <> 'free'"),
    )
    op.create_table(
        "stock_history",
        sa.Column("id", _ROW_ID, autoincrement=True, nullable=False),
        sa.Column("goods_id", _ROW_ID, nullable=False),
        sa.Column("unit_id", sa.BigInteger(), nullable=True),
        sa.Column("batch_id", sa.BigInteger(), nullable=True),
        sa.Column("unb", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("order_id", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("what", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("count", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("reason", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("facts", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("actor", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("op_id", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["goods_id"], ["goods.id"], name="fk_stock_history_goods_id_goods", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_stock_history"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_stock_history_goods", "stock_history", ["goods_id", "id"], unique=False)
    op.create_index("ix_stock_history_pace", "stock_history", ["goods_id", "what", "at_ms"], unique=False)


def _orders() -> None:
    op.create_table(
        "bindings",
        sa.Column("id", _ROW_ID, autoincrement=True, nullable=False),
        sa.Column("unit_id", sa.BigInteger(), nullable=False),
        sa.Column("goods_id", sa.BigInteger(), nullable=False),
        sa.Column("owner_id", sa.BigInteger(), nullable=False),
        sa.Column("unb", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("unit_no", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("replaces", sa.Integer(), nullable=True),
        sa.Column("state", sa.Text(), server_default=sa.text("'held'"), nullable=False),
        sa.Column("one_time", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("reason", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("settled_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_bindings"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_bindings_unit_id", "bindings", ["unit_id"], unique=False)
    op.create_index(
        "uq_bindings_one_time",
        "bindings",
        ["unit_id"],
        unique=True,
        sqlite_where=sa.text("one_time AND state <> 'released'"),
        postgresql_where=sa.text("one_time AND state <> 'released'"),
    )
    op.create_index(
        "uq_bindings_order",
        "bindings",
        ["unb", "order_id", "unit_no"],
        unique=True,
        sqlite_where=sa.text("state <> 'released'"),
        postgresql_where=sa.text("state <> 'released'"),
    )
    op.create_table(
        "deliveries",
        sa.Column("unb", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.BigInteger(), nullable=False),
        sa.Column("goods_id", sa.BigInteger(), nullable=True),
        sa.Column("wanted", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("parts", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("confirm", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'begun'"), nullable=False),
        sa.Column("why", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("arrived", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("settled_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("unb", "order_id", name="pk_deliveries"),
    )
    op.create_index("ix_deliveries_owner_id", "deliveries", ["owner_id"], unique=False)


def _serving() -> None:
    op.add_column("outbox", sa.Column("units", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.add_column("outbox", sa.Column("digest", sa.Text(), nullable=True))
    op.add_column("intents", sa.Column("due_at_ms", sa.BigInteger(), nullable=True))
    for name, table, columns in (
        ("ix_outbox_order", "outbox", ["account_id", "order_id"]),
        ("ix_outbox_digest", "outbox", ["account_id", "digest"]),
        ("ix_intents_due", "intents", ["account_id", "due_at_ms"]),
    ):
        named = sa.column(columns[1]).is_not(None)
        op.create_index(name, table, columns, unique=False, sqlite_where=named, postgresql_where=named)
