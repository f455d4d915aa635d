"""The tables of orders: what is known of each and of the items, the timelines, the actions that happen at most once."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Table, Text, text

from shoal.storage.columns import (
    RowId,
    account_column,
    flag_column,
    maybe_time_column,
    metadata,
    text_column,
    time_column,
)

OPEN_ACTION = "state IN ('pending', 'intended')"
"""The condition of actions that are to be done, or are being done: an index has them."""

orders = Table(
    "orders",
    metadata,
    account_column(primary_key=True),
    Column("order_id", Text, primary_key=True),
    Column("item_id", Text, nullable=True),
    text_column("buyer_id"),
    text_column("chat_id"),
    text_column("status"),
    text_column("amount"),
    text_column("quantity"),
    text_column("spec_name"),
    text_column("spec_value"),
    flag_column("group_price"),
    text_column("parcel"),
    text_column("one_text"),
    text_column("problem"),
    time_column("created_at_ms"),
    time_column("updated_at_ms"),
    Index("ix_orders_time", "account_id", "created_at_ms"),
    Index("ix_orders_chat", "account_id", "chat_id"),
)

order_events = Table(
    "order_events",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    account_column(),
    Column("order_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    text_column("source"),
    text_column("act"),
    text_column("outcome"),
    text_column("words"),
    text_column("message_id"),
    maybe_time_column("site_at_ms"),
    time_column("at_ms"),
    Column("posted", Text, nullable=True),
    Index("ix_order_events_order", "account_id", "order_id"),
    sqlite_autoincrement=True,
)
"""An order's timeline. ``posted``: the body that webhooks were sent of an entry; what the order says changes later."""

order_actions = Table(
    "intents",
    metadata,
    account_column(primary_key=True),
    Column("order_id", Text, primary_key=True),
    Column("action", Text, primary_key=True),
    text_column("state", "intended"),
    text_column("detail"),
    time_column("created_at_ms"),
    maybe_time_column("settled_at_ms"),
    text_column("owner"),
    Column("epoch", BigInteger, nullable=False, server_default=text("0")),
    maybe_time_column("due_at_ms"),
    Index("ix_intents_order", "order_id", "action"),
    Index(
        "uq_intents_under_way",
        "order_id",
        "action",
        unique=True,
        sqlite_where=text("state = 'intended'"),
        postgresql_where=text("state = 'intended'"),
    ),
    Index(
        "ix_intents_due",
        "account_id",
        "due_at_ms",
        sqlite_where=text("due_at_ms IS NOT NULL"),
        postgresql_where=text("due_at_ms IS NOT NULL"),
    ),
    Index(
        "ix_intents_open",
        "account_id",
        "created_at_ms",
        sqlite_where=text(OPEN_ACTION),
        postgresql_where=text(OPEN_ACTION),
    ),
)

known_items = Table(
    "known_items",
    metadata,
    account_column(primary_key=True),
    Column("item_id", Text, primary_key=True),
    text_column("title"),
    Column("price_fen", BigInteger, nullable=True),
    text_column("site_picture"),
    text_column("picture"),
    time_column("seen_at_ms"),
)
"""What the site calls the items of a shop, also those that are sold. ``site_picture``: the address of the picture on
the site; ``picture``: its address here, empty until it is fetched. ``seen_at_ms``: when the site last sent anything
new."""
