"""What the site calls a shop's seller, beside what else is observed: learning it is no change of the account.

Unhandled messages are indexed by the time at which they were written, by which they are asked for.

Revision ID: 0012
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("seller_name", "seller_picture"):
        op.add_column("observed", sa.Column(name, sa.Text(), server_default=sa.text("''"), nullable=False))
    op.drop_index("ix_messages_unhandled", table_name="messages")
    op.create_index(
        "ix_messages_unhandled",
        "messages",
        ["account_id", "created_at_ms"],
        sqlite_where=sa.text("NOT handled"),
        postgresql_where=sa.text("NOT handled"),
    )
