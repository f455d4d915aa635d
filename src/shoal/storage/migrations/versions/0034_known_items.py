"""What the site calls the items of shops, with the titles that item pages have told already.

Revision ID: 0034
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None
kind = "additive"


def upgrade() -> None:
    op.create_table(
        "known_items",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        _text("title"),
        sa.Column("price_fen", sa.BigInteger(), nullable=True),
        _text("site_picture"),
        _text("picture"),
        sa.Column("seen_at_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_known_items_account_id_accounts"),
        sa.PrimaryKeyConstraint("account_id", "item_id", name="pk_known_items"),
    )
    op.execute(
        "INSERT INTO known_items (account_id, item_id, title, price_fen, seen_at_ms) "
        "SELECT account_id, item_id, title, price_fen, COALESCE(read_at_ms, 0) FROM item_pages WHERE title <> ''"
    )


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default="", nullable=False)
