"""Marks in place of the schema's revision: no version of Shoal serves a database that has one.

A database that is being filled by ``shoal migrate-store`` is marked as unfinished, and one whose shops were moved to
another database as moved. An older program takes a mark for the revision of a newer one, and does not start either.
"""

from __future__ import annotations

import time
from typing import Final

import msgspec
from sqlalchemy import Connection, delete, inspect, select, text

from shoal.errors import ConfigError
from shoal.storage.schema import store_meta
from shoal.storage.upserts import insert_or_renew

MOVED_FACT: Final = "moved"
"""The ``store_meta`` key of where the shops of a database were moved to."""
_MOVED: Final = "moved-"
_UNFINISHED: Final = "unfinished-"


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """Where the shops of a database were moved to, without a password, and when."""

    to: str
    at_ms: int

    def refusal(self) -> ConfigError:
        """Return the error of who would serve the database."""
        at = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(self.at_ms / 1000))
        return ConfigError("startup.store_moved", to=self.to, at=at, code="store_moved")


def stored_revision(connection: Connection) -> str | None:
    """Return the revision or the mark of a database; ``None`` when it has none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revisions = connection.scalars(text("SELECT version_num FROM alembic_version")).all()
    return str(revisions[0]) if len(revisions) == 1 else None


def unfinished(schema: str, store: str) -> str:
    """Return the mark of a database into which that store is being moved."""
    return f"{_UNFINISHED}{schema}-{store}"


def moved(schema: str) -> str:
    """Return the mark of a database whose shops were moved away."""
    return f"{_MOVED}{schema}"


def mark(connection: Connection, revision: str) -> None:
    """Put a mark, or a revision again, in place of what is there."""
    connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})


def mark_as_moved(connection: Connection, schema: str, where: Moved) -> None:
    """Mark a database whose shops are served elsewhere from now on."""
    value = {"key": MOVED_FACT, "value": msgspec.json.encode(where).decode()}
    connection.execute(insert_or_renew(connection, store_meta, ("value",)), [value])
    mark(connection, moved(schema))


def unmark_moved(connection: Connection) -> None:
    """Let a copy of a database that was moved away be served again; do nothing to any other one."""
    found = stored_revision(connection) or ""
    if found.startswith(_MOVED):
        connection.execute(delete(store_meta).where(store_meta.c.key == MOVED_FACT))
        mark(connection, found.removeprefix(_MOVED))


def check_unmarked(connection: Connection, revision: str | None) -> None:
    """Raise ``ConfigError`` when a database has a mark instead of a revision."""
    if revision is not None and revision.startswith(_UNFINISHED):
        raise ConfigError("startup.store_unfinished", code="store_unfinished")
    if revision is not None and revision.startswith(_MOVED):
        raise where_moved(connection).refusal()


def where_moved(connection: Connection) -> Moved:
    """Return where the shops of a database that is marked as moved are now."""
    value: str = connection.scalars(select(store_meta.c.value).where(store_meta.c.key == MOVED_FACT)).one()
    return msgspec.json.decode(value, type=Moved)
