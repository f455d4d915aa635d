"""What checks of a model provider cost on their day, and the op that added it.

Revision ID: 0030
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None
kind = "additive"


def upgrade() -> None:
    op.add_column("ai_providers", sa.Column("op_id", sa.Text(), server_default=sa.text("''"), nullable=False))
    day = sa.Column("checks_day", sa.Text(), server_default=sa.text("''"), nullable=False)
    op.add_column("ai_provider_states", day)
    cost = sa.Column("checks_cost_microfen", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
    op.add_column("ai_provider_states", cost)
