"""What is limited for all nodes together: tries in rows of the database, counted by key in moving windows.

A try is a row before it is judged, so that guesses that alternate between nodes are counted as on one. One that is
under way counts as soon as it is old: its node may have died in the middle.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from sqlalchemy import Connection, delete, insert, literal_column, select, text, update

from shoal.cluster.node_rows import NOW
from shoal.cluster.short_writes import ShortWrites
from shoal.storage.node_tables import limited_tries as rows

UNDER_WAY_SECONDS: Final = 60
"""How long a try may be judged: after it, one without a word counts."""
_LONGEST_SECONDS: Final = 86_400
_SWEEP_SECONDS: Final = 600.0
_MOST_REFUSALS: Final = 10_000
_ONE_AT_A_TIME: Final = text("""
    SELECT pg_advisory_xact_lock(7318043, number)
    FROM (SELECT DISTINCT hashtext(one) AS number FROM unnest(CAST(:keys AS text[])) AS one ORDER BY 1) AS sorted
""")
"""Tries with a common key are judged one after the other; in one order, so that none waits for another in a ring."""


class Window(msgspec.Struct, frozen=True):
    """At most so many tries of a key in so many seconds."""

    key: str
    most: int
    seconds: int


class Begun(msgspec.Struct, frozen=True):
    """A try that is under way, by the ids of its rows."""

    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A try that may not begin. ``seconds``: until it may; 0: others under way take the rest and may end soon."""

    seconds: float


class LimitedTries:
    """The limited tries of all nodes. Methods raise ``StoreError``."""

    def __init__(self, writes: ShortWrites) -> None:
        self._writes = writes
        self._swept_at = -math.inf
        self._full: dict[Window, float] = {}
        """Until when a window is certainly full: what is refused anyway asks the database nothing."""

    async def begin(self, windows: Sequence[Window]) -> Begun | Refused:
        """Begin a try that counts in these windows, if each has room."""
        now = time.monotonic()
        if (wait := max((self._full.get(window, 0.0) - now for window in windows), default=0.0)) > 0:
            return Refused(wait)
        sweeps = now - self._swept_at > _SWEEP_SECONDS
        if sweeps:
            self._swept_at = now

        def job(connection: Connection) -> Begun | dict[Window, float]:
            if sweeps:
                connection.execute(delete(rows).where(rows.c.at_ms < literal_column(NOW) - _LONGEST_SECONDS * 1000))
            return _begin(connection, windows)

        found = await self._writes.run(job)
        if isinstance(found, Begun):
            return found
        self._remember(found)
        return Refused(max(found.values()))

    async def end(self, begun: Begun, *, counts: bool, clears: Collection[str] = ()) -> None:
        """Say how a try ended: it counts from now on, or is forgotten, with all that counts for the keys ``clears``."""
        mine = rows.c.id.in_(begun.ids)

        def job(connection: Connection) -> None:
            if counts:
                connection.execute(update(rows).where(mine).values(counts=True))
                return
            connection.execute(delete(rows).where(mine))
            if clears:
                old = rows.c.at_ms < literal_column(NOW) - UNDER_WAY_SECONDS * 1000
                connection.execute(delete(rows).where(rows.c.key.in_(clears), rows.c.counts | old))

        await self._writes.run(job)

    def _remember(self, found: dict[Window, float]) -> None:
        now = time.monotonic()
        self._full = {window: until for window, until in self._full.items() if until > now}
        if len(self._full) < _MOST_REFUSALS:
            self._full |= {window: now + wait for window, wait in found.items() if wait > 0}


def _begin(connection: Connection, windows: Sequence[Window]) -> Begun | dict[Window, float]:
    """Begin a try, or return the windows that have no room, each with its wait."""
    keys = sorted({window.key for window in windows})
    connection.execute(_ONE_AT_A_TIME, {"keys": keys})
    now = int(connection.scalar(select(literal_column(NOW))) or 0)
    longest = max(window.seconds for window in windows)
    query = (
        select(rows.c.key, rows.c.at_ms, rows.c.counts)
        .where(rows.c.key.in_(keys), rows.c.at_ms > now - longest * 1000)
        .order_by(rows.c.at_ms.desc())
    )
    seen = [(row.key, now - row.at_ms, row.counts) for row in connection.execute(query)]
    full: dict[Window, float] = {}
    for window in windows:
        ages = [
            (age, counts or age > UNDER_WAY_SECONDS * 1000)
            for key, age, counts in seen
            if key == window.key and age < window.seconds * 1000
        ]
        counted = [age for age, counts in ages if counts]
        if len(counted) >= window.most:
            full[window] = max(1.0, window.seconds - counted[window.most - 1] / 1000)
        elif len(ages) >= window.most:
            full[window] = 0.0
    if full:
        return full
    made = connection.scalars(
        insert(rows).returning(rows.c.id), [{"key": key, "at_ms": now, "counts": False} for key in keys]
    )
    return Begun(tuple(made))
