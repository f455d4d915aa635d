"""Watches, while a node is asked and is silent, whether that life of it can still do what it was asked.

A life whose lease has run out never renews it. Another owner of a shard has a higher epoch of it: what the life before
had not committed behind its fence when the shard was claimed, is refused for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, text

from shoal.cluster.node_rows import NOW
from shoal.errors import StoreError
from shoal.storage.database import Database

SILENT_SECONDS: Final = 2.0
"""How long an answer is waited for before the rows are looked at: nearly every call has ended by then."""
LOOKED_SECONDS: Final = 1.0
CLAIMED_SECONDS: Final = 5.0
"""How long after the end of a life its shard is expected to be claimed. Nodes look for free shards once a second."""
_STANDS: Final = text(f"""
    SELECT EXISTS (
        SELECT 1 FROM nodes WHERE name = :name AND inc = :inc AND NOT dead AND expires_at_ms >= {NOW}
    ) AS lives,
    (SELECT owner FROM shards WHERE shard = :shard AND (owner <> :name OR owner_inc <> :inc)) AS taker
""")  # noqa: S608  no value from a request is in it


class Left(StrEnum):
    """How a life has left."""

    MOVED = "moved"
    """Another life owns the shard."""
    ENDED = "ended"
    """The life has ended, and the shard has no known owner."""


async def until_left(
    database: Database, name: str, inc: int, shard: int | None, has_taken: Callable[[str], bool]
) -> Left:
    """Wait until a life of a node has left. ``shard``: that of the account it was asked about, if it was.

    ``has_taken``: whether the node that owns the shard now can be asked already.
    """

    def job(connection: Connection) -> tuple[bool, str | None]:
        row = connection.execute(_STANDS, {"name": name, "inc": inc, "shard": -1 if shard is None else shard}).one()
        return bool(row.lives), row.taker

    loop = asyncio.get_running_loop()
    ended_at: float | None = None
    await asyncio.sleep(SILENT_SECONDS)
    while True:
        lives, taker = True, None
        with suppress(StoreError):  # nothing is known then: the call goes on until its own end
            lives, taker = await database.read(job)
        if taker is not None and has_taken(taker):
            return Left.MOVED
        if not lives:
            ended_at = loop.time() if ended_at is None else ended_at
            if shard is None or loop.time() - ended_at >= CLAIMED_SECONDS:
                return Left.ENDED
        await asyncio.sleep(LOOKED_SECONDS)
