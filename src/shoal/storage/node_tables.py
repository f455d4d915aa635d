"""The tables of several servers on one PostgreSQL database: nodes, who owns which shard, paces, limits, QR logins.

All are empty while one server serves the database.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text, text

from shoal.storage.columns import RowId, flag_column, maybe_time_column, metadata, text_column, time_column


def _count_column(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default=text("0"))


nodes = Table(
    "nodes",
    metadata,
    Column("name", Text, primary_key=True),
    _count_column("inc"),
    time_column("expires_at_ms"),
    flag_column("dead"),
    flag_column("draining"),
    _count_column("capacity"),
    text_column("host"),
    text_column("address"),
    text_column("version"),
    text_column("schema"),
    text_column("key_ids"),
    _count_column("clock_offset_ms"),
    _count_column("position"),
    text_column("last_error"),
    time_column("started_at_ms"),
)
"""One row per server process of a name: its life (``inc`` rises with each start) and until when its lease is valid."""

shards = Table(
    "shards",
    metadata,
    Column("shard", Integer, primary_key=True, autoincrement=False),
    Column("owner", Text, nullable=True),
    _count_column("owner_inc"),
    _count_column("epoch"),
    Index("ix_shards_owner", "owner", "owner_inc"),
)
"""Which node owns which shard; ``epoch`` rises each time a shard changes hands."""

paces = Table(
    "paces",
    metadata,
    Column("address", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    time_column("next_at_ms"),
)
"""When the next start of a kind is due, for each address from which the site is called."""

qr_logins = Table(
    "qr_logins",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner_id", BigInteger, nullable=False),
    text_column("account_id"),
    text_column("node"),
    _count_column("inc"),
    text_column("state"),
    time_column("created_at_ms"),
    time_column("expires_at_ms"),
    maybe_time_column("ended_at_ms"),
    Index("ix_qr_logins_owner_id", "owner_id"),
)
"""Which life of which node follows which QR login. No code and no cookie is in it."""

limited_tries = Table(
    "limited_tries",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("key", Text, nullable=False),
    time_column("at_ms"),
    flag_column("counts"),
    Index("ix_limited_tries_key", "key", "at_ms"),
    Index("ix_limited_tries_at_ms", "at_ms"),
)
"""What is limited for all nodes together, such as wrong passwords; one that does not count yet is under way."""

OF_THE_NODES: Final = frozenset({nodes.name, shards.name, paces.name, qr_logins.name, limited_tries.name})
"""The tables whose rows are about running servers: no backup holds them, and nothing moves them."""
