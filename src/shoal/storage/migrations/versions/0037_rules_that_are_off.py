"""The delivery rules by keyword of a card that are switched off.

Revision ID: 0037
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None
kind = "additive"


def upgrade() -> None:
    op.add_column("cards", sa.Column("off_rules", sa.Text(), nullable=False, server_default=""))
