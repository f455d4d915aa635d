"""Opening hours, hand-off words and the output filter of a shop, all off; and the words of a filtered answer.

Revision ID: 0022
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0018"
branch_labels = None
depends_on = None

_TEXTS = ("opening_hours", "holidays", "away_reply", "handoff_words", "handoff_reply", "filter_patterns")


def upgrade() -> None:
    for name in _TEXTS:
        op.add_column("accounts", sa.Column(name, sa.Text(), server_default=sa.text("''"), nullable=False))
    for name in ("filter_contacts", "filter_links"):
        op.add_column("accounts", sa.Column(name, sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("accounts", sa.Column("price_floor_fen", sa.Integer(), nullable=True))
    op.add_column("messages", sa.Column("filtered_words", sa.Text(), server_default=sa.text("''"), nullable=False))
