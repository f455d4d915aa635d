"""Migrations: bring a database to the schema of this program, step by step, after an automatic copy."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from sqlalchemy import Connection, Engine, text

from shoal.errors import ConfigError
from shoal.storage.migrations.marks import check_unmarked, stored_revision

# Alembic takes a tenth of the start-up, and nearly every start has nothing to migrate.
# ruff: noqa: PLC0415

_MIGRATION_LOCK = 0x53686F616D


def migrate(
    engine: Engine, *, database_file: Path | None = None, copy_first: Callable[[str], object] | None = None
) -> str | None:
    """Run every missing step, in one transaction. Return the found revision (``None``: a new database).

    An SQLite file with data is copied first, into the same directory. ``copy_first`` copies another database with data,
    and is told its revision; what it raises ends the migration. Raises ``ConfigError`` when the database is newer
    than this program, is not one of Shoal's, or has a mark (``marks``).
    """
    with engine.connect() as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            take_migration_lock(connection)
        found = stored_revision(connection)
        if found == newest():
            return found
        check_unmarked(connection, found)
        if connection.dialect.name == "postgresql":  # the limit for requests: a step may rewrite years of messages
            connection.execute(text("SET LOCAL statement_timeout = 0"))
        from shoal.storage.migrations.steps import run_missing_steps

        return run_missing_steps(connection, database_file=database_file, copy_first=copy_first)


def take_migration_lock(connection: Connection) -> None:
    """Let no other server migrate a PostgreSQL database until this transaction ends: one after the other starts."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})


def check_is_newest(connection: Connection) -> None:
    """Raise ``ConfigError`` unless the database has the schema of this program, and no mark."""
    if not is_newest(connection):
        check_unmarked(connection, stored_revision(connection))
        raise ConfigError("startup.other_schema", code="other_schema")


def is_newest(connection: Connection) -> bool:
    """Return whether the database has the schema of this program."""
    return stored_revision(connection) == newest()


@cache
def newest() -> str:
    """Return the revision of this program's last step: each file is named after its revision."""
    return max(path.name.partition("_")[0] for path in Path(__file__).parent.glob("versions/[0-9]*.py"))
