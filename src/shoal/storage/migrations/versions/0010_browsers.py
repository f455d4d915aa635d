"""Which browser a shop's cookie came from, and the name and picture of its seller on the site.

Revision ID: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("accounts", sa.Column("browser", sa.Text(), nullable=True))
    op.add_column("accounts", sa.Column("name", sa.Text(), server_default="", nullable=False))
    op.add_column("accounts", sa.Column("picture", sa.Text(), server_default="", nullable=False))
