"""Richer rules and their hits; chats, pauses and verdicts; positions on the site; what an order is about.

Rules become a list of words, items and parts instead of one keyword, item and reply; in the journal too.

Revision ID: 0003
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _text(name: str, default: str = "") -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default=default, nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default=sa.text("0"), nullable=False)


def _flag(name: str, *, default: bool = False) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), server_default=sa.true() if default else sa.false(), nullable=False)


def _seconds(name: str) -> sa.Column[float]:
    return sa.Column(name, sa.Double(), server_default=sa.text("0"), nullable=False)


def _time(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False)


_COLUMNS: dict[str, tuple[sa.Column[Any], ...]] = {
    "accounts": (
        sa.Column("proxy_sealed", sa.LargeBinary(), nullable=True),
        _text("timezone"),
        sa.Column("buyer_replies_per_hour", sa.Integer(), nullable=True),
        sa.Column("shop_replies_per_minute", sa.Integer(), nullable=True),
        _flag("free_shipping"),
    ),
    "rules": (
        _text("words"),
        _text("word_mode", "any"),
        _text("item_ids"),
        _text("parts"),
        _seconds("delay_min_seconds"),
        _seconds("delay_max_seconds"),
        _number("cooldown_seconds"),
        _flag("active", default=True),
    ),
    "messages": (
        _text("verdict"),
        _text("rule_id"),
        sa.Column("joined_to", sa.Text(), nullable=True),
        _number("repeats"),
    ),
    "outbox": (
        _number("width"),
        _number("height"),
        _number("part"),
        _number("resends"),
        _text("actor"),
        sa.Column("op_id", sa.Text(), nullable=True),
    ),
    "orders": (
        _text("amount"),
        _text("quantity"),
        _text("spec_name"),
        _text("spec_value"),
        _flag("group_price"),
        _text("problem"),
    ),
    "order_events": (
        _text("act"),
        _text("outcome"),
        _text("words"),
        _text("message_id"),
        sa.Column("site_at_ms", sa.BigInteger(), nullable=True),
    ),
}


_OPEN = sa.text("outcome IN ('waiting', 'sending', 'uncertain')")
_INDEXES: tuple[tuple[str, str, list[str], Any], ...] = (
    ("ix_outbox_buyer", "outbox", ["account_id", "buyer_id", "created_at_ms"], None),
    ("ix_outbox_time", "outbox", ["account_id", "created_at_ms"], None),
    ("ix_outbox_op_id", "outbox", ["account_id", "op_id"], sa.text("op_id IS NOT NULL")),
    ("ix_outbox_open", "outbox", ["account_id", "id"], _OPEN),
    ("ix_chats_time", "chats", ["account_id", "last_at_ms"], None),
    ("ix_orders_chat", "orders", ["account_id", "chat_id"], None),
    ("ix_intents_order", "intents", ["order_id", "action"], None),
)


def upgrade() -> None:
    complete()


def complete() -> None:
    """Add what is missing. In its first hours this step was itself changed: such data is completed by a later step."""
    for table, added in _COLUMNS.items():
        _add_missing(table, added)
    if "keyword" in _columns_of("rules"):
        _rewrite_rules()
        for name in _ONE_KEYWORD:
            op.drop_column("rules", name)
    _of_account(
        "rule_hits",
        [sa.Column("rule_id", sa.Text(), nullable=False)],
        [
            sa.Column("hits", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
            _time("last_hit_ms"),
        ],
    )
    _of_account(
        "uploads",
        [sa.Column("digest", sa.Text(), nullable=False)],
        [
            sa.Column("url", sa.Text(), nullable=False),
            _number("width"),
            _number("height"),
            _time("uploaded_at_ms"),
        ],
    )
    _of_account(
        "chats",
        [sa.Column("chat_id", sa.Text(), nullable=False)],
        [
            _text("buyer_id"),
            _text("buyer_name"),
            sa.Column("item_id", sa.Text(), nullable=True),
            _time("last_at_ms"),
            _text("last_text"),
            _text("last_direction"),
            sa.Column("read_at_ms", sa.BigInteger(), nullable=True),
        ],
    )
    _of_account(
        "chat_pauses",
        [sa.Column("chat_id", sa.Text(), nullable=False)],
        [
            _text("reason"),
            _text("actor"),
            _time("since_ms"),
            _time("until_ms"),
        ],
    )
    _of_account("sync_positions", [], [_text("position"), _time("updated_at_ms")])
    for name, table, columns, where in _INDEXES:
        if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
            op.create_index(name, table, columns, unique=False, sqlite_where=where, postgresql_where=where)


def _columns_of(table: str) -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}


def _add_missing(table: str, columns: Sequence[sa.Column[Any]]) -> None:
    there = _columns_of(table)
    for column in columns:
        if column.name not in there:
            op.add_column(table, column)


_ONE_KEYWORD = ("keyword", "reply", "item_id", "kind", "image_url")
_LISTS = ("words", "item_ids", "parts")


def _rewrite_rules() -> None:
    """Rules that were written with one keyword, in their table, in the journal and in the baselines."""
    connection = op.get_bind()
    rules = sa.table("rules", *(sa.column(name) for name in ("account_id", "id", "words", "item_ids", "parts")))
    keys = sa.and_(rules.c.account_id == sa.bindparam("b_account"), rules.c.id == sa.bindparam("b_id"))
    old = sa.table("rules", *(sa.column(name) for name in ("account_id", "id", *_ONE_KEYWORD)))
    found = connection.execute(sa.select(old)).mappings().all()
    if found:
        connection.execute(
            sa.update(rules).where(keys),
            [{"b_account": row["account_id"], "b_id": row["id"], **_columns(_as_lists(dict(row)))} for row in found],
        )
    _rewrite_json("journal", "rev", "changes", _changes_as_lists)
    _rewrite_json("baselines", "account_id", "projection", _projection_as_lists)


def _columns(row: dict[str, Any]) -> dict[str, str]:
    return {name: json.dumps(row[name], ensure_ascii=False) if name in row else "" for name in _LISTS}


def _as_lists(row: dict[str, Any]) -> dict[str, Any]:
    """A rule with one keyword, item and reply as one with lists; those that would be empty are left out."""
    if "keyword" not in row:
        return row
    words: dict[str, Any] = {"id": row["id"], "words": [row["keyword"]]}
    if row.get("item_id"):
        words["item_ids"] = [row["item_id"]]
    if row.get("kind") == "image" and row.get("image_url"):
        words["parts"] = [{"image_url": row["image_url"]}]
    elif row.get("kind") != "image" and row.get("reply"):
        words["parts"] = [{"text": row["reply"]}]
    if row.get("position"):
        words["position"] = row["position"]
    return words


def _changes_as_lists(changes: dict[str, Any]) -> None:
    delta = changes.get("keywords", {})
    for kind in ("added", "removed"):
        if kind in delta:
            delta[kind] = [_as_lists(row) for row in delta[kind]]
    if "edited" in delta:
        delta["edited"] = [[_as_lists(row) for row in pair] for pair in delta["edited"]]


def _projection_as_lists(projection: dict[str, Any]) -> None:
    keywords = projection.get("keywords", {})
    projection["keywords"] = {name: _as_lists(row) for name, row in keywords.items()}


def _rewrite_json(name: str, key: str, text: str, rewrite: Callable[[dict[str, Any]], None]) -> None:
    """Rewrite the texts that speak of keywords, one at a time: they may be long."""
    connection = op.get_bind()
    table = sa.table(name, sa.column(key), sa.column(text))
    speaking = connection.scalars(sa.select(table.c[key]).where(table.c[text].contains('"keyword"'))).all()
    for row_key in speaking:
        mine = table.c[key] == row_key
        unpacked = json.loads(connection.execute(sa.select(table.c[text]).where(mine)).scalar_one())
        rewrite(unpacked)
        packed = json.dumps(unpacked, ensure_ascii=False, separators=(",", ":"))
        connection.execute(sa.update(table).where(mine).values({text: packed}))


def _of_account(table: str, keys: list[sa.Column[str]], columns: list[sa.Column[Any]]) -> None:
    if sa.inspect(op.get_bind()).has_table(table):
        _add_missing(table, columns)
        return
    op.create_table(
        table,
        sa.Column("account_id", sa.Text(), nullable=False),
        *keys,
        *columns,
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f(f"fk_{table}_account_id_accounts")),
        sa.PrimaryKeyConstraint("account_id", *(key.name for key in keys), name=op.f(f"pk_{table}")),
    )
