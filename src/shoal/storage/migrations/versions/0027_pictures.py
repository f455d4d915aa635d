"""Pictures in the database, for several servers on one PostgreSQL; the table stays empty on SQLite.

Revision ID: 0027
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None
kind = "additive"


def upgrade() -> None:
    op.create_table(
        "pictures",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("seen_at_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_pictures"),
    )
    if op.get_bind().dialect.name == "postgresql":  # compressed already: to try again only costs time
        op.execute("ALTER TABLE pictures ALTER COLUMN data SET STORAGE EXTERNAL")
