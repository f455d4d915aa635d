"""What buyers get becomes delivery rules: each paid message, of a shop or an item, and each item without one.

Two switches, on for every shop: whether messages are answered, and whether orders are served.

Revision ID: 0015
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_ACCOUNTS = sa.table("accounts", sa.column("id", sa.Text), sa.column("paid_message", sa.Text))
_ITEMS = sa.table(
    "item_settings",
    sa.column("account_id", sa.Text),
    sa.column("item_id", sa.Text),
    sa.column("reply", sa.Text),
    sa.column("paid_message", sa.Text),
    sa.column("nothing_to_send", sa.Boolean),
)


def upgrade() -> None:
    for name in ("replies", "delivery"):
        op.add_column("accounts", sa.Column(name, sa.Boolean(), server_default=sa.true(), nullable=False))
    rules = op.create_table(
        "delivery_rules",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("title_contains", sa.Text(), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("goods_id", sa.BigInteger(), nullable=True),
        sa.Column("count", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("parts", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("nothing_to_send", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("delay_seconds", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("confirm", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_delivery_rules_account_id_accounts"),
        sa.PrimaryKeyConstraint("account_id", "item_id", "title_contains", "spec", name="pk_delivery_rules"),
    )
    rows = [*_of_shops(), *_of_items()]
    if rows:
        op.bulk_insert(rules, rows)
    served = sa.or_(_ITEMS.c.paid_message != "", _ITEMS.c.nothing_to_send)
    op.execute(_ITEMS.delete().where(_ITEMS.c.reply == "", served))
    op.drop_column("item_settings", "nothing_to_send")
    op.drop_column("item_settings", "paid_message")
    op.drop_column("accounts", "paid_message")


def _of_shops() -> list[dict[str, object]]:
    query = sa.select(_ACCOUNTS).where(_ACCOUNTS.c.paid_message != "")
    return [_rule(row.id, "", row.paid_message) for row in op.get_bind().execute(query)]


def _of_items() -> list[dict[str, object]]:
    query = sa.select(_ITEMS).where(sa.or_(_ITEMS.c.paid_message != "", _ITEMS.c.nothing_to_send))
    return [
        _rule(row.account_id, row.item_id, row.paid_message, sends_nothing=row.nothing_to_send)
        for row in op.get_bind().execute(query)
    ]


def _rule(account_id: str, item_id: str, text: str, *, sends_nothing: bool = False) -> dict[str, object]:
    parts = json.dumps([{"text": text}], ensure_ascii=False, separators=(",", ":")) if text else ""
    return {
        "account_id": account_id,
        "item_id": item_id,
        "title_contains": "",
        "spec": "",
        "parts": parts,
        "nothing_to_send": sends_nothing,
    }
