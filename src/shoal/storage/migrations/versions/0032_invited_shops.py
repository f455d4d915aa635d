"""The accounts that an invitation shares with the user who uses it.

Revision ID: 0032
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None
kind = "additive"


def upgrade() -> None:
    op.add_column("invitations", sa.Column("shops", sa.Text(), nullable=True))
