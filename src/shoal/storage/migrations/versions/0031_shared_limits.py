"""Tries that are limited for all nodes together, and which life of which node reserved a request with a key.

Revision ID: 0031
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None
kind = "additive"


def upgrade() -> None:
    row_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "limited_tries",
        sa.Column("id", row_id, autoincrement=True, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("counts", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_limited_tries"),
    )
    op.create_index("ix_limited_tries_key", "limited_tries", ["key", "at_ms"])
    op.create_index("ix_limited_tries_at_ms", "limited_tries", ["at_ms"])
    op.add_column("ops", sa.Column("reserved_by", sa.Text(), nullable=True))
    op.add_column("ops", sa.Column("reserved_inc", sa.BigInteger(), nullable=True))
