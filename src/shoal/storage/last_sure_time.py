"""The last moment of which the server was sure. Its next life compares the machine's clock with it."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, select

from shoal.clock import present_clock
from shoal.storage.database import Database
from shoal.storage.history_tables import journal, state_moves
from shoal.storage.schema import store_meta
from shoal.storage.user_tables import audit_entries

FACT: Final = "sure_time"
"""The ``store_meta`` key of that moment, in milliseconds."""
AWAY_MS: Final = 7 * 86_400_000
"""For so long a server may have been off: a clock that is ahead of that moment by less may be right."""


async def take_up_time(database: Database) -> None:
    """Note what the database knows of the time. Raises ``StoreError``."""
    if stored_ms := await database.read(stored_moment_ms):
        present_clock().note_stored(stored_ms)


async def keep_time(database: Database, at_ms: int) -> None:
    """Store a moment of which the server is sure. Raises ``StoreError``."""
    await database.replace_fact(FACT, str(at_ms))


def stored_moment_ms(connection: Connection) -> int:
    """Return the last moment of which the server was sure; 0 without one.

    The newest row of the tables with every change, state and sign-in counts only until a moment was kept: a wrong clock
    may have written it.
    """
    if kept := connection.scalar(select(store_meta.c.value).where(store_meta.c.key == FACT)):
        return int(kept)
    numbers = (journal.c.rev, state_moves.c.id, audit_entries.c.id)
    newest = [select(number.table.c.at_ms).order_by(number.desc()).limit(1) for number in numbers]
    return max(int(connection.scalar(query) or 0) for query in newest)
