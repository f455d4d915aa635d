"""What Shoal needs of a PostgreSQL database: its version, its encoding, and that its role may change it."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, Engine, text

from shoal.errors import ConfigError
from shoal.storage.migrations import is_newest

OLDEST: Final = 150_000
"""The oldest version that is tested, as ``server_version_num`` has it."""
_ASK: Final = text(
    "SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS number, "
    "current_setting('server_encoding') AS encoding, current_database() AS name, current_user AS role, "
    "pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool AS read_only, "
    "coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS may_create, "
    "(SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace "
    "AND NOT (has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT') "
    "AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE'))) AS closed"
)


def must_be_fit(engine: Engine) -> None:
    """Check a PostgreSQL database before anything is stored; an SQLite file needs nothing of this."""
    if engine.dialect.name == "postgresql":
        with engine.connect() as connection:
            check_fitness(connection, creates_tables=not is_newest(connection))


def check_fitness(connection: Connection, *, creates_tables: bool, oldest: int = OLDEST) -> None:
    """Raise ``ConfigError``, with what to do, for a database that Shoal cannot use.

    ``creates_tables``: it lacks some of Shoal's tables, or has those of an older version.
    """
    found = connection.execute(_ASK).one()
    if found.number < oldest:
        oldest_name = str(oldest // 10_000)
        raise ConfigError("startup.pg_too_old", version=found.version, oldest=oldest_name, code="pg_too_old")
    if found.encoding != "UTF8":
        raise ConfigError("startup.pg_encoding", name=found.name, encoding=found.encoding, code="pg_encoding")
    if found.read_only:
        raise ConfigError("startup.pg_read_only", name=found.name, code="pg_read_only")
    if found.closed or (creates_tables and not found.may_create):
        raise ConfigError("startup.pg_rights", name=found.name, role=found.role, code="pg_rights")
