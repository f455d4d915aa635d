"""The rows of nodes and shards, as statements: a node joins, renews its lease, declares others dead, claims, gives up.

Times are those of the database's clock, in milliseconds.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import Connection, inspect, text

from shoal.accounts.ownership import SHARDS
from shoal.cluster.clock_offset import MOST_MS
from shoal.cluster.last_life import Life
from shoal.storage.database_life import DATABASE_LIFE

NOW: Final = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
"""The time by the clock of the database, in a statement."""
_NOW_ALONE: Final = text(f"SELECT {NOW}")
_ONE_AT_A_TIME: Final = text("SELECT pg_advisory_xact_lock(7318041)")
"""Joins, and takings of the lease of a single server, are decided one after the other."""
_JOIN: Final = text(f"""
    INSERT INTO nodes (name, inc, expires_at_ms, host, address, version, schema, started_at_ms)
    VALUES (:name, {NOW} / 1000, {NOW} + :lease, :host, :address, :version, :schema, {NOW})
    ON CONFLICT (name) DO UPDATE SET
        inc = nodes.inc + 1, expires_at_ms = excluded.expires_at_ms, dead = false,
        draining = nodes.draining AND :drained, clock_offset_ms = 0,
        key_ids = CASE WHEN :again THEN nodes.key_ids ELSE '' END,
        host = excluded.host, address = excluded.address, version = excluded.version, schema = excluded.schema,
        last_error = '', started_at_ms = excluded.started_at_ms
    WHERE nodes.dead OR nodes.expires_at_ms < {NOW}
    RETURNING inc, started_at_ms, xmax = 0 AS is_first
""")  # noqa: S608  no value from a request is in it
"""The first life is numbered by the time, so that no number comes twice when the row was deleted in between."""
_LIVE: Final = text(f"SELECT name, host, expires_at_ms FROM nodes WHERE NOT dead AND expires_at_ms >= {NOW}")  # noqa: S608
_OTHERS: Final = text(
    f"SELECT name, inc, address FROM nodes WHERE name <> :name AND NOT dead AND expires_at_ms >= {NOW}"  # noqa: S608
)
_OLDER: Final = text(f"""
    SELECT name FROM nodes WHERE NOT dead AND expires_at_ms >= {NOW} AND schema COLLATE "C" < :schema ORDER BY name
""")  # noqa: S608
_RENEW: Final = text(f"""
    UPDATE nodes SET expires_at_ms = {NOW} + :lease, clock_offset_ms = :offset
    WHERE name = :name AND inc = :inc AND NOT dead AND expires_at_ms > {NOW}
    RETURNING expires_at_ms - :lease
""")  # noqa: S608
_DECLARE_DEAD: Final = text(f"UPDATE nodes SET dead = true WHERE NOT dead AND expires_at_ms < {NOW} RETURNING name")  # noqa: S608
"""An UPDATE, so that it waits for a renewal in flight, and looks at the row again after it."""
_IS_RIGHT: Final = f"abs(clock_offset_ms) <= {MOST_MS}"
_TAKERS: Final = text(f"""
    SELECT count(*) AS takers, count(*) FILTER (WHERE {_IS_RIGHT}) AS right_ones
    FROM nodes WHERE NOT dead AND NOT draining
""")  # noqa: S608
_LIFE_FACT: Final = "database_life"
"""The key in ``store_meta`` of the life of the database; its ``counter`` is since when claims wait, or 0."""
_ME: Final = text(f"""
    SELECT draining, {_IS_RIGHT} AS is_right, {DATABASE_LIFE} AS life, known.value AS known_life,
        coalesce(known.counter, 0) + :wait > {NOW} AS waits,
        EXISTS (SELECT 1 FROM nodes WHERE name <> :name AND NOT dead AND expires_at_ms > {NOW}) AS has_others
    FROM nodes LEFT JOIN store_meta AS known ON known.key = '{_LIFE_FACT}'
    WHERE name = :name AND inc = :inc AND NOT dead
""")  # noqa: S608
_NOTE_LIFE: Final = text(f"""
    INSERT INTO store_meta (key, value, counter) VALUES ('{_LIFE_FACT}', :life, CASE WHEN :waits THEN {NOW} ELSE 0 END)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, counter = excluded.counter
""")  # noqa: S608
_IS_FREE: Final = """
    owner IS NULL OR NOT EXISTS (
        SELECT 1 FROM nodes WHERE nodes.name = shards.owner AND nodes.inc = shards.owner_inc AND NOT nodes.dead
    )
"""
_ANY_FREE: Final = text(f"SELECT EXISTS (SELECT 1 FROM shards WHERE {_IS_FREE})")  # noqa: S608
_CLAIM: Final = text(f"""
    WITH free AS MATERIALIZED (
        SELECT shard FROM shards
        WHERE {_IS_FREE}
        ORDER BY shard LIMIT :most FOR UPDATE SKIP LOCKED
    )
    UPDATE shards SET owner = :name, owner_inc = :inc, epoch = epoch + 1 FROM free
    WHERE shards.shard = free.shard AND EXISTS (
        SELECT 1 FROM nodes WHERE nodes.name = :name AND nodes.inc = :inc AND NOT nodes.dead
        AND nodes.expires_at_ms > {NOW}
    )
""")  # noqa: S608
_HELD: Final = text("SELECT shard, epoch FROM shards WHERE owner = :name AND owner_inc = :inc")
_GIVE_UP: Final = text("""
    UPDATE shards SET owner = NULL WHERE owner = :name AND owner_inc = :inc AND shard = ANY(CAST(:shards AS integer[]))
""")
_END: Final = text("""
    UPDATE nodes SET dead = true WHERE name = :name AND inc = :inc AND started_at_ms = :started_at_ms AND NOT dead
""")
OLD_MS: Final = 7 * 86_400_000
"""How long the row of a node that does not run is kept after its lease ran out."""
_DELETE_OLD: Final = text(f"DELETE FROM nodes WHERE expires_at_ms < {NOW} - {OLD_MS}")  # noqa: S608
_FORGET: Final = text("DELETE FROM nodes WHERE name = :name AND inc = :inc")
_LEAVE: Final = text("UPDATE nodes SET dead = true WHERE name = :name AND inc = :inc")
_NOTIFY: Final = text("NOTIFY shoal_shards")
"""Wakes the others, which look once a second in any case; sent with the commit. Not when shards are given up, which is
often: each of many nodes would look each time."""


class Node(NamedTuple):
    """One life of another node, and where it is reached."""

    name: str
    inc: int
    address: str


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """Which shards a node holds, by their epochs, how many it should hold, and whether it is being drained.

    ``others_free``: it holds more than its share, and shards without an owner wait for others.
    """

    held: dict[int, int]
    quota: int
    draining: bool
    others_free: bool = False
    waits: bool = False
    """Whether nothing is claimed: the database is another one, which may lack the last claims."""


class NodeRows(msgspec.Struct, frozen=True):
    """The statements of one life of a node."""

    life: Life
    is_first: bool = False
    """Whether no node of that name was known before."""

    @property
    def _me(self) -> dict[str, Any]:
        return {"name": self.life.name, "inc": self.life.inc}

    def renew(self, connection: Connection, lease_ms: int, clock_offset_ms: int = 0) -> int | None:
        """Renew the lease. Return the database's time, or ``None`` when the lease was not valid any more."""
        values = {**self._me, "lease": lease_ms, "offset": clock_offset_ms}
        now: int | None = connection.scalar(_RENEW, values)
        return now

    def claim(self, connection: Connection, *, takes_back: bool = False, wait_ms: int = 0) -> Share:
        """Claim free shards up to this node's share of all. Shards whose rows are locked are left for the next time.

        ``takes_back``: all that are free, also beyond its share. What it returns is read back: a claim whose answer
        was lost is found again. ``wait_ms``: how long nothing is claimed after PostgreSQL was started again, or a
        standby took its place: a node whose last claims it lacks has noticed that by then.
        """
        ended = connection.execute(_DECLARE_DEAD).all()
        me, draining = connection.execute(_ME, {**self._me, "wait": wait_ms}).first(), False
        quota = 0
        if me is not None:
            draining = bool(me.draining)
            if me.life != me.known_life:
                # Who seems to have ended may have renewed its lease in what a standby lacks.
                waits = bool(wait_ms) and me.known_life is not None and (me.has_others or bool(ended))
                connection.execute(_NOTE_LIFE, {"life": me.life, "waits": waits})
            else:
                waits = bool(me.waits)
            if waits:
                return Share(held=self._held(connection), quota=0, draining=draining, waits=True)
            quota = 0 if draining else self._quota(connection, is_right=me.is_right)
        held = self._held(connection)
        most = SHARDS if quota and takes_back else quota - len(held)
        if most > 0:
            connection.execute(_CLAIM, {**self._me, "most": most})
            held = self._held(connection)
        others_free = len(held) > quota and bool(connection.scalar(_ANY_FREE))
        return Share(held=held, quota=quota, draining=draining, others_free=others_free)

    @staticmethod
    def _quota(connection: Connection, *, is_right: bool) -> int:
        """Return this node's share. One whose clock is far off has none, unless the clocks of all are."""
        counted = connection.execute(_TAKERS).one()
        takers, right_ones = int(counted.takers), int(counted.right_ones)
        if not right_ones:
            return -(-SHARDS // takers)
        return -(-SHARDS // right_ones) if is_right else 0

    def _held(self, connection: Connection) -> dict[int, int]:
        return {row.shard: row.epoch for row in connection.execute(_HELD, self._me)}

    def give_up(self, connection: Connection, shards: Collection[int]) -> None:
        """Give up shards whose accounts have ended here."""
        connection.execute(_GIVE_UP, {**self._me, "shards": list(shards)})

    def leave(self, connection: Connection, *, was_refused: bool = False) -> None:
        """End this life: whatever it still holds is free. One that ``was_refused`` at its first start leaves no row."""
        connection.execute(_FORGET if was_refused and self.is_first else _LEAVE, self._me)
        connection.execute(_NOTIFY)


def join(
    connection: Connection,
    name: str,
    lease_ms: int,
    facts: Mapping[str, str],
    *,
    again: bool = False,
    stays_drained: bool = False,
) -> NodeRows | None:
    """Begin a life of a node. Return ``None`` while an earlier one of that name may still act.

    ``facts``: what the node says of itself. ``again``: of the same process, which goes on being drained, and so does
    another one that ``stays_drained``.
    """
    values = {"name": name, "lease": lease_ms, "again": again, "drained": again or stays_drained}
    row = connection.execute(_JOIN, {**values, **facts}).first()
    if row is None:
        return None
    connection.execute(
        text("INSERT INTO shards (shard) SELECT generate_series(0, :last) ON CONFLICT DO NOTHING"), {"last": SHARDS - 1}
    )
    return NodeRows(Life(name, row.inc, row.started_at_ms), is_first=row.is_first)


def end_life(connection: Connection, life: Life) -> bool:
    """Declare dead exactly that life, whose process certainly has ended. Return whether it was not dead yet."""
    if not inspect(connection).has_table("nodes"):
        return False
    values = {"name": life.name, "inc": life.inc, "started_at_ms": life.started_at_ms}
    if connection.execute(_END, values).rowcount != 1:
        return False
    connection.execute(_NOTIFY)
    return True


def delete_old_nodes(connection: Connection) -> int:
    """Delete the nodes whose leases ran out long ago. Return how many. One that comes back joins as a new one."""
    return connection.execute(_DELETE_OLD).rowcount


def decide_alone(connection: Connection) -> None:
    """Take the lock of joining, and of the lease of a single server, until this transaction ends."""
    connection.execute(_ONE_AT_A_TIME)


def database_now(connection: Connection) -> int:
    """Return the time by the clock of the database, in milliseconds."""
    return int(connection.scalar(_NOW_ALONE) or 0)


def older_nodes(connection: Connection, schema: str) -> list[str]:
    """Return the names of the nodes whose leases are valid and whose programs are older than that schema."""
    if not inspect(connection).has_table("nodes"):
        return []
    return list(connection.scalars(_OLDER, {"schema": schema}))


def other_nodes(connection: Connection, name: str) -> list[Node]:
    """Return the other living nodes."""
    return [Node(*row) for row in connection.execute(_OTHERS, {"name": name})]


def live_nodes(connection: Connection) -> dict[str, tuple[str, int]]:
    """Return the nodes whose leases are valid: where each runs, and until when."""
    if not inspect(connection).has_table("nodes"):
        return {}
    return {row.name: (row.host, row.expires_at_ms) for row in connection.execute(_LIVE)}
