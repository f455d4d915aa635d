"""Migrations: bring a database to the schema of this program, step by step, after an automatic copy."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from sqlalchemy import Connection, Engine, text

from shoal.errors import ConfigError
from shoal.storage.migrations import revisions
from shoal.storage.migrations.marks import check_unmarked, stored_revision

# Alembic takes a tenth of the start-up, and nearly every start has nothing to migrate.
# ruff: noqa: PLC0415

_MIGRATION_LOCK = 0x53686F616D


Older = Callable[[Connection], Collection[str]]
"""Returns the names of the servers of an older version that live, and lets none join until the transaction ends."""


def migrate(
    engine: Engine,
    *,
    database_file: Path | None = None,
    copy_first: Callable[[str], object] | None = None,
    older: Older | None = None,
) -> str | None:
    """Run every missing step, in one transaction. Return the found revision (``None``: a new database).

    An SQLite file with data is copied first, into the same directory. ``copy_first`` copies another database with data,
    and is told its revision; what it raises ends the migration. While ``older`` servers live, only additive steps run,
    and closing ones wait (``revisions``). Raises ``ConfigError`` when the database is newer than this program, is not
    one of Shoal's, or has a mark (``marks``), or when an older server would be disturbed.
    """
    with engine.connect() as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            take_migration_lock(connection)
        found = stored_revision(connection)
        if found == newest():
            return found
        check_unmarked(connection, found)
        names = older(connection) if older is not None and found is not None and found < newest() else ()
        until = revisions.newest_beside(found, names) if names and found is not None else "head"
        if until == found:
            return found
        if connection.dialect.name == "postgresql":  # the limit for requests: a step may rewrite years of messages
            connection.execute(text("SET LOCAL statement_timeout = 0"))
        from shoal.storage.migrations.steps import run_missing_steps

        return run_missing_steps(connection, database_file=database_file, copy_first=copy_first, until=until)


def take_migration_lock(connection: Connection) -> None:
    """Let no other server migrate a PostgreSQL database until this transaction ends: one after the other starts."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})


def check_is_newest(connection: Connection) -> None:
    """Raise ``ConfigError`` unless the database has the schema of this program, and no mark."""
    _check(connection, is_right=is_newest(connection))


def check_is_enough(connection: Connection) -> None:
    """Raise ``ConfigError`` unless this program runs on the database's schema, and it has no mark."""
    _check(connection, is_right=is_enough(connection))


def _check(connection: Connection, *, is_right: bool) -> None:
    if not is_right:
        check_unmarked(connection, stored_revision(connection))
        raise ConfigError("startup.other_schema", code="other_schema")


def is_newest(connection: Connection) -> bool:
    """Return whether the database has the schema of this program."""
    return stored_revision(connection) == newest()


def is_enough(connection: Connection) -> bool:
    """Return whether this program runs on the database's schema: at most closing steps are missing."""
    return stored_revision(connection) in revisions.enough()


def newest() -> str:
    """Return the revision of this program's last step."""
    return revisions.newest()
