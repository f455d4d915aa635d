"""State history of accounts; baselines, from which a pruned journal is folded.

Revision ID: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "baselines",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("rev", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("projection", sa.Text(), server_default="", nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_baselines")),
    )
    op.create_index("ix_baselines_rev", "baselines", ["rev"], unique=False)
    op.create_table(
        "state_moves",
        sa.Column("id", _ROW_ID, autoincrement=True, nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("at_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_state_moves_account_id_accounts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_state_moves")),
        sa.UniqueConstraint("account_id", "at_ms", "state", name=op.f("uq_state_moves_account_id_at_ms_state")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_state_moves_account", "state_moves", ["account_id", "id"], unique=False)
    op.create_index("ix_state_moves_at_ms", "state_moves", ["at_ms"], unique=False)
    op.create_index("ix_ops_at_ms", "ops", ["at_ms"], unique=False)
