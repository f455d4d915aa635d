"""The security log.

Revision ID: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "security_notes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("note_id", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_at_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("times", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("kind", sa.Text(), server_default="", nullable=False),
        sa.Column("outcome", sa.Text(), server_default="", nullable=False),
        sa.Column("actor", sa.Text(), server_default="", nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("origin", sa.Text(), server_default="", nullable=False),
        sa.Column("account_id", sa.Text(), nullable=True),
        sa.Column("facts", sa.Text(), server_default="", nullable=False),
        sa.UniqueConstraint("note_id", name=op.f("uq_security_notes_note_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_security_notes_at_ms", "security_notes", ["at_ms"])
    op.create_index("ix_security_notes_user_id", "security_notes", ["user_id"])
