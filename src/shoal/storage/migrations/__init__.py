"""Migrations: bring a database to the schema of this program, step by step, after an automatic copy."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from shoal.errors import ConfigError

# Alembic takes a tenth of the start-up, and nearly every start has nothing to migrate.
# ruff: noqa: PLC0415

_MIGRATION_LOCK = 0x53686F616D


def migrate(engine: Engine, *, database_file: Path | None = None) -> str | None:
    """Run every missing step, in one transaction. Return the found revision (``None``: a new database).

    An SQLite file with data is copied first, into the same directory. Raises ``ConfigError`` when the database is newer
    than this program or is not one of Shoal's.
    """
    with engine.connect() as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            take_migration_lock(connection)
        if _stored(connection) == newest():
            return newest()
        if connection.dialect.name == "postgresql":  # the limit for requests: a step may rewrite years of messages
            connection.execute(text("SET LOCAL statement_timeout = 0"))
        from shoal.storage.migrations.steps import run_missing_steps

        return run_missing_steps(connection, database_file=database_file)


def take_migration_lock(connection: Connection) -> None:
    """Let no other server migrate a PostgreSQL database until this transaction ends: one after the other starts."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})


def check_is_newest(connection: Connection) -> None:
    """Raise ``ConfigError`` unless the database has the schema of this program."""
    if not is_newest(connection):
        raise ConfigError("startup.other_schema", code="other_schema")


def is_newest(connection: Connection) -> bool:
    """Return whether the database has the schema of this program."""
    return _stored(connection) == newest()


@cache
def newest() -> str:
    """Return the revision of this program's last step: each file is named after its revision."""
    return max(path.name.partition("_")[0] for path in Path(__file__).parent.glob("versions/[0-9]*.py"))


def _stored(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revisions = connection.scalars(text("SELECT version_num FROM alembic_version")).all()
    return str(revisions[0]) if len(revisions) == 1 else None
