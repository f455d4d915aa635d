"""What cards of the older system's API say beside their goods.

Revision ID: 0016
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "cards",
        sa.Column("goods_id", _ROW_ID, autoincrement=False, nullable=False),
        sa.Column("description", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("delay_seconds", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("spec_name", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("spec_value", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.ForeignKeyConstraint(["goods_id"], ["goods.id"], name="fk_cards_goods_id_goods", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("goods_id", name="pk_cards"),
    )
