"""Pictures as rows of PostgreSQL: stored once under their name, and deleted when nothing has named them for long."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection, select, text

from shoal.storage.engines import driver_of
from shoal.storage.picture_table import pictures
from shoal.storage.schema import OUTBOX_OPEN
from shoal.storage.upserts import insert_new, insert_or_renew

_TEXTS: Final = f"""
    SELECT picture AS words FROM accounts
    UNION ALL SELECT default_reply FROM accounts
    UNION ALL SELECT seller_picture FROM observed
    UNION ALL SELECT picture FROM known_items
    UNION ALL SELECT parts FROM rules
    UNION ALL SELECT reply FROM item_settings
    UNION ALL SELECT parts FROM delivery_rules
    UNION ALL SELECT image_url FROM goods
    UNION ALL SELECT parts FROM deliveries WHERE settled_at_ms IS NULL
    UNION ALL SELECT image_url FROM outbox WHERE {OUTBOX_OPEN}
"""  # noqa: S608  no value from a request is in it
"""Everything that may name a picture: shops and sellers, rules, items, goods, and messages that may still leave."""
_SWEEP_SQL: Final = f"""
    WITH named AS MATERIALIZED (
        SELECT DISTINCT (regexp_matches(words, :pattern, 'g'))[1] AS name FROM ({_TEXTS}) AS texts
        WHERE strpos(words, :prefix) > 0
    ),
    seen AS (UPDATE pictures SET seen_at_ms = :now WHERE name IN (SELECT name FROM named))
    DELETE FROM pictures WHERE seen_at_ms < :before AND name NOT IN (SELECT name FROM named)
"""  # noqa: S608


def store_picture(connection: Connection, name: str, data: bytes, seen_at_ms: int) -> None:
    """Store a picture; one of that name is the same, and counts as seen."""
    row = {"name": name, "data": data, "seen_at_ms": seen_at_ms}
    connection.execute(insert_or_renew(connection, pictures, ("seen_at_ms",)), row)


def add_picture(connection: Connection, name: str, data: bytes, seen_at_ms: int) -> None:
    """Store a picture, unless there is one of that name."""
    connection.execute(insert_new(connection, pictures), {"name": name, "data": data, "seen_at_ms": seen_at_ms})


def read_picture(connection: Connection, name: str) -> bytes | None:
    """Return the bytes of a picture. As text, which is the usual form, half a megabyte takes twenty times as long."""
    with driver_of(connection).cursor(binary=True) as cursor:
        row = cursor.execute("SELECT data FROM pictures WHERE name = %s", (name,)).fetchone()
    return None if row is None else bytes(row[0])


def picture_names(connection: Connection) -> list[str]:
    """Return the names of all pictures, in order."""
    return list(connection.scalars(select(pictures.c.name).order_by(pictures.c.name)))


def all_pictures(connection: Connection) -> Iterator[tuple[str, bytes]]:
    """Yield every picture, one at a time: together they may be larger than the memory."""
    for name in picture_names(connection):
        data = read_picture(connection, name)
        if data is not None:  # else it was swept just now
            yield name, data


def digests_of_pictures(connection: Connection) -> dict[str, str]:
    """Return the SHA-256 of each picture in hex, computed by PostgreSQL."""
    found = connection.execute(text("SELECT name, encode(sha256(data), 'hex') FROM pictures"))
    return {str(name): str(digest) for name, digest in found}


def sweep_pictures(connection: Connection, *, prefix: str, pattern: str, now_ms: int, before_ms: int) -> int:
    """Delete what nothing names, and nothing has named since ``before_ms``; note that the others are in use.

    ``prefix``: of their addresses; ``pattern``: finds a name in a text. Return how many were deleted.
    """
    values = {"prefix": prefix, "pattern": pattern, "now": now_ms, "before": before_ms}
    return connection.execute(text(_SWEEP_SQL), values).rowcount
