"""The tables of imports from other systems, and from when on an account serves orders.

Revision ID: 0018
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column(
        "accounts", sa.Column("orders_since_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
    )
    op.create_table(
        "import_runs",
        sa.Column("id", _ROW_ID, autoincrement=True, nullable=False),
        sa.Column("user_id", _ROW_ID, nullable=False),
        _text("source"),
        _text("version"),
        _text("file_name"),
        _text("state", "running"),
        _number("total"),
        _text("counts"),
        _text("was_on"),
        _number("waiting"),
        sa.Column("waiting_sealed", sa.LargeBinary(), nullable=True),
        _text("why"),
        sa.Column("created_at_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("started_at_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_import_runs_user_id_users", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_import_runs"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_import_runs_user_id", "import_runs", ["user_id", "id"])
    op.create_table(
        "import_oddities",
        sa.Column("id", _ROW_ID, autoincrement=True, nullable=False),
        sa.Column("run_id", _ROW_ID, nullable=False),
        _text("old_table"),
        _text("old_row"),
        _text("code"),
        _text("fate"),
        _text("params"),
        sa.ForeignKeyConstraint(
            ["run_id"], ["import_runs.id"], name="fk_import_oddities_run_id_import_runs", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_import_oddities"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_import_oddities_run_id", "import_oddities", ["run_id", "id"])
    op.create_table(
        "imported_rows",
        sa.Column("user_id", _ROW_ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("old_key", sa.Text(), nullable=False),
        _text("new_id"),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_imported_rows_user_id_users", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "kind", "old_key", name="pk_imported_rows"),
    )


def _text(name: str, default: str = "") -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default=default, nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default=sa.text("0"), nullable=False)
