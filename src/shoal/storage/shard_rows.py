"""What a node reads of the shards that it has just claimed."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, select

from shoal.accounts.store import ShardContents
from shoal.storage.observation_rows import read_observations
from shoal.storage.schema import accounts


def read_shards(connection: Connection, shards: Collection[int]) -> ShardContents:
    """Return the accounts of these shards: where they stand, what was observed of them, and which wait to be purged."""
    columns = (accounts.c.id, accounts.c.rev, accounts.c.deleted, accounts.c.purged)
    rows = connection.execute(select(*columns).where(accounts.c.shard.in_(shards))).all()
    return ShardContents(
        revs={row.id: row.rev for row in rows if not row.deleted},
        observations=read_observations(connection, shards),
        to_purge=tuple(row.id for row in rows if row.deleted and not row.purged),
    )
