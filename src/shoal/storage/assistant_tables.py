"""The tables of language models: who is asked (providers), how each fares, what was asked, what it cost, item pages."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, text

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

OPEN_RUN = "state IN ('asked', 'drafted')"
"""The runs that may still change; spelled out, because the index is used only for queries with this condition."""


def _count_column(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default=text("0"))


ai_providers = Table(
    "ai_providers",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    user_column("owner_id"),
    text_column("name"),
    text_column("kind", "openai"),
    Column("settings_sealed", LargeBinary, nullable=False),
    text_column("host"),
    text_column("model"),
    number_column("price_in_fen"),
    number_column("price_out_fen"),
    number_column("calls_per_minute", 30),
    Column("fen_per_day", Integer, nullable=True),
    text_column("consented_host"),
    maybe_time_column("consented_at_ms"),
    number_column("version", 1),
    time_column("created_at_ms"),
    time_column("changed_at_ms"),
    text_column("op_id"),
    Index("ix_ai_providers_owner_id", "owner_id"),
    sqlite_autoincrement=True,
)
"""Who answers a user's questions. ``host`` is the one that is called, with its port, for people; prices are in fen per
million tokens. ``fen_per_day`` is the most that a day may cost, all shops together; without one it is not limited.
``consented_host``: to whom the owner agreed that words go; only while it is ``host`` is anything sent. ``version``
counts changes; it is the ETag. ``op_id``: the op that added it, by which a repeated request finds it."""

ai_provider_states = Table(
    "ai_provider_states",
    metadata,
    Column(
        "provider_id",
        RowId,
        ForeignKey("ai_providers.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    number_column("failures"),
    maybe_time_column("failing_since_ms"),
    time_column("resting_until_ms"),
    number_column("rests"),
    text_column("last_error"),
    time_column("minute_began_ms"),
    number_column("minute_calls"),
    text_column("checks_day"),
    _count_column("checks_cost_microfen"),
)
"""How a provider fares. ``failures`` within the time since ``failing_since_ms``; ``rests``: how many followed one
another. ``minute_calls``: the calls of the minute that began at ``minute_began_ms``. It is one row, so that it holds
for all servers. ``checks_cost_microfen``: what checks of it cost on ``checks_day`` in China; they are of no shop."""

ai_usage = Table(
    "ai_usage",
    metadata,
    account_column(primary_key=True),
    Column("provider_id", BigInteger, primary_key=True, autoincrement=False),
    Column("day", Text, primary_key=True),
    number_column("calls"),
    _count_column("tokens_in"),
    _count_column("tokens_out"),
    _count_column("cost_microfen"),
    Index("ix_ai_usage_provider", "provider_id", "day"),
)
"""What a shop asked of a provider on a ``day`` (``YYYY-MM-DD`` in the shop's zone), reservations included. Tokens times
the price in fen per million are exact in millionths of a fen. It outlives a purge: what is spent is spent."""

ai_runs = Table(
    "ai_runs",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    account_column(),
    text_column("chat_id"),
    text_column("buyer_id"),
    text_column("message_ids", "[]"),
    text_column("item_id"),
    Column("provider_id", BigInteger, nullable=False, server_default=text("0")),
    text_column("model"),
    text_column("prompt_hash"),
    text_column("mode", "draft"),
    text_column("state", "asked"),
    text_column("why"),
    text_column("rail"),
    number_column("tokens_in"),
    number_column("tokens_out"),
    _count_column("cost_microfen"),
    number_column("duration_ms"),
    Column("offered_fen", BigInteger, nullable=True),
    text_column("text"),
    text_column("raw"),
    text_column("actor"),
    Column("outbox_id", BigInteger, nullable=True),
    time_column("created_at_ms"),
    maybe_time_column("decided_at_ms"),
    Index("ix_ai_runs_account", "account_id", "id"),
    Index("ix_ai_runs_chat", "account_id", "chat_id", "id"),
    Index("ix_ai_runs_open", "account_id", "chat_id", sqlite_where=text(OPEN_RUN), postgresql_where=text(OPEN_RUN)),
    Index("ix_ai_runs_created_at_ms", "created_at_ms"),
    sqlite_autoincrement=True,
)
"""One question to a model, stored before it is asked, and what became of it. ``message_ids`` is a JSON list; ``rail``
held the text back; ``raw`` is what the model said, without secrets; ``actor`` approved or dropped a draft."""

item_pages = Table(
    "item_pages",
    metadata,
    account_column(primary_key=True),
    Column("item_id", Text, primary_key=True),
    text_column("unb"),
    text_column("title"),
    text_column("description"),
    Column("price_fen", BigInteger, nullable=True),
    text_column("specs", "[]"),
    flag_column("has_specs"),
    Column("quantity", Integer, nullable=True),
    text_column("status"),
    maybe_time_column("read_at_ms"),
    time_column("asked_at_ms"),
    text_column("why"),
)
"""What the site's page said of an item when it was last read (``read_at_ms``), for the seller ``unb``. ``specs`` is
a JSON list of names, fen and pieces left. ``asked_at_ms``: when the site was last asked; ``why`` it was not read then,
empty when it was. It is written by the server that runs the shop, and read by any."""
