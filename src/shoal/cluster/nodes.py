"""The servers that share one database, as an administrator sees them; and draining one before it is stopped."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from sqlalchemy import Connection, text

from shoal.cluster.cluster_ownership import ClusterOwnership
from shoal.cluster.duties import Duties, Duty
from shoal.cluster.node_calls import NodeCalls
from shoal.cluster.node_rows import NOW, decide_alone
from shoal.errors import Conflict, UnknownNode
from shoal.storage.database import Database

MOST: Final = 200
"""How many rows are shown: names that are not used any more stay in the table for a week."""
_LIST: Final = text(f"""
    SELECT name, host, address, version, schema, draining, started_at_ms, clock_offset_ms,
        NOT dead AND expires_at_ms >= {NOW} AS is_live,
        CASE WHEN dead THEN 0 ELSE greatest(0, expires_at_ms - {NOW}) END AS lease_left_ms,
        coalesce(held.shards, 0) AS shards, coalesce(held.shops, 0) AS shops
    FROM nodes LEFT JOIN (
        SELECT owner, owner_inc, count(*) AS shards, sum(counted.shops) AS shops
        FROM shards LEFT JOIN (
            SELECT shard, count(*) AS shops FROM accounts WHERE NOT deleted GROUP BY shard
        ) AS counted USING (shard)
        WHERE owner IS NOT NULL GROUP BY owner, owner_inc
    ) AS held ON held.owner = nodes.name AND held.owner_inc = nodes.inc
    ORDER BY is_live DESC, expires_at_ms >= {NOW} DESC, name LIMIT {MOST}
""")  # noqa: S608  no value from a request is in it
_OTHER_TAKERS: Final = text(f"""
    SELECT count(*) FROM nodes
    WHERE split_part(name, '/', 1) <> :name AND NOT dead AND NOT draining AND expires_at_ms >= {NOW}
""")  # noqa: S608
_MARK: Final = text(f"""
    UPDATE nodes SET draining = :draining
    WHERE split_part(name, '/', 1) = :name AND EXISTS (
        SELECT 1 FROM nodes AS living
        WHERE split_part(living.name, '/', 1) = :name AND NOT living.dead AND living.expires_at_ms >= {NOW}
    )
""")  # noqa: S608
"""With its workers that have just died: their parent starts them again."""


class NodeFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One node: what it says of itself, how long its lease is still valid, and what it runs."""

    name: str
    host: str
    address: str
    version: str
    schema: str
    is_live: bool
    draining: bool
    lease_left_ms: int
    shards: int
    shops: int
    started_at_ms: int
    clock_offset_ms: int

    @property
    def server(self) -> str:
        """Return the server of which it is a worker: the part of its name before the number; else its name."""
        return self.name.partition("/")[0]


class Nodes:
    """Reads and marks the rows of all nodes; any node may be asked."""

    def __init__(
        self,
        database: Database,
        ownership: ClusterOwnership | None = None,
        calls: NodeCalls | None = None,
        duties: Duties | None = None,
    ) -> None:
        """``ownership``: that of this node, with its ``calls``; ``None`` when a single server serves the database.

        ``duties``: what this node does once for the whole database; everything unless given.
        """
        self._duties = duties
        self._database = database
        self._ownership = ownership
        self.calls = calls
        self.figures: Callable[[], Awaitable[bytes]] | None = None
        """What this node reports to Prometheus, when it was set to report it."""

    def shows_database(self) -> bool:
        """Return whether this node reports the figures of the database too: each of several would count them again."""
        return self._duties is None or self._duties.owns(Duty.FIGURES)

    @property
    def worker(self) -> str | None:
        """Return the number of this worker; ``None`` when this server has no others."""
        name = self.name or ""
        return name.rpartition("/")[2] if "/" in name else None

    async def other_workers(self) -> list[str]:
        """Return the names of the living workers of the same parent."""
        server = (self.name or "").rpartition("/")[0]
        return [one.name for one in await self.all() if one.is_live and one.server == server and one.name != self.name]

    @property
    def name(self) -> str | None:
        """Return this node's name; ``None`` when a single server serves the database."""
        return self._ownership.name if self._ownership is not None else None

    @property
    def draining(self) -> bool:
        """Return whether this node gives up its shards and takes none, as far as it knows."""
        return self._ownership is not None and self._ownership.draining

    def look_now(self) -> None:
        """Look for shards without an owner at once: another node has just been declared dead."""
        if self._ownership is not None:
            self._ownership.look_now()

    async def all(self) -> list[NodeFacts]:
        """Return the nodes, the living first. A single server has none."""
        if self._ownership is None:
            return []
        return await self._database.read(_read)

    async def drain(self, name: str, *, draining: bool = True) -> None:
        """Let a node, or all workers of a server, give up their shards and take none, or take their share again.

        It lasts until the node starts again.
        Raises ``UnknownNode`` when none of that name is alive, and ``Conflict``: ``one_server``, ``drained_by_server``
        for the name of a worker, or ``last_node`` when no other node would take the shards.
        """
        if self._ownership is None:
            raise Conflict("a single server serves the database", code="one_server")
        if "/" in name:
            server = name.partition("/")[0]
            raise Conflict("workers are drained together", code="drained_by_server", worker=name, name=server)

        def job(connection: Connection) -> None:
            decide_alone(connection)  # two that are drained at the same time would each count on the other
            if draining and not connection.scalar(_OTHER_TAKERS, {"name": name}):
                raise Conflict("no other node takes shards", code="last_node", name=name)
            if not connection.execute(_MARK, {"name": name, "draining": draining}).rowcount:
                raise UnknownNode(name=name)

        await self._database.write(job)


def _read(connection: Connection) -> list[NodeFacts]:
    return [NodeFacts(**row) for row in connection.execute(_LIST).mappings()]
