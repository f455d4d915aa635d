"""The first schema.

Revision ID: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _accounts()
    _journal()
    _ops()
    _store_meta()
    _users()
    _cookie_jars()
    _intents()
    _item_settings()
    _messages()
    _observed()
    _once_replies()
    _order_events()
    _orders()
    _outbox()
    _rules()
    _sessions()
    _tokens()


def _accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.BigInteger(), nullable=False),
        sa.Column("unb", sa.Text(), server_default="", nullable=False),
        sa.Column("cookie_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("cookie_fingerprint", sa.Text(), server_default="", nullable=False),
        sa.Column("cookie_version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("auto_confirm", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("remark", sa.Text(), server_default="", nullable=False),
        sa.Column("pause_duration", sa.Integer(), server_default=sa.text("10"), nullable=False),
        sa.Column("debounce_seconds", sa.Double(), nullable=True),
        sa.Column("paid_message", sa.Text(), server_default="", nullable=False),
        sa.Column("default_reply_enabled", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("default_reply", sa.Text(), server_default="", nullable=False),
        sa.Column("default_reply_once", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("restart_nonce", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("rev", sa.BigInteger(), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("purged", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
    )
    op.create_index("ix_accounts_owner_id", "accounts", ["owner_id"], unique=False)
    op.create_index("ix_accounts_shard", "accounts", ["shard"], unique=False)
    op.create_index(
        "uq_accounts_unb_living",
        "accounts",
        ["unb"],
        unique=True,
        sqlite_where=sa.text("NOT deleted"),
        postgresql_where=sa.text("NOT deleted"),
    )


def _journal() -> None:
    op.create_table(
        "journal",
        sa.Column("rev", _ROW_ID, autoincrement=True, nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("changes", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("op_id", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("rev", name=op.f("pk_journal")),
        sa.UniqueConstraint("account_id", "generation", name=op.f("uq_journal_account_id_generation")),
        sqlite_autoincrement=True,
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE journal ADD COLUMN xid8 xid8 NOT NULL DEFAULT pg_current_xact_id()")


def _ops() -> None:
    op.create_table(
        "ops",
        sa.Column("op_id", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("idem_key", sa.Text(), nullable=True),
        sa.Column("method", sa.Text(), server_default="", nullable=False),
        sa.Column("path", sa.Text(), server_default="", nullable=False),
        sa.Column("request_hash", sa.Text(), server_default="", nullable=False),
        sa.Column("account_id", sa.Text(), nullable=True),
        sa.Column("generation", sa.BigInteger(), nullable=True),
        sa.Column("rev", sa.BigInteger(), nullable=True),
        sa.Column("changed", sa.Boolean(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("at_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("op_id", name=op.f("pk_ops")),
    )
    op.create_index("ix_ops_expires_at_ms", "ops", ["expires_at_ms"], unique=False)
    op.create_index(
        "uq_ops_idem_key",
        "ops",
        ["actor", "idem_key", "method", "path"],
        unique=True,
        sqlite_where=sa.text("idem_key IS NOT NULL"),
        postgresql_where=sa.text("idem_key IS NOT NULL"),
    )


def _store_meta() -> None:
    op.create_table(
        "store_meta",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("counter", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_store_meta")),
    )


def _users() -> None:
    op.create_table(
        "users",
        sa.Column("id", _ROW_ID, autoincrement=True, nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), server_default="owner", nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
        sa.UniqueConstraint("username", name=op.f("uq_users_username")),
        sqlite_autoincrement=True,
    )


def _cookie_jars() -> None:
    op.create_table(
        "cookie_jars",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("based_on", sa.Integer(), nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_cookie_jars_account_id_accounts")),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_cookie_jars")),
    )


def _intents() -> None:
    op.create_table(
        "intents",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="intended", nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("settled_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("owner", sa.Text(), server_default="", nullable=False),
        sa.Column("epoch", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_intents_account_id_accounts")),
        sa.PrimaryKeyConstraint("account_id", "order_id", "action", name=op.f("pk_intents")),
    )


def _item_settings() -> None:
    op.create_table(
        "item_settings",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("reply", sa.Text(), server_default="", nullable=False),
        sa.Column("paid_message", sa.Text(), server_default="", nullable=False),
        sa.Column("nothing_to_send", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_item_settings_account_id_accounts")),
        sa.PrimaryKeyConstraint("account_id", "item_id", name=op.f("pk_item_settings")),
    )


def _messages() -> None:
    op.create_table(
        "messages",
        sa.Column("id", _ROW_ID, autoincrement=True, nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("chat_id", sa.Text(), nullable=False),
        sa.Column("item_id", sa.Text(), nullable=True),
        sa.Column("sender_id", sa.Text(), server_default="", nullable=False),
        sa.Column("sender_name", sa.Text(), server_default="", nullable=False),
        sa.Column("direction", sa.Text(), server_default="in", nullable=False),
        sa.Column("content_type", sa.Text(), server_default="text", nullable=False),
        sa.Column("text", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("received_at_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("handled", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_messages_account_id_accounts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
        sa.UniqueConstraint("account_id", "message_id", name=op.f("uq_messages_account_id_message_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_messages_chat", "messages", ["account_id", "chat_id", "created_at_ms"], unique=False)
    op.create_index("ix_messages_time", "messages", ["account_id", "created_at_ms"], unique=False)
    op.create_index(
        "ix_messages_unhandled",
        "messages",
        ["account_id", "received_at_ms"],
        unique=False,
        sqlite_where=sa.text("NOT handled"),
        postgresql_where=sa.text("NOT handled"),
    )


def _observed() -> None:
    op.create_table(
        "observed",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="stopped", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("since_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_attempt_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("observed_generation", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("crash_loop", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("parked_reason", sa.Text(), server_default="", nullable=False),
        sa.Column("parked_for_cookie", sa.Integer(), nullable=True),
        sa.Column("parked_for_nonce", sa.Integer(), nullable=True),
        sa.Column("parked_since_ms", sa.BigInteger(), nullable=True),
        sa.Column("action_url", sa.Text(), server_default="", nullable=False),
        sa.Column("connected_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("last_heartbeat_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("last_message_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("owner", sa.Text(), server_default="", nullable=False),
        sa.Column("epoch", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_observed_account_id_accounts")),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_observed")),
    )


def _once_replies() -> None:
    op.create_table(
        "once_replies",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("chat_id", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_once_replies_account_id_accounts")),
        sa.PrimaryKeyConstraint("account_id", "chat_id", name=op.f("pk_once_replies")),
    )


def _order_events() -> None:
    op.create_table(
        "order_events",
        sa.Column("id", _ROW_ID, autoincrement=True, nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), server_default="", nullable=False),
        sa.Column("at_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_order_events_account_id_accounts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_events")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_order_events_order", "order_events", ["account_id", "order_id"], unique=False)


def _orders() -> None:
    op.create_table(
        "orders",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("item_id", sa.Text(), nullable=True),
        sa.Column("buyer_id", sa.Text(), server_default="", nullable=False),
        sa.Column("chat_id", sa.Text(), server_default="", nullable=False),
        sa.Column("status", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_orders_account_id_accounts")),
        sa.PrimaryKeyConstraint("account_id", "order_id", name=op.f("pk_orders")),
    )
    op.create_index("ix_orders_time", "orders", ["account_id", "created_at_ms"], unique=False)


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", _ROW_ID, autoincrement=True, nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("chat_id", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), server_default="reply", nullable=False),
        sa.Column("order_id", sa.Text(), nullable=True),
        sa.Column("buyer_id", sa.Text(), server_default="", nullable=False),
        sa.Column("uuid", sa.Text(), nullable=False),
        sa.Column("rule_id", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), server_default="", nullable=False),
        sa.Column("image_url", sa.Text(), server_default="", nullable=False),
        sa.Column("outcome", sa.Text(), server_default="sending", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("site_message_id", sa.Text(), nullable=True),
        sa.Column("created_at_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("settled_at_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_outbox_account_id_accounts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("account_id", "uuid", name=op.f("uq_outbox_account_id_uuid")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_outbox_answered", "outbox", ["account_id", "message_id"], unique=False)
    op.create_index("ix_outbox_chat", "outbox", ["account_id", "chat_id", "created_at_ms"], unique=False)
    op.create_index("ix_outbox_site_message", "outbox", ["account_id", "site_message_id"], unique=False)


def _rules() -> None:
    op.create_table(
        "rules",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("keyword", sa.Text(), nullable=False),
        sa.Column("reply", sa.Text(), server_default="", nullable=False),
        sa.Column("item_id", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), server_default="text", nullable=False),
        sa.Column("image_url", sa.Text(), server_default="", nullable=False),
        sa.Column("position", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("match_mode", sa.Text(), server_default="contains", nullable=False),
        sa.Column("priority", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("schedule", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_rules_account_id_accounts")),
        sa.PrimaryKeyConstraint("account_id", "id", name=op.f("pk_rules")),
    )


def _sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("user_id", _ROW_ID, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_used_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("kind", sa.Text(), server_default="", nullable=False),
        sa.Column("user_agent", sa.Text(), server_default="", nullable=False),
        sa.Column("address", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sessions_user_id_users"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_sessions")),
    )
    op.create_index("ix_sessions_expires_at_ms", "sessions", ["expires_at_ms"], unique=False)
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"], unique=False)


def _tokens() -> None:
    op.create_table(
        "tokens",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("based_on", sa.Integer(), nullable=True),
        sa.Column("obtained_at_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_tokens_account_id_accounts")),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_tokens")),
    )
