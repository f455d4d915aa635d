"""Whether and with what a language model answers in a shop, off for every shop; facts and a lowest price of an item.

Revision ID: 0026
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

_TEXTS = {"ai_mode": "off", "ai_persona": "", "ai_facts": "", "ai_hours": ""}
_NUMBERS = {"ai_provider_id": 0, "ai_turns_per_chat": 6, "ai_tokens_per_day": 100_000}


def upgrade() -> None:
    for name, text in _TEXTS.items():
        op.add_column("accounts", sa.Column(name, sa.Text(), server_default=text, nullable=False))
    for name, number in _NUMBERS.items():
        op.add_column("accounts", sa.Column(name, sa.Integer(), server_default=str(number), nullable=False))
    op.add_column("accounts", sa.Column("ai_disclosure", sa.Boolean(), server_default=sa.true(), nullable=False))
    op.add_column("item_settings", sa.Column("facts", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.add_column("item_settings", sa.Column("floor_fen", sa.Integer(), nullable=True))
