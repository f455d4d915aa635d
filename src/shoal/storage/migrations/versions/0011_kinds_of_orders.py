"""Whether an order goes in a parcel, and whether one text was sent for several pieces.

Revision ID: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("parcel", "one_text"):
        op.add_column("orders", sa.Column(name, sa.Text(), server_default=sa.text("''"), nullable=False))
