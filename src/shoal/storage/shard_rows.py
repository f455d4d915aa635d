"""What a node reads of the shards that it has just claimed, and of accounts that are deleted."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, select

from shoal.accounts.store import ShardContents, Tombstone
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


def read_tombstones(connection: Connection, account_id: str | None = None) -> dict[str, Tombstone]:
    """Return the deleted accounts, or one of them."""
    query = select(accounts.c.id, accounts.c.generation, accounts.c.purged).where(accounts.c.deleted)
    if account_id is not None:
        query = query.where(accounts.c.id == account_id)
    return {
        row.id: Tombstone(account_id=row.id, generation=row.generation, purged=row.purged)
        for row in connection.execute(query)
    }
