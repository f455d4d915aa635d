"""Which shop holds which seller's number; two shops of different owners may name one number.

Revision ID: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_LET_IN = """
INSERT INTO seller_numbers (unb, account_id, since_ms)
SELECT unb, id, created_at_ms FROM accounts
WHERE NOT deleted AND unb <> '' AND (
    EXISTS (SELECT 1 FROM state_moves WHERE state_moves.account_id = accounts.id AND state_moves.state = 'running')
    OR EXISTS (SELECT 1 FROM sync_positions WHERE sync_positions.account_id = accounts.id)
    OR EXISTS (SELECT 1 FROM tokens WHERE tokens.account_id = accounts.id AND tokens.sealed IS NOT NULL)
    OR EXISTS (SELECT 1 FROM messages WHERE messages.account_id = accounts.id)
)
"""
"""Those that the site is known to have accepted. A number that was only claimed is free."""


def upgrade() -> None:
    op.create_table(
        "seller_numbers",
        sa.Column("unb", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_seller_numbers_account_id_accounts"),
        sa.PrimaryKeyConstraint("unb", name="pk_seller_numbers"),
        sa.UniqueConstraint("account_id", name="uq_seller_numbers_account_id"),
    )
    op.execute(_LET_IN)
    op.drop_index("uq_accounts_unb_living", table_name="accounts")
    op.create_index(
        "uq_accounts_unb_owner_id_living",
        "accounts",
        ["unb", "owner_id"],
        unique=True,
        sqlite_where=sa.text("NOT deleted"),
        postgresql_where=sa.text("NOT deleted"),
    )
