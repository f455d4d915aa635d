"""What webhooks were sent of an order's or an incident's event: the same body for ever.

Revision ID: 0036
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None
kind = "additive"


def upgrade() -> None:
    for table in ("order_events", "incident_events"):
        op.add_column(table, sa.Column("posted", sa.Text(), nullable=True))
