"""The tables of the past: the journal and its baselines, ops, observations and the moves between states."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Table, Text, UniqueConstraint, text

from shoal.storage.columns import (
    RowId,
    account_column,
    flag_column,
    maybe_time_column,
    metadata,
    text_column,
    time_column,
)

journal = Table(
    "journal",
    metadata,
    Column("rev", RowId, primary_key=True, autoincrement=True),
    Column("account_id", Text, nullable=False),
    Column("owner_id", BigInteger, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("changes", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("op_id", Text, nullable=False),
    time_column("at_ms"),
    text_column("origin"),
    UniqueConstraint("account_id", "generation"),
    sqlite_autoincrement=True,
)

baselines = Table(
    "baselines",
    metadata,
    Column("account_id", Text, primary_key=True),
    Column("rev", BigInteger, nullable=False),
    Column("generation", BigInteger, nullable=False),
    text_column("projection"),
    flag_column("deleted"),
    Index("ix_baselines_rev", "rev"),
)

ops = Table(
    "ops",
    metadata,
    Column("op_id", Text, primary_key=True),
    Column("actor", Text, nullable=False),
    Column("idem_key", Text, nullable=True),
    text_column("method"),
    text_column("path"),
    text_column("request_hash"),
    Column("account_id", Text, nullable=True),
    Column("generation", BigInteger, nullable=True),
    Column("rev", BigInteger, nullable=True),
    Column("changed", Boolean, nullable=True),
    Column("status", Integer, nullable=True),
    Column("answer", Text, nullable=True),
    time_column("at_ms"),
    maybe_time_column("expires_at_ms"),
    Column("reserved_by", Text, nullable=True),
    Column("reserved_inc", BigInteger, nullable=True),
    Index("ix_ops_at_ms", "at_ms"),
    Index(
        "ix_ops_expires_at_ms",
        "expires_at_ms",
        sqlite_where=text("expires_at_ms IS NOT NULL"),
        postgresql_where=text("expires_at_ms IS NOT NULL"),
    ),
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

state_moves = Table(
    "state_moves",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    account_column(),
    text_column("state"),
    text_column("reason"),
    time_column("at_ms"),
    UniqueConstraint("account_id", "at_ms", "state"),
    Index("ix_state_moves_account", "account_id", "id"),
    Index("ix_state_moves_at_ms", "at_ms"),
    sqlite_autoincrement=True,
)

observed = Table(
    "observed",
    metadata,
    account_column(primary_key=True),
    text_column("state", "stopped"),
    text_column("reason"),
    text_column("detail"),
    time_column("since_ms"),
    maybe_time_column("next_attempt_at_ms"),
    Column("observed_generation", BigInteger, nullable=False, server_default=text("0")),
    flag_column("crash_loop"),
    text_column("parked_reason"),
    Column("parked_for_cookie", Integer, nullable=True),
    Column("parked_for_nonce", Integer, nullable=True),
    maybe_time_column("parked_since_ms"),
    text_column("action_url"),
    maybe_time_column("connected_at_ms"),
    maybe_time_column("last_heartbeat_at_ms"),
    maybe_time_column("last_message_at_ms"),
    text_column("seller_name"),
    text_column("seller_picture"),
    text_column("owner"),
    Column("epoch", BigInteger, nullable=False, server_default=text("0")),
)
