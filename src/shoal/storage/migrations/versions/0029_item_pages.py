"""What the site's pages say of items, which a language model may know.

Revision ID: 0029
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None
kind = "additive"


def upgrade() -> None:
    op.create_table(
        "item_pages",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        _text("unb"),
        _text("title"),
        _text("description"),
        sa.Column("price_fen", sa.BigInteger(), nullable=True),
        _text("specs", "[]"),
        sa.Column("has_specs", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=True),
        _text("status"),
        sa.Column("read_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("asked_at_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        _text("why"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_item_pages_account_id_accounts"),
        sa.PrimaryKeyConstraint("account_id", "item_id", name="pk_item_pages"),
    )


def _text(name: str, default: str = "") -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default=default, nullable=False)
