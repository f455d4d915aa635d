"""The tables, once for SQLite and PostgreSQL. Times are epoch milliseconds in columns named ``*_ms``.

A new table that holds anything of an account carries ``account_id``: a purge then empties it by itself
(see ``account_tables``).
"""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    column,
    false,
    text,
    true,
)
from sqlalchemy.dialects import postgresql, sqlite

SHARDS = 1024
"""How many shards the accounts are spread over: fixed for ever."""

OUTBOX_OPEN = "outcome IN ('waiting', 'sending', 'uncertain')"
"""What of the outbox may still change; spelled out, for an index on it is used only where a query says just that."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_RowId = BigInteger().with_variant(Integer, "sqlite")
"""SQLite counts by itself only in a column declared INTEGER."""


def shard_of(account_id: str) -> int:
    """The shard of an account: the first 8 bytes of SHA-256 of its id, big-endian, modulo ``SHARDS``."""
    return int.from_bytes(hashlib.sha256(account_id.encode()).digest()[:8], "big") % SHARDS


def _text(name: str, default: str = "") -> Column[str]:
    return Column(name, Text, nullable=False, server_default=default)


def _number(name: str, default: int = 0) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default=text(str(default)))


def _flag(name: str, *, default: bool = False) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default=true() if default else false())


def _time(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default=text("0"))


def _maybe_time(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=True)


def _account(*, primary_key: bool = False) -> Column[str]:
    return Column("account_id", Text, ForeignKey("accounts.id"), primary_key=primary_key, nullable=False)


def _user(name: str = "user_id", *, primary_key: bool = False, nullable: bool = False) -> Column[int]:
    """A person; a row that names one goes when the person goes."""
    key = ForeignKey("users.id", ondelete="CASCADE")
    return Column(name, _RowId, key, primary_key=primary_key, nullable=nullable)


accounts = Table(
    "accounts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner_id", BigInteger, nullable=False),
    _text("unb"),
    Column("cookie_sealed", LargeBinary, nullable=True),
    _text("cookie_fingerprint"),
    _number("cookie_version", 1),
    _flag("enabled", default=True),
    _flag("auto_confirm"),
    _text("remark"),
    _number("pause_duration", 10),
    Column("debounce_seconds", Double, nullable=True),
    _text("paid_message"),
    _flag("default_reply_enabled"),
    _text("default_reply"),
    _flag("default_reply_once"),
    Column("proxy_sealed", LargeBinary, nullable=True),
    _text("timezone"),
    Column("buyer_replies_per_hour", Integer, nullable=True),
    Column("shop_replies_per_minute", Integer, nullable=True),
    _flag("free_shipping"),
    _number("restart_nonce"),
    _time("created_at_ms"),
    Column("shard", SmallInteger, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("rev", BigInteger, nullable=False),
    _flag("deleted"),
    _flag("purged"),
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
    _account(),
    _time("since_ms"),
    UniqueConstraint("account_id"),
)
"""Which account holds which seller's number, and so may connect with it: the site let it in first."""

rules = Table(
    "rules",
    metadata,
    _account(primary_key=True),
    Column("id", Text, primary_key=True),
    _number("position"),
    _text("match_mode", "contains"),
    _number("priority"),
    _text("schedule"),
    _text("words"),
    _text("word_mode", "any"),
    _text("item_ids"),
    _text("parts"),
    Column("delay_min_seconds", Double, nullable=False, server_default=text("0")),
    Column("delay_max_seconds", Double, nullable=False, server_default=text("0")),
    _number("cooldown_seconds"),
    _flag("active", default=True),
)

rule_hits = Table(
    "rule_hits",
    metadata,
    _account(primary_key=True),
    Column("rule_id", Text, primary_key=True),
    Column("hits", BigInteger, nullable=False, server_default=text("0")),
    _time("last_hit_ms"),
)

item_settings = Table(
    "item_settings",
    metadata,
    _account(primary_key=True),
    Column("item_id", Text, primary_key=True),
    _text("reply"),
    _text("paid_message"),
    _flag("nothing_to_send"),
)

cookie_jars = Table(
    "cookie_jars",
    metadata,
    _account(primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("based_on", Integer, nullable=False),
    _time("updated_at_ms"),
)

tokens = Table(
    "tokens",
    metadata,
    _account(primary_key=True),
    Column("device_id", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=True),
    Column("based_on", Integer, nullable=True),
    _time("obtained_at_ms"),
    _time("expires_at_ms"),
)

uploads = Table(
    "uploads",
    metadata,
    _account(primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("url", Text, nullable=False),
    _number("width"),
    _number("height"),
    _time("uploaded_at_ms"),
)

journal = Table(
    "journal",
    metadata,
    Column("rev", _RowId, primary_key=True, autoincrement=True),
    Column("account_id", Text, nullable=False),
    Column("owner_id", BigInteger, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("changes", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("op_id", Text, nullable=False),
    _time("at_ms"),
    _text("origin"),
    UniqueConstraint("account_id", "generation"),
    sqlite_autoincrement=True,
)

baselines = Table(
    "baselines",
    metadata,
    Column("account_id", Text, primary_key=True),
    Column("rev", BigInteger, nullable=False),
    Column("generation", BigInteger, nullable=False),
    _text("projection"),
    _flag("deleted"),
    Index("ix_baselines_rev", "rev"),
)

journal_xid8 = column("xid8", Text)
"""The transaction of a journal row. PostgreSQL only, filled in by its default; hence no part of the metadata."""

ops = Table(
    "ops",
    metadata,
    Column("op_id", Text, primary_key=True),
    Column("actor", Text, nullable=False),
    Column("idem_key", Text, nullable=True),
    _text("method"),
    _text("path"),
    _text("request_hash"),
    Column("account_id", Text, nullable=True),
    Column("generation", BigInteger, nullable=True),
    Column("rev", BigInteger, nullable=True),
    Column("changed", Boolean, nullable=True),
    Column("status", Integer, nullable=True),
    Column("answer", Text, nullable=True),
    _time("at_ms"),
    _maybe_time("expires_at_ms"),
    Index("ix_ops_at_ms", "at_ms"),
    Index("ix_ops_expires_at_ms", "expires_at_ms"),
    Index(
        "uq_ops_idem_key",
        "actor",
        "idem_key",
        "method",
        "path",
        unique=True,
        sqlite_where=text("idem_key IS NOT NULL"),
        postgresql_where=text("idem_key IS NOT NULL"),
    ),
)

observed = Table(
    "observed",
    metadata,
    _account(primary_key=True),
    _text("state", "stopped"),
    _text("reason"),
    _text("detail"),
    _time("since_ms"),
    _maybe_time("next_attempt_at_ms"),
    Column("observed_generation", BigInteger, nullable=False, server_default=text("0")),
    _flag("crash_loop"),
    _text("parked_reason"),
    Column("parked_for_cookie", Integer, nullable=True),
    Column("parked_for_nonce", Integer, nullable=True),
    _maybe_time("parked_since_ms"),
    _text("action_url"),
    _maybe_time("connected_at_ms"),
    _maybe_time("last_heartbeat_at_ms"),
    _maybe_time("last_message_at_ms"),
    _text("owner"),
    Column("epoch", BigInteger, nullable=False, server_default=text("0")),
)

state_moves = Table(
    "state_moves",
    metadata,
    Column("id", _RowId, primary_key=True, autoincrement=True),
    _account(),
    _text("state"),
    _text("reason"),
    _time("at_ms"),
    UniqueConstraint("account_id", "at_ms", "state"),
    Index("ix_state_moves_account", "account_id", "id"),
    Index("ix_state_moves_at_ms", "at_ms"),
    sqlite_autoincrement=True,
)

messages = Table(
    "messages",
    metadata,
    Column("id", _RowId, primary_key=True, autoincrement=True),
    _account(),
    Column("message_id", Text, nullable=False),
    Column("chat_id", Text, nullable=False),
    Column("item_id", Text, nullable=True),
    _text("sender_id"),
    _text("sender_name"),
    _text("direction", "in"),
    _text("content_type", "text"),
    _text("text"),
    _time("created_at_ms"),
    _time("received_at_ms"),
    _flag("handled"),
    _text("verdict"),
    _text("rule_id"),
    Column("joined_to", Text, nullable=True),
    _number("repeats"),
    UniqueConstraint("account_id", "message_id"),
    Index("ix_messages_chat", "account_id", "chat_id", "created_at_ms"),
    Index("ix_messages_time", "account_id", "created_at_ms"),
    Index(
        "ix_messages_unhandled",
        "account_id",
        "received_at_ms",
        sqlite_where=text("NOT handled"),
        postgresql_where=text("NOT handled"),
    ),
    sqlite_autoincrement=True,
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", _RowId, primary_key=True, autoincrement=True),
    _account(),
    Column("chat_id", Text, nullable=False),
    Column("message_id", Text, nullable=True),
    _text("kind", "reply"),
    Column("order_id", Text, nullable=True),
    _text("buyer_id"),
    Column("uuid", Text, nullable=False),
    Column("rule_id", Text, nullable=True),
    _text("text"),
    _text("image_url"),
    _number("width"),
    _number("height"),
    _number("part"),
    _number("resends"),
    _text("actor"),
    Column("op_id", Text, nullable=True),
    _text("outcome", "sending"),
    _text("reason"),
    Column("site_message_id", Text, nullable=True),
    _time("created_at_ms"),
    _maybe_time("settled_at_ms"),
    UniqueConstraint("account_id", "uuid"),
    Index("ix_outbox_answered", "account_id", "message_id"),
    Index("ix_outbox_site_message", "account_id", "site_message_id"),
    Index("ix_outbox_chat", "account_id", "chat_id", "created_at_ms"),
    Index("ix_outbox_buyer", "account_id", "buyer_id", "created_at_ms"),
    Index("ix_outbox_time", "account_id", "created_at_ms"),
    Index(
        "ix_outbox_op_id",
        "account_id",
        "op_id",
        sqlite_where=text("op_id IS NOT NULL"),
        postgresql_where=text("op_id IS NOT NULL"),
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

orders = Table(
    "orders",
    metadata,
    _account(primary_key=True),
    Column("order_id", Text, primary_key=True),
    Column("item_id", Text, nullable=True),
    _text("buyer_id"),
    _text("chat_id"),
    _text("status"),
    _text("amount"),
    _text("quantity"),
    _text("spec_name"),
    _text("spec_value"),
    _flag("group_price"),
    _text("problem"),
    _time("created_at_ms"),
    _time("updated_at_ms"),
    Index("ix_orders_time", "account_id", "created_at_ms"),
    Index("ix_orders_chat", "account_id", "chat_id"),
)

order_events = Table(
    "order_events",
    metadata,
    Column("id", _RowId, primary_key=True, autoincrement=True),
    _account(),
    Column("order_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    _text("source"),
    _text("act"),
    _text("outcome"),
    _text("words"),
    _text("message_id"),
    _maybe_time("site_at_ms"),
    _time("at_ms"),
    Index("ix_order_events_order", "account_id", "order_id"),
    sqlite_autoincrement=True,
)

order_actions = Table(
    "intents",
    metadata,
    _account(primary_key=True),
    Column("order_id", Text, primary_key=True),
    Column("action", Text, primary_key=True),
    _text("state", "intended"),
    _text("detail"),
    _time("created_at_ms"),
    _maybe_time("settled_at_ms"),
    _text("owner"),
    Column("epoch", BigInteger, nullable=False, server_default=text("0")),
    Index("ix_intents_order", "order_id", "action"),
)

chats = Table(
    "chats",
    metadata,
    _account(primary_key=True),
    Column("chat_id", Text, primary_key=True),
    _text("buyer_id"),
    _text("buyer_name"),
    Column("item_id", Text, nullable=True),
    _time("last_at_ms"),
    _text("last_text"),
    _text("last_direction"),
    _maybe_time("read_at_ms"),
    Index("ix_chats_time", "account_id", "last_at_ms"),
)

takeovers = Table(
    "chat_pauses",
    metadata,
    _account(primary_key=True),
    Column("chat_id", Text, primary_key=True),
    _text("reason"),
    _text("actor"),
    _time("since_ms"),
    _time("until_ms"),
)

sync_positions = Table(
    "sync_positions",
    metadata,
    _account(primary_key=True),
    _text("position"),
    _time("updated_at_ms"),
)

once_replies = Table(
    "once_replies",
    metadata,
    _account(primary_key=True),
    Column("chat_id", Text, primary_key=True),
    _time("at_ms"),
)

users = Table(
    "users",
    metadata,
    Column("id", _RowId, primary_key=True, autoincrement=True),
    Column("username", Text, nullable=False, unique=True),
    Column("email", Text, nullable=True, unique=True),
    Column("password_hash", Text, nullable=False),
    _text("role", "owner"),
    _flag("active", default=True),
    _time("created_at_ms"),
    _time("updated_at_ms"),
    _text("name_key"),
    _flag("leaving"),
    _maybe_time("signed_in_at_ms"),
    Column("totp_sealed", LargeBinary, nullable=True),
    Column("new_totp_sealed", LargeBinary, nullable=True),
    Column("totp_step", BigInteger, nullable=False, server_default=text("0")),
    Index("uq_users_name_key", "name_key", unique=True),
    sqlite_autoincrement=True,
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", Text, primary_key=True),
    _user(),
    _time("created_at_ms"),
    _time("expires_at_ms"),
    _time("last_used_ms"),
    _text("kind"),
    _text("user_agent"),
    _text("address"),
    Index("ix_sessions_user_id", "user_id"),
    Index("ix_sessions_expires_at_ms", "expires_at_ms"),
)

audit_entries = Table(
    "security_notes",
    metadata,
    Column("id", _RowId, primary_key=True, autoincrement=True),
    Column("note_id", Text, nullable=False),
    _time("at_ms"),
    _time("last_at_ms"),
    _number("times", 1),
    _text("kind"),
    _text("outcome"),
    _text("actor"),
    Column("user_id", BigInteger, nullable=True),
    _text("origin"),
    Column("account_id", Text, nullable=True),
    _text("facts"),
    UniqueConstraint("note_id"),
    Index("ix_security_notes_at_ms", "at_ms"),
    Index("ix_security_notes_user_id", "user_id"),
)

grants = Table(
    "grants",
    metadata,
    _account(primary_key=True),
    Column("user_id", _RowId, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    _text("access", "read"),
    _time("account_since_ms"),
    _time("since_ms"),
    _text("given_by"),
    Index("ix_grants_user_id", "user_id"),
)
"""What a person may do with a shop of somebody else. ``account_since_ms`` tells it from an earlier one of that id."""

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", _RowId, primary_key=True, autoincrement=True),
    Column("token_hash", Text, nullable=False, unique=True),
    Column("user_id", _RowId, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    _text("name"),
    _text("scope", "read"),
    Column("only_accounts", Text, nullable=True),
    _time("created_at_ms"),
    _time("expires_at_ms"),
    _maybe_time("last_used_ms"),
    Index("ix_api_tokens_user_id", "user_id"),
    sqlite_autoincrement=True,
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    _user(primary_key=True),
    Column("code_hash", Text, primary_key=True),
)

invitations = Table(
    "invitations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("token_hash", Text, nullable=False, unique=True),
    _text("role"),
    Column("email", Text, nullable=True),
    _user("for_user_id", nullable=True),
    _user("invited_by", nullable=True),
    _user("used_by", nullable=True),
    _time("created_at_ms"),
    _time("expires_at_ms"),
    _maybe_time("used_at_ms"),
    Index("ix_invitations_expires_at_ms", "expires_at_ms"),
)

store_meta = Table(
    "store_meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("counter", BigInteger, nullable=False, server_default=text("0")),
)

_OUTLIVE_A_PURGE = frozenset({"journal", "baselines", "ops", "intents", "security_notes"})
"""The past, and what was done for ever: an id that is taken again must not serve an old order a second time."""


def account_tables() -> list[Table]:
    """Every table a purge must empty of an account: all that name one, but those that outlive it."""
    return [
        table
        for table in reversed(metadata.sorted_tables)
        if "account_id" in table.columns and table.name not in _OUTLIVE_A_PURGE
    ]


def insert_or(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that can say ``on_conflict_do_nothing`` and ``on_conflict_do_update`` on the connected database."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


Row = dict[str, Any]
"""The values of one row by column name."""
