"""The tables of users: sessions, tokens, permissions, the audit log."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, Table, Text, UniqueConstraint, text

from shoal.storage.columns import (
    RowId,
    account_column,
    flag_column,
    maybe_time_column,
    metadata,
    number_column,
    text_column,
    time_column,
    user_column,
)

users = Table(
    "users",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("username", Text, nullable=False, unique=True),
    Column("email", Text, nullable=True, unique=True),
    Column("password_hash", Text, nullable=False),
    text_column("role", "owner"),
    flag_column("active", default=True),
    time_column("created_at_ms"),
    time_column("updated_at_ms"),
    text_column("name_key"),
    flag_column("leaving"),
    maybe_time_column("signed_in_at_ms"),
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
    user_column(),
    time_column("created_at_ms"),
    time_column("expires_at_ms"),
    time_column("last_used_ms"),
    text_column("kind"),
    text_column("user_agent"),
    text_column("address"),
    Index("ix_sessions_user_id", "user_id"),
    Index("ix_sessions_expires_at_ms", "expires_at_ms"),
)

audit_entries = Table(
    "security_notes",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("note_id", Text, nullable=False),
    time_column("at_ms"),
    time_column("last_at_ms"),
    number_column("times", 1),
    text_column("kind"),
    text_column("outcome"),
    text_column("actor"),
    Column("user_id", BigInteger, nullable=True),
    text_column("origin"),
    Column("account_id", Text, nullable=True),
    text_column("facts"),
    UniqueConstraint("note_id"),
    Index("ix_security_notes_at_ms", "at_ms"),
    Index("ix_security_notes_user_id", "user_id"),
    sqlite_autoincrement=True,
)

grants = Table(
    "grants",
    metadata,
    account_column(primary_key=True),
    Column("user_id", RowId, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    text_column("access", "read"),
    time_column("account_since_ms"),
    time_column("since_ms"),
    text_column("given_by"),
    Index("ix_grants_user_id", "user_id"),
)
"""What a user may do with another user's account. ``account_since_ms`` distinguishes it from an earlier account of that
id."""

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("token_hash", Text, nullable=False, unique=True),
    Column("user_id", RowId, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    text_column("name"),
    text_column("scope", "read"),
    Column("only_accounts", Text, nullable=True),
    time_column("created_at_ms"),
    time_column("expires_at_ms"),
    maybe_time_column("last_used_ms"),
    Index("ix_api_tokens_user_id", "user_id"),
    sqlite_autoincrement=True,
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    user_column(primary_key=True),
    Column("code_hash", Text, primary_key=True),
)

invitations = Table(
    "invitations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("token_hash", Text, nullable=False, unique=True),
    text_column("role"),
    Column("email", Text, nullable=True),
    user_column("for_user_id", nullable=True),
    user_column("invited_by", nullable=True),
    user_column("used_by", nullable=True),
    time_column("created_at_ms"),
    time_column("expires_at_ms"),
    maybe_time_column("used_at_ms"),
    Column("shops", Text, nullable=True),
    Index("ix_invitations_expires_at_ms", "expires_at_ms"),
)
"""``shops``: the accounts that are shared with the new user, as JSON (``auth/invitations.py``)."""
