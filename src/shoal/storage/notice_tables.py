"""The tables of notices: what happened (incidents), who is notified of it over which channel, and webhooks."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, UniqueConstraint, text

from shoal.storage.columns import (
    RowId,
    flag_column,
    maybe_time_column,
    metadata,
    number_column,
    text_column,
    time_column,
    user_column,
)

LIVE = "NOT over"
"""The incidents that may still change; spelled out, because the index is used only for queries with this condition."""

TO_PLAN = "due_at_ms IS NOT NULL"
"""The incidents that the planner must look at, at that time; spelled out like ``LIVE``."""

TO_SEND = "state IN ('waiting', 'sending', 'failed')"
"""The notices that must be sent; spelled out like ``LIVE``."""


def _channel_column(*, primary_key: bool = False) -> Column[int]:
    key = ForeignKey("channels.id", ondelete="CASCADE")
    return Column("channel_id", RowId, key, primary_key=primary_key, nullable=False)


channels = Table(
    "channels",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    user_column(),
    text_column("name"),
    text_column("service"),
    Column("address_sealed", LargeBinary, nullable=False),
    text_column("language"),
    text_column("quiet_from"),
    text_column("quiet_to"),
    text_column("quiet_zone"),
    text_column("least", "info"),
    flag_column("buyer_words"),
    flag_column("active", default=True),
    text_column("off_reason"),
    number_column("version", 1),
    time_column("created_at_ms"),
    time_column("changed_at_ms"),
    Index("ix_channels_user_id", "user_id"),
    sqlite_autoincrement=True,
)
"""Where a user is notified. ``quiet_from`` and ``quiet_to`` are ``HH:MM`` in ``quiet_zone``; empty: no quiet hours.
``buyer_words``: whether notices may quote buyers. ``off_reason``: why the server switched it off. ``version`` counts
changes; it is the ETag."""

page_alerts = Table(
    "page_alerts",
    metadata,
    user_column(primary_key=True),
    flag_column("title", default=True),
    flag_column("sound"),
    flag_column("notify"),
    text_column("accounts"),
)
"""What a user's open pages do when a buyer waits. ``accounts`` is a JSON list; an empty text does not limit."""

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    _channel_column(),
    text_column("kinds"),
    text_column("accounts"),
    text_column("tags"),
    Index("ix_subscriptions_channel_id", "channel_id"),
    sqlite_autoincrement=True,
)
"""What a channel reports. Each column is a JSON list; an empty text does not limit. They are no rows of accounts: a
removed account that took its row along would turn "only this one" into "all"."""

incidents = Table(
    "incidents",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("subject", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("account_id", Text, nullable=True),
    Column("user_id", BigInteger, nullable=True),
    time_column("opened_at_ms"),
    time_column("last_at_ms"),
    maybe_time_column("told_at_ms"),
    maybe_time_column("closed_at_ms"),
    time_column("turned_at_ms"),
    maybe_time_column("due_at_ms"),
    flag_column("over"),
    number_column("count", 1),
    text_column("detail"),
    text_column("facts"),
    Index(
        "uq_incidents_live",
        "subject",
        "kind",
        unique=True,
        sqlite_where=text(LIVE),
        postgresql_where=text(LIVE),
    ),
    Index("ix_incidents_due", "due_at_ms", sqlite_where=text(TO_PLAN), postgresql_where=text(TO_PLAN)),
    Index("ix_incidents_subject", "subject", "kind", "opened_at_ms"),
    Index("ix_incidents_account", "account_id", "id"),
    Index("ix_incidents_user_id", "user_id", "id"),
    sqlite_autoincrement=True,
)
"""Something that a user should know, from its beginning to its end. ``subject`` is what it happened to; it is unique by
kind while the incident is not ``over``: until its end is reported, or its beginning never was.

It concerns those who see the account ``account_id``, else the user ``user_id``, else administrators. ``told_at_ms``:
when its notices were planned. ``turned_at_ms``: since when it is open or closed as it is now. ``due_at_ms``: when the
planner must look at it again. ``count``: how often it came."""

incident_events = Table(
    "incident_events",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("incident_id", RowId, ForeignKey("incidents.id", ondelete="CASCADE"), nullable=False),
    Column("phase", Text, nullable=False),
    time_column("at_ms"),
    Column("posted", Text, nullable=True),
    UniqueConstraint("incident_id", "phase", "at_ms"),
    sqlite_autoincrement=True,
)
"""Each time that an incident was opened, came back or was closed: what streams of events and webhooks report.
``posted``: the body that webhooks were sent; what the incident says changes later."""

notices = Table(
    "notices",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("incident_id", RowId, ForeignKey("incidents.id", ondelete="CASCADE"), nullable=True),
    _channel_column(),
    Column("phase", Text, nullable=False),
    Column("digest_id", RowId, ForeignKey("notices.id", ondelete="CASCADE"), nullable=True),
    text_column("state", "waiting"),
    time_column("due_at_ms"),
    number_column("tries"),
    flag_column("maybe_again"),
    text_column("last_error"),
    text_column("failure"),
    text_column("failure_host"),
    Column("dedupe_id", Text, nullable=False, unique=True),
    time_column("created_at_ms"),
    maybe_time_column("begun_at_ms"),
    maybe_time_column("settled_at_ms"),
    Index(
        "uq_notices_phase",
        "incident_id",
        "channel_id",
        "phase",
        unique=True,
        sqlite_where=text("incident_id IS NOT NULL"),
        postgresql_where=text("incident_id IS NOT NULL"),
    ),
    Index(
        "ix_notices_to_send",
        "channel_id",
        "due_at_ms",
        sqlite_where=text(TO_SEND),
        postgresql_where=text(TO_SEND),
    ),
    Index("ix_notices_channel", "channel_id", "id"),
    Index(
        "ix_notices_digest",
        "digest_id",
        sqlite_where=text("digest_id IS NOT NULL"),
        postgresql_where=text("digest_id IS NOT NULL"),
    ),
    sqlite_autoincrement=True,
)
"""One thing to report over one channel. A digest has no incident; those it stands for have its id. ``maybe_again``: an
earlier sending has no known outcome. ``last_error``: what the service answered; ``failure``: why it gave no answer, a
code, and ``failure_host`` the host that this is about."""

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    user_column(),
    Column("address_sealed", LargeBinary, nullable=False),
    Column("secret_sealed", LargeBinary, nullable=False),
    text_column("kinds"),
    text_column("accounts"),
    flag_column("active", default=True),
    text_column("off_reason"),
    text_column("position"),
    number_column("tries"),
    maybe_time_column("failing_since_ms"),
    maybe_time_column("tried_since_ms"),
    maybe_time_column("arrived_at_ms"),
    maybe_time_column("due_at_ms"),
    number_column("version", 1),
    time_column("created_at_ms"),
    time_column("changed_at_ms"),
    Index("ix_webhooks_user_id", "user_id"),
    sqlite_autoincrement=True,
)
"""Where events of a user's shops are sent. ``kinds`` and ``accounts`` are JSON lists; an empty text does not limit.
``position``: how far its events arrived, or were passed over (``accounts/positions.py``). ``tries``: how often the next
one failed, ``tried_since_ms`` since when; ``failing_since_ms``: since when none arrives, ``arrived_at_ms``: when one
did. ``off_reason``: why the server switched it off."""

webhook_attempts = Table(
    "webhook_attempts",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("webhook_id", RowId, ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False),
    text_column("event_id"),
    text_column("type"),
    time_column("at_ms"),
    Column("status", Integer, nullable=True),
    number_column("took_ms"),
    text_column("error"),
    text_column("answer"),
    Index("ix_webhook_attempts_webhook", "webhook_id", "id"),
    Index("ix_webhook_attempts_at_ms", "at_ms"),
    sqlite_autoincrement=True,
)
"""Every call of a webhook: its HTTP status (none without an answer) and the first bytes of the answer."""
