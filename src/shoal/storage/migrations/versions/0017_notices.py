"""The tables of notices: channels and what each tells, incidents and their notices, webhooks and their attempts.

Revision ID: 0017
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_NUMBERS = (sa.text("0"), sa.text("1"))


def upgrade() -> None:
    _channels()
    _page_alerts()
    _incidents()
    _notices()
    _webhooks()


def _id() -> sa.Column[int]:
    return sa.Column("id", _ROW_ID, autoincrement=True, nullable=False)


def _text(name: str, default: str = "") -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default=default, nullable=False)


def _number(name: str, default: int = 0) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default=_NUMBERS[default], nullable=False)


def _flag(name: str, *, default: bool = False) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), server_default=sa.true() if default else sa.false(), nullable=False)


def _time(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False)


def _maybe_time(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=True)


def _of(table: str, column: str, other: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{other}.id"], name=f"fk_{table}_{column}_{other}", ondelete="CASCADE")


def _index(name: str, table: str, *columns: str, where: sa.TextClause | None = None, unique: bool = False) -> None:
    limit: dict[str, Any] = {} if where is None else {"sqlite_where": where, "postgresql_where": where}
    op.create_index(name, table, list(columns), unique=unique, **limit)


def _channels() -> None:
    op.create_table(
        "channels",
        _id(),
        sa.Column("user_id", _ROW_ID, nullable=False),
        _text("name"),
        _text("service"),
        sa.Column("address_sealed", sa.LargeBinary(), nullable=False),
        _text("language"),
        _text("quiet_from"),
        _text("quiet_to"),
        _text("quiet_zone"),
        _text("least", "info"),
        _flag("buyer_words"),
        _flag("active", default=True),
        _text("off_reason"),
        _number("version", 1),
        _time("created_at_ms"),
        _time("changed_at_ms"),
        _of("channels", "user_id", "users"),
        sa.PrimaryKeyConstraint("id", name="pk_channels"),
        sqlite_autoincrement=True,
    )
    _index("ix_channels_user_id", "channels", "user_id")
    op.create_table(
        "subscriptions",
        _id(),
        sa.Column("channel_id", _ROW_ID, nullable=False),
        _text("kinds"),
        _text("accounts"),
        _text("tags"),
        _of("subscriptions", "channel_id", "channels"),
        sa.PrimaryKeyConstraint("id", name="pk_subscriptions"),
        sqlite_autoincrement=True,
    )
    _index("ix_subscriptions_channel_id", "subscriptions", "channel_id")


def _page_alerts() -> None:
    op.create_table(
        "page_alerts",
        sa.Column("user_id", _ROW_ID, nullable=False),
        _flag("title", default=True),
        _flag("sound"),
        _flag("notify"),
        _text("accounts"),
        _of("page_alerts", "user_id", "users"),
        sa.PrimaryKeyConstraint("user_id", name="pk_page_alerts"),
    )


def _incidents() -> None:
    op.create_table(
        "incidents",
        _id(),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=True),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        _time("opened_at_ms"),
        _time("last_at_ms"),
        _maybe_time("told_at_ms"),
        _maybe_time("closed_at_ms"),
        _time("turned_at_ms"),
        _maybe_time("due_at_ms"),
        _flag("over"),
        _number("count", 1),
        _text("detail"),
        _text("facts"),
        sa.PrimaryKeyConstraint("id", name="pk_incidents"),
        sqlite_autoincrement=True,
    )
    _index("uq_incidents_live", "incidents", "subject", "kind", where=sa.text("NOT over"), unique=True)
    _index("ix_incidents_due", "incidents", "due_at_ms", where=sa.text("due_at_ms IS NOT NULL"))
    _index("ix_incidents_subject", "incidents", "subject", "kind", "opened_at_ms")
    _index("ix_incidents_account", "incidents", "account_id", "id")
    _index("ix_incidents_user_id", "incidents", "user_id", "id")
    op.create_table(
        "incident_events",
        _id(),
        sa.Column("incident_id", _ROW_ID, nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        _time("at_ms"),
        _of("incident_events", "incident_id", "incidents"),
        sa.PrimaryKeyConstraint("id", name="pk_incident_events"),
        sa.UniqueConstraint("incident_id", "phase", "at_ms", name="uq_incident_events_incident_id_phase_at_ms"),
        sqlite_autoincrement=True,
    )


def _notices() -> None:
    op.create_table(
        "notices",
        _id(),
        sa.Column("incident_id", _ROW_ID, nullable=True),
        sa.Column("channel_id", _ROW_ID, nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("digest_id", _ROW_ID, nullable=True),
        _text("state", "waiting"),
        _time("due_at_ms"),
        _number("tries"),
        _flag("maybe_again"),
        _text("last_error"),
        sa.Column("dedupe_id", sa.Text(), nullable=False),
        _time("created_at_ms"),
        _maybe_time("begun_at_ms"),
        _maybe_time("settled_at_ms"),
        _of("notices", "channel_id", "channels"),
        _of("notices", "digest_id", "notices"),
        _of("notices", "incident_id", "incidents"),
        sa.PrimaryKeyConstraint("id", name="pk_notices"),
        sa.UniqueConstraint("dedupe_id", name="uq_notices_dedupe_id"),
        sqlite_autoincrement=True,
    )
    told_once = sa.text("incident_id IS NOT NULL")
    _index("uq_notices_phase", "notices", "incident_id", "channel_id", "phase", where=told_once, unique=True)
    to_send = sa.text("state IN ('waiting', 'sending', 'failed')")
    _index("ix_notices_to_send", "notices", "channel_id", "due_at_ms", where=to_send)
    _index("ix_notices_channel", "notices", "channel_id", "id")
    _index("ix_notices_digest", "notices", "digest_id", where=sa.text("digest_id IS NOT NULL"))


def _webhooks() -> None:
    op.create_table(
        "webhooks",
        _id(),
        sa.Column("user_id", _ROW_ID, nullable=False),
        sa.Column("address_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("secret_sealed", sa.LargeBinary(), nullable=False),
        _text("kinds"),
        _text("accounts"),
        _flag("active", default=True),
        _text("off_reason"),
        _text("position"),
        _number("tries"),
        _maybe_time("failing_since_ms"),
        _maybe_time("tried_since_ms"),
        _maybe_time("arrived_at_ms"),
        _maybe_time("due_at_ms"),
        _number("version", 1),
        _time("created_at_ms"),
        _time("changed_at_ms"),
        _of("webhooks", "user_id", "users"),
        sa.PrimaryKeyConstraint("id", name="pk_webhooks"),
        sqlite_autoincrement=True,
    )
    _index("ix_webhooks_user_id", "webhooks", "user_id")
    op.create_table(
        "webhook_attempts",
        _id(),
        sa.Column("webhook_id", _ROW_ID, nullable=False),
        _text("event_id"),
        _text("type"),
        _time("at_ms"),
        sa.Column("status", sa.Integer(), nullable=True),
        _number("took_ms"),
        _text("error"),
        _text("answer"),
        _of("webhook_attempts", "webhook_id", "webhooks"),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_attempts"),
        sqlite_autoincrement=True,
    )
    _index("ix_webhook_attempts_webhook", "webhook_attempts", "webhook_id", "id")
    _index("ix_webhook_attempts_at_ms", "webhook_attempts", "at_ms")
