"""The journal of PostgreSQL in the order of its stream (``accounts/journal_stream.py``): by ``(xid8, rev)``.

Each function of a connection is the work of one snapshot. The horizon is the oldest transaction that is open anywhere
in the PostgreSQL server, also in another database: entries from there on may still get predecessors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import msgspec
import structlog
from sqlalchemy import Connection, delete, func, select, text

from shoal.accounts.account import Account
from shoal.accounts.journal import JournalEntry
from shoal.accounts.journal_stream import SeenIds, StreamPage, StreamPlace
from shoal.accounts.positions import Position
from shoal.errors import StoreError
from shoal.storage.account_rows import AccountRows
from shoal.storage.among import among
from shoal.storage.database import Database
from shoal.storage.database_life import DATABASE_LIFE, IN_RECOVERY
from shoal.storage.history_rows import (
    ENTRY_COLUMNS,
    STEP_ROWS,
    fold_away,
    oldest_rev,
    prunes_alone,
    short_enough,
)
from shoal.storage.history_tables import journal

log = structlog.get_logger("shoal.stream")

_AFTER = "(xid8, rev) > (CAST(:xid AS xid8), :rev)"
_HORIZON = text("SELECT CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text)")
_ENTRIES_SQL = f"""
    SELECT {", ".join(column.name for column in ENTRY_COLUMNS)}, CAST(xid8 AS text) AS xid,
        xid8 < pg_snapshot_xmin(pg_current_snapshot()) AS in_place
    FROM journal WHERE {_AFTER} ORDER BY xid8, rev LIMIT :limit
"""  # noqa: S608  no value from a request is in it
_ENTRIES = text(_ENTRIES_SQL)
_PLACE = text("SELECT CAST(xid8 AS text) FROM journal WHERE rev = :rev")
_LAST = text("""
    SELECT rev FROM journal WHERE xid8 < CAST(:xid AS xid8) ORDER BY xid8 DESC, journal.rev DESC LIMIT 1
""")
_FOLLOWING_SQL = f"SELECT count(*) FROM (SELECT 1 FROM journal WHERE {_AFTER} LIMIT :most) AS following"  # noqa: S608
_FOLLOWING = text(_FOLLOWING_SQL)
_TAKEN = ", ".join(
    f"coalesce(pg_sequence_last_value(pg_get_serial_sequence('{table}', '{column}')::regclass), 0)"
    for table, column in (
        ("journal", "rev"),
        ("state_moves", "id"),
        ("messages", "id"),
        ("order_events", "id"),
        ("incident_events", "id"),
    )
)
_SEEN_SQL = f"SELECT {DATABASE_LIFE}, CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text), {_TAKEN}"
_SEEN = text(_SEEN_SQL)
"""The snapshot is made before the sequences are read, and they show what was taken since then too."""
_STORED = text("SELECT id, generation, rev FROM accounts")
_NEXT_XID = text("SELECT CAST(pg_current_xact_id() AS text)")
_OLDEST = text("""
    SELECT journal.rev, journal.account_id, journal.at_ms, length(changes) AS new,
        coalesce(length(baselines.projection), 0) AS old
    FROM journal LEFT JOIN baselines ON baselines.account_id = journal.account_id
    WHERE xid8 < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY xid8, journal.rev LIMIT :limit
""")


def horizon(connection: Connection) -> int:
    """Return the transaction id before which nothing is open: entries below it have all their predecessors."""
    return int(connection.scalar(_HORIZON) or 0)


def seen_ids(connection: Connection, before: SeenIds | None) -> SeenIds:
    """Return the ids that are taken now in the streams of events. ``before``: what the last look saw; this transaction
    gets an id of its own only when more was taken since then."""
    life, below, *found = connection.execute(_SEEN).one()
    ids = Position(*found)
    xid = before.xid if before is not None and before.ids == ids else int(connection.scalar(_NEXT_XID) or 0)
    return SeenIds(int(below), ids, xid, life)


def start_of_stream(connection: Connection) -> tuple[StreamPlace, int]:
    """Return after which place everything comes that this snapshot does not show, and the rev of the entry there."""
    below = horizon(connection)
    last = connection.scalar(_LAST, {"xid": str(below)})
    return StreamPlace(below, 0), oldest_rev(connection) if last is None else int(last)


def read_stream(connection: Connection, after: StreamPlace, limit: int) -> StreamPage:
    """Return the next entries of the stream, at most ``limit``."""
    found = connection.execute(_ENTRIES, {"xid": str(after.xid), "rev": after.rev, "limit": limit}).mappings().all()
    entries: list[JournalEntry] = []
    places: list[StreamPlace] = []
    waiting: int | None = None
    for row in found:
        values = dict(row)
        xid, in_place = int(values.pop("xid")), values.pop("in_place")
        if not in_place:  # and no later one is: they are in the order of their transactions
            waiting = values["rev"]
            break
        entries.append(JournalEntry(**{**values, "changes": msgspec.json.decode(values["changes"])}))
        places.append(StreamPlace(xid, values["rev"]))
    is_last = waiting is not None or len(found) < limit
    return StreamPage(entries=tuple(entries), places=tuple(places), is_last=is_last, waiting=waiting)


def place_of(connection: Connection, rev: int) -> StreamPlace | None:
    """Return the place after an entry (see ``JournalStream.place_of``)."""
    if rev == 0:
        return StreamPlace() if oldest_rev(connection) == 0 else None
    xid = connection.scalar(_PLACE, {"rev": rev})
    return None if xid is None else StreamPlace(int(xid), rev)


def prune_stream(connection: Connection, moment_ms: int, *, rows: int = STEP_ROWS) -> int:
    """Fold the first entries of the stream, up to the first that was not made before that time, and delete them.

    Return how many. Only a beginning of the stream is deleted: a reader that resumes at an entry that is left misses
    none. Raises like ``prune_journal``.
    """
    if not prunes_alone(connection):
        return 0
    step = short_enough(connection.execute(_OLDEST, {"limit": rows}).all())
    young = next((place for place, row in enumerate(step) if row.at_ms >= moment_ms), len(step))
    if not young:
        return 0
    entries = read_stream(connection, StreamPlace(), young).entries
    fold_away(connection, entries)
    return connection.execute(delete(journal).where(among(journal.c.rev, [entry.rev for entry in entries]))).rowcount


class StoredStream:
    """The ``JournalStream`` of a PostgreSQL database."""

    def __init__(self, database: Database, rows: AccountRows) -> None:
        self._database = database
        self._rows = rows
        self._seen: SeenIds | None = None

    async def read(self, after: StreamPlace, *, limit: int) -> StreamPage:
        """Return the next entries and their accounts (see ``JournalStream``)."""

        def job(connection: Connection) -> StreamPage:
            page = replace(read_stream(connection, after, limit), seen=seen_ids(connection, self._seen))
            names = sorted({entry.account_id for entry in page.entries})
            return replace(page, accounts=self._readable(connection, names)) if names else page

        page = await self._database.read(job)
        self._seen = page.seen
        return page

    def _readable(self, connection: Connection, names: Sequence[str]) -> dict[str, Account]:
        """Return the accounts that can be read: one that cannot must not keep the others from being followed."""
        try:
            return self._rows.read(connection, *names)
        except StoreError as error:  # of what is stored: a failure of the database itself is no such error yet
            if len(names) == 1:
                log.warning("an account of the stream cannot be read", account=names[0], why=error.code)
                return {}
        return {name: account for one in names for name, account in self._readable(connection, [one]).items()}

    async def entries(self, after: StreamPlace, *, limit: int) -> StreamPage:
        """Return the next entries alone (see ``JournalStream``)."""
        return await self._database.read(lambda connection: read_stream(connection, after, limit))

    async def place_of(self, rev: int) -> StreamPlace | None:
        """Return the place after an entry (see ``JournalStream``)."""
        return await self._database.read(lambda connection: place_of(connection, rev))

    async def lacks(self, generations: Mapping[str, tuple[int, int]], revs: Sequence[int]) -> bool:
        """Return whether something is not stored any more (see ``JournalStream``)."""

        def job(connection: Connection) -> bool:
            if connection.scalar(IN_RECOVERY):
                raise StoreError("a standby answers, which may not have applied yet all that it has", code="standby")
            stored = {row.id: (row.generation, row.rev) for row in connection.execute(_STORED)}
            last_pruned = oldest_rev(connection)
            left = [rev for rev in revs if rev > last_pruned]
            found = connection.scalar(select(func.count()).where(among(journal.c.rev, left))) if left else 0
            return found != len(left) or any(
                name not in stored or stored[name] < known or (stored[name][0] == known[0] and stored[name] != known)
                for name, known in generations.items()
            )

        return await self._database.read(job)

    async def has_more_than(self, after: StreamPlace, count: int) -> bool:
        """Return whether more than so many entries follow (see ``JournalStream``)."""
        values = {"xid": str(after.xid), "rev": after.rev, "most": count + 1}
        found = await self._database.read(lambda connection: int(connection.scalar(_FOLLOWING, values) or 0))
        return found > count
