"""The fence of an owner's writes: a row that is read, and kept, in the same transaction."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, text

from shoal.accounts.ownership import NOT_OWNER, Fence
from shoal.errors import NotApplied

_HELD = text("""
    SELECT count(*) FROM (
        SELECT 1 FROM shards
        WHERE owner IS NOT NULL AND (shard, epoch) IN (
            SELECT * FROM unnest(CAST(:shards AS integer[]), CAST(:epochs AS bigint[]))
        )
        ORDER BY shard FOR SHARE
    ) AS held
""")
"""Locked until the commit: a node that claims one of these shards waits for it, or comes back later."""


def hold_fences(connection: Connection, fences: Iterable[Fence]) -> None:
    """Keep every shard with its owner until the transaction ends. Raise ``NotApplied`` when one has changed hands."""
    asked = sorted(set(fences))
    if not asked:
        return
    values = {"shards": [fence.shard for fence in asked], "epochs": [fence.epoch for fence in asked]}
    if connection.scalar(_HELD, values) != len(asked):
        raise not_owner()


def not_owner() -> NotApplied:
    """Return the refusal of a write by a node that does not own the account any more."""
    return NotApplied("another node owns the account", code=NOT_OWNER)
