"""An index of the words of messages, filled in the background. Only ops with a key are indexed by when it expires.

Revision ID: 0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "indexed_segments",
        sa.Column("segment", _ROW_ID, autoincrement=False, nullable=False),
        sa.Column("oldest_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("newest_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("segment", name="pk_indexed_segments"),
    )
    op.create_table(
        "grams",
        sa.Column("place", _ROW_ID, autoincrement=False, nullable=False),
        sa.Column("packed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("place", name="pk_grams"),
    )
    op.drop_index("ix_ops_expires_at_ms", table_name="ops")
    op.create_index(
        "ix_ops_expires_at_ms",
        "ops",
        ["expires_at_ms"],
        sqlite_where=sa.text("expires_at_ms IS NOT NULL"),
        postgresql_where=sa.text("expires_at_ms IS NOT NULL"),
    )
