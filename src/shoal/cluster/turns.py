"""The turn of work that one of several servers does: the server that takes it keeps it while it lives.

For what is bound to no shard, because not every server is set up for it. A server that died has given its turn back.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog
from sqlalchemy import text

from shoal.cluster.cluster_ownership import ClusterOwnership
from shoal.cluster.last_life import Life
from shoal.cluster.node_rows import NOW
from shoal.errors import StoreError
from shoal.storage.database import Database

log = structlog.get_logger("shoal.duties")

_TAKE: Final = text(f"""
    INSERT INTO store_meta (key, value, counter) VALUES (:turn, :name, :inc)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, counter = excluded.counter
    WHERE NOT EXISTS (
        SELECT 1 FROM nodes WHERE nodes.name = store_meta.value AND nodes.inc = store_meta.counter
        AND NOT nodes.dead AND nodes.expires_at_ms >= {NOW}
    ) OR (store_meta.value = :name AND store_meta.counter = :inc)
    RETURNING 1
""")  # noqa: S608  no value from a request is in it
_END: Final = text("DELETE FROM store_meta WHERE key = :turn AND value = :name AND counter = :inc")


class Turn:
    """One piece of work, by its name in ``store_meta``, as one of several servers asks for it.

    A server asks for it in one place only: it gets a turn again that it could not give back.
    """

    def __init__(self, database: Database, ownership: ClusterOwnership, name: str) -> None:
        self._database = database
        self._ownership = ownership
        self._name = f"turn:{name}"

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[bool]:
        """Take the turn for the block; yield whether it was free. Raises ``StoreError`` before the block."""
        life = self._ownership.life
        if life is None:
            yield False
            return
        values = self._values(life)
        if not await self._database.write(lambda connection: connection.scalar(_TAKE, values)):
            yield False
            return
        try:
            yield True
        finally:
            try:
                await self._database.write(lambda connection: connection.execute(_END, values).rowcount)
            except StoreError as error:
                log.warning("a turn was not given back; it ends with this server", turn=self._name, why=error.code)

    def _values(self, life: Life) -> dict[str, str | int]:
        return {"turn": self._name, "name": life.name, "inc": life.inc}
