"""The tables of goods: what owners sell by machine, the units in stock, and which order has which unit.

They have no column ``account_id``: goods belong to a user, and a binding to a seller's number. An account that is
removed and added again is the same seller, so a purge must not forget which order was served.
"""

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

UNIT_FREE = "units.state = 'free'"
"""The units that an order can get; spelled out, because the index is used only for queries with this condition."""

UNIT_NOT_FREE = "units.state <> 'free'"
"""All other units, spelled out like ``UNIT_FREE``."""

BOUND = "bindings.state <> 'released'"
"""The bindings that count; spelled out like ``UNIT_FREE``."""


def _goods_column() -> Column[int]:
    return Column("goods_id", RowId, ForeignKey("goods.id", ondelete="CASCADE"), nullable=False)


goods = Table(
    "goods",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    user_column("owner_id"),
    text_column("name"),
    text_column("kind", "stock"),
    number_column("per_message", 1),
    number_column("low_at"),
    flag_column("active", default=True),
    text_column("text"),
    text_column("image_url"),
    Column("uses_each", Integer, nullable=True),
    flag_column("serve_on_restock"),
    Column("supplier_sealed", LargeBinary, nullable=True),
    number_column("version", 1),
    time_column("created_at_ms"),
    time_column("changed_at_ms"),
    Index("ix_goods_owner_id", "owner_id"),
    sqlite_autoincrement=True,
)
"""``uses_each``: how often a reusable unit may go out. ``version`` counts changes; it is the ETag."""

cards = Table(
    "cards",
    metadata,
    Column("goods_id", RowId, ForeignKey("goods.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    text_column("description"),
    number_column("delay_seconds"),
    text_column("spec_name"),
    text_column("spec_value"),
    text_column("off_rules"),
)
"""What cards of the older system's API say beside their goods. ``off_rules``: JSON, the rules that are off."""

batches = Table(
    "batches",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    _goods_column(),
    text_column("state", "importing"),
    text_column("file_name"),
    text_column("file_hash"),
    number_column("lines"),
    number_column("done"),
    number_column("taken"),
    number_column("doubles"),
    number_column("refused"),
    number_column("undone"),
    text_column("actor"),
    text_column("op_id"),
    time_column("created_at_ms"),
    maybe_time_column("ended_at_ms"),
    maybe_time_column("undone_at_ms"),
    Index("ix_batches_goods", "goods_id", "id"),
    sqlite_autoincrement=True,
)
"""One import: ``lines`` it has, and how many of them are ``done``: ``taken`` as units, ``doubles`` or ``refused``.
``undone`` of the units taken were taken back."""

units = Table(
    "units",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    _goods_column(),
    Column("owner_id", BigInteger, nullable=False),
    Column("sealed", LargeBinary, nullable=True),
    Column("digest", Text, nullable=True),
    Column("batch_id", RowId, ForeignKey("batches.id", ondelete="CASCADE"), nullable=True),
    text_column("state", "free"),
    number_column("uses"),
    time_column("at_ms"),
    UniqueConstraint("goods_id", "digest"),
    Index(
        "ix_units_free", "goods_id", "id", sqlite_where=text("state = 'free'"), postgresql_where=text("state = 'free'")
    ),
    Index(
        "ix_units_not_free",
        "goods_id",
        "state",
        "id",
        sqlite_where=text("state <> 'free'"),
        postgresql_where=text("state <> 'free'"),
    ),
    Index("ix_units_batch", "batch_id", "state"),
    sqlite_autoincrement=True,
)
"""``sealed`` and ``digest`` are NULL only while a unit is fetched from a supplier. ``at_ms``: since when its state."""

bindings = Table(
    "bindings",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("unit_id", BigInteger, nullable=False),
    Column("goods_id", BigInteger, nullable=False),
    Column("owner_id", BigInteger, nullable=False),
    Column("unb", Text, nullable=False),
    Column("order_id", Text, nullable=False),
    number_column("unit_no"),
    Column("replaces", Integer, nullable=True),
    text_column("state", "held"),
    flag_column("one_time", default=True),
    text_column("reason"),
    time_column("created_at_ms"),
    maybe_time_column("settled_at_ms"),
    Index(
        "uq_bindings_order",
        "unb",
        "order_id",
        "unit_no",
        unique=True,
        sqlite_where=text("state <> 'released'"),
        postgresql_where=text("state <> 'released'"),
    ),
    Index(
        "uq_bindings_one_time",
        "unit_id",
        unique=True,
        sqlite_where=text("one_time AND state <> 'released'"),
        postgresql_where=text("one_time AND state <> 'released'"),
    ),
    Index("ix_bindings_unit_id", "unit_id"),
    sqlite_autoincrement=True,
)
"""A unit of an order, written once; a released one never left and counts no longer. No row refers to it or from it by
a foreign key: it outlives unit, goods and user, so that an order is never served a second time."""

deliveries = Table(
    "deliveries",
    metadata,
    Column("unb", Text, primary_key=True),
    Column("order_id", Text, primary_key=True),
    Column("owner_id", BigInteger, nullable=False),
    Column("goods_id", BigInteger, nullable=True),
    number_column("wanted"),
    text_column("parts"),
    text_column("confirm"),
    text_column("state", "begun"),
    text_column("why"),
    number_column("arrived"),
    time_column("created_at_ms"),
    maybe_time_column("settled_at_ms"),
    Index("ix_deliveries_owner_id", "owner_id"),
)
"""What an order gets: how many units of which goods, and the texts (with ``{codes}``) as they were when it began.
``arrived``: how many of its messages arrived, from the first on."""

stock_history = Table(
    "stock_history",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    _goods_column(),
    Column("unit_id", BigInteger, nullable=True),
    Column("batch_id", BigInteger, nullable=True),
    text_column("unb"),
    text_column("order_id"),
    text_column("what"),
    number_column("count", 1),
    text_column("reason"),
    text_column("facts"),
    text_column("actor"),
    text_column("op_id"),
    time_column("at_ms"),
    Index("ix_stock_history_goods", "goods_id", "id"),
    Index("ix_stock_history_pace", "goods_id", "what", "at_ms"),
    sqlite_autoincrement=True,
)
"""Every change of goods and units, written in the transaction of the change."""
