"""An index by which several nodes on one PostgreSQL read the journal as a stream.

Revision ID: 0024
"""

from __future__ import annotations

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.create_index("ix_journal_xid8", "journal", ["xid8", "rev"])
