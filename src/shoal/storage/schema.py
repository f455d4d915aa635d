"""The tables, for SQLite and PostgreSQL. Times are epoch milliseconds in columns named ``*_ms``.

A new table with data of an account has a column ``account_id``: a purge then empties it automatically (see
``account_tables``).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from shoal.accounts.shop_settings import SEALED_SETTINGS, SETTINGS, VIEWED_SETTINGS
from shoal.storage import (  # noqa: F401  all tables
    assistant_tables,
    chat_tables,
    columns,
    goods_tables,
    history_tables,
    moving_tables,
    node_tables,
    notice_tables,
    order_tables,
    picture_table,
    user_tables,
)
from shoal.storage.columns import (
    RowId,
    account_column,
    flag_column,
    maybe_time_column,
    number_column,
    setting_column,
    text_column,
    time_column,
)

OUTBOX_OPEN = "outcome IN ('waiting', 'sending', 'uncertain')"
"""The outbox rows that may still change; spelled out, because the index is used only for queries with this condition.
"""

UNHANDLED = "NOT messages.handled"
"""The messages that need something more; spelled out like ``OUTBOX_OPEN``: on SQLite ``handled = 0`` uses no index."""

metadata = columns.metadata
"""All tables: those below, and those of ``assistant_tables``, ``chat_tables``, ``goods_tables``, ``history_tables``,
``moving_tables``, ``node_tables``, ``notice_tables``, ``order_tables``, ``picture_table`` and ``user_tables``."""


accounts = Table(
    "accounts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner_id", BigInteger, nullable=False),
    text_column("unb"),
    Column("cookie_sealed", LargeBinary, nullable=True),
    text_column("cookie_fingerprint"),
    number_column("cookie_version", 1),
    flag_column("enabled", default=True),
    Column("proxy_sealed", LargeBinary, nullable=True),
    Column("browser", Text, nullable=True),
    *(setting_column(name) for name in SETTINGS if name not in {*SEALED_SETTINGS, *VIEWED_SETTINGS}),
    number_column("restart_nonce"),
    time_column("orders_since_ms"),
    time_column("created_at_ms"),
    Column("shard", SmallInteger, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("rev", BigInteger, nullable=False),
    flag_column("deleted"),
    flag_column("purged"),
    Index("ix_accounts_owner_id", "owner_id"),
    Index("ix_accounts_shard", "shard"),
    Index(
        "uq_accounts_unb_owner_id_living",
        "unb",
        "owner_id",
        unique=True,
        sqlite_where=text("NOT deleted"),
        postgresql_where=text("NOT deleted"),
    ),
)

seller_numbers = Table(
    "seller_numbers",
    metadata,
    Column("unb", Text, primary_key=True),
    account_column(),
    time_column("since_ms"),
    UniqueConstraint("account_id"),
)
"""Which account holds which seller's number and may connect with it: the site accepted it first."""

rules = Table(
    "rules",
    metadata,
    account_column(primary_key=True),
    Column("id", Text, primary_key=True),
    number_column("position"),
    text_column("match_mode", "contains"),
    number_column("priority"),
    text_column("schedule"),
    text_column("words"),
    text_column("word_mode", "any"),
    text_column("item_ids"),
    text_column("parts"),
    Column("delay_min_seconds", Double, nullable=False, server_default=text("0")),
    Column("delay_max_seconds", Double, nullable=False, server_default=text("0")),
    number_column("cooldown_seconds"),
    flag_column("active", default=True),
)

rule_hits = Table(
    "rule_hits",
    metadata,
    account_column(primary_key=True),
    Column("rule_id", Text, primary_key=True),
    Column("hits", BigInteger, nullable=False, server_default=text("0")),
    time_column("last_hit_ms"),
)

item_settings = Table(
    "item_settings",
    metadata,
    account_column(primary_key=True),
    Column("item_id", Text, primary_key=True),
    text_column("reply"),
    text_column("facts"),
    Column("floor_fen", Integer, nullable=True),
)

delivery_rules = Table(
    "delivery_rules",
    metadata,
    account_column(primary_key=True),
    Column("item_id", Text, primary_key=True),
    Column("title_contains", Text, primary_key=True),
    Column("spec", Text, primary_key=True),
    Column("goods_id", BigInteger, nullable=True),
    number_column("count", 1),
    text_column("parts"),
    flag_column("nothing_to_send"),
    number_column("delay_seconds"),
    text_column("confirm"),
)

cookie_jars = Table(
    "cookie_jars",
    metadata,
    account_column(primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("based_on", Integer, nullable=False),
    time_column("updated_at_ms"),
)

tokens = Table(
    "tokens",
    metadata,
    account_column(primary_key=True),
    Column("device_id", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=True),
    Column("based_on", Integer, nullable=True),
    time_column("obtained_at_ms"),
    time_column("expires_at_ms"),
)

uploads = Table(
    "uploads",
    metadata,
    account_column(primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("url", Text, nullable=False),
    number_column("width"),
    number_column("height"),
    time_column("uploaded_at_ms"),
)

messages = Table(
    "messages",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    account_column(),
    Column("message_id", Text, nullable=False),
    Column("chat_id", Text, nullable=False),
    Column("item_id", Text, nullable=True),
    text_column("sender_id"),
    text_column("sender_name"),
    text_column("direction", "in"),
    text_column("content_type", "text"),
    text_column("text"),
    time_column("created_at_ms"),
    time_column("received_at_ms"),
    flag_column("handled"),
    text_column("verdict"),
    text_column("rule_id"),
    text_column("filtered_words"),
    Column("joined_to", Text, nullable=True),
    number_column("repeats"),
    UniqueConstraint("account_id", "message_id"),
    Index("ix_messages_chat", "account_id", "chat_id", "created_at_ms"),
    Index("ix_messages_time", "account_id", "created_at_ms"),
    Index(
        "ix_messages_unhandled",
        "account_id",
        "created_at_ms",
        sqlite_where=text("NOT handled"),
        postgresql_where=text("NOT handled"),
    ),
    sqlite_autoincrement=True,
)

indexed_segments = Table(
    "indexed_segments",
    metadata,
    Column("segment", RowId, primary_key=True, autoincrement=False),
    time_column("oldest_ms"),
    time_column("newest_ms"),
)
"""Which segments of messages are in ``grams``, and the times between which their messages were written."""

grams = Table(
    "grams",
    metadata,
    Column("place", RowId, primary_key=True, autoincrement=False),
    Column("packed", LargeBinary, nullable=False),
)
"""In which messages each gram occurs (``storage/grams.py``); the place is the segment and the slot."""

outbox = Table(
    "outbox",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    account_column(),
    Column("chat_id", Text, nullable=False),
    Column("message_id", Text, nullable=True),
    text_column("kind", "reply"),
    Column("order_id", Text, nullable=True),
    text_column("buyer_id"),
    Column("uuid", Text, nullable=False),
    Column("rule_id", Text, nullable=True),
    text_column("text"),
    text_column("units"),
    Column("digest", Text, nullable=True),
    text_column("image_url"),
    number_column("width"),
    number_column("height"),
    number_column("part"),
    number_column("resends"),
    text_column("actor"),
    Column("op_id", Text, nullable=True),
    text_column("outcome", "sending"),
    text_column("reason"),
    Column("site_message_id", Text, nullable=True),
    time_column("created_at_ms"),
    maybe_time_column("settled_at_ms"),
    UniqueConstraint("account_id", "uuid"),
    Index("ix_outbox_answered", "account_id", "message_id"),
    Index("ix_outbox_site_message", "account_id", "site_message_id"),
    Index("ix_outbox_chat", "account_id", "chat_id", "created_at_ms"),
    Index("ix_outbox_buyer", "account_id", "buyer_id", "created_at_ms"),
    Index("ix_outbox_time", "account_id", "created_at_ms"),
    Index(
        "uq_outbox_op_id",
        "account_id",
        "op_id",
        "part",
        unique=True,
        sqlite_where=text("op_id IS NOT NULL"),
        postgresql_where=text("op_id IS NOT NULL"),
    ),
    Index(
        "ix_outbox_order",
        "account_id",
        "order_id",
        sqlite_where=text("order_id IS NOT NULL"),
        postgresql_where=text("order_id IS NOT NULL"),
    ),
    Index(
        "ix_outbox_digest",
        "account_id",
        "digest",
        sqlite_where=text("digest IS NOT NULL"),
        postgresql_where=text("digest IS NOT NULL"),
    ),
    Index(
        "ix_outbox_open",
        "account_id",
        "id",
        sqlite_where=text(OUTBOX_OPEN),
        postgresql_where=text(OUTBOX_OPEN),
    ),
    sqlite_autoincrement=True,
)

sync_positions = Table(
    "sync_positions",
    metadata,
    account_column(primary_key=True),
    text_column("position"),
    time_column("updated_at_ms"),
)

once_replies = Table(
    "once_replies",
    metadata,
    account_column(primary_key=True),
    Column("chat_id", Text, primary_key=True),
    time_column("at_ms"),
)

store_meta = Table(
    "store_meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("counter", BigInteger, nullable=False, server_default=text("0")),
)

_OUTLIVE_A_PURGE = frozenset({"journal", "baselines", "ops", "intents", "security_notes", "ai_usage"})
"""The past, irreversible actions, and what was spent: an account with a reused id handles no old order again."""


def account_tables() -> list[Table]:
    """Return every table that a purge must empty of an account: all with an account id, except those that are kept."""
    return [
        table
        for table in reversed(metadata.sorted_tables)
        if "account_id" in table.columns and table.name not in _OUTLIVE_A_PURGE
    ]


Row = dict[str, Any]
"""Return the values of one row by column name."""
