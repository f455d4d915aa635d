"""Prepares a database for a server: it is looked at, guarded, migrated, and bound to its data directory."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy import Connection, Engine, select, text
from sqlalchemy.exc import DBAPIError

from shoal.errors import ConfigError
from shoal.storage.data_directory import MARKER_FILE, read_marker, write_marker
from shoal.storage.database_errors import damaged
from shoal.storage.integrity_check import SMALL_BYTES, is_sound
from shoal.storage.migrations import Older, is_newest, migrate, take_migration_lock
from shoal.storage.schema import store_meta
from shoal.storage.store_facts import remember_fact


def prepare(
    engine: Engine,
    data_dir: Path | None,
    file: Path | None,
    *,
    guard: Callable[[], None],
    copy_first: Callable[[str], object] | None,
    older: Older | None = None,
) -> bool:
    """Prepare the database behind ``engine``: ``file`` of a locked ``data_dir``, or one of PostgreSQL (``None``).

    ``guard`` is called before and after the schema is updated; ``older`` as by ``migrate``. Return whether nothing is
    left to check: a large file of the newest schema is checked later, beside requests.
    """
    marker = read_marker(data_dir) if file is not None else None
    is_checked = True if file is None else _prepare_file(engine, file, marker)
    must_be_fit(engine)
    guard()
    migrate(engine, database_file=file, copy_first=copy_first, older=older)
    guard()
    if file is None:  # with a file, its lock shows that the process and all its writes have ended
        await_predecessors(engine)
        forget_earlier_life(engine)
    with engine.begin() as connection:
        stored = remember_fact(connection, "marker", secrets.token_hex(16))
    if data_dir is not None and file is not None and marker != stored:
        write_marker(data_dir, stored)
    if file is not None:
        for path in file.parent.glob(f"{file.name}*"):
            path.chmod(0o600)
    return is_checked


def _prepare_file(engine: Engine, path: Path, marker: str | None) -> bool:
    """Make an empty file, or look at the one that is there. Return whether it needs no further check."""
    empty = not path.exists() or path.stat().st_size == 0
    if empty and marker is not None:
        raise ConfigError(
            "startup.database_missing",
            directory=path.parent,
            name=path.name,
            marker=MARKER_FILE,
            code="database_missing",
        )
    if empty:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        return True
    with engine.connect() as connection:
        # A migration writes to every part of the file: nothing is migrated that may be damaged.
        is_checked = path.stat().st_size <= SMALL_BYTES or not is_newest(connection)
        if is_checked and not is_sound(connection):
            raise damaged(path)
    return is_checked


log = structlog.get_logger("shoal.database")

_IS_FOREIGN = text("""
    SELECT xid8 >= pg_snapshot_xmax(pg_current_snapshot()) FROM journal ORDER BY xid8 DESC, rev DESC LIMIT 1
""")


def forget_earlier_life(engine: Engine) -> None:
    """Let such a journal be in the order of its revs, before anything is added to it.

    Its transaction ids belong to the other server's life: entries that follow would come before them in the stream.
    """
    with engine.begin() as connection:
        if connection.scalar(_IS_FOREIGN):
            take_migration_lock(connection)
            entries = _forget(connection)
            log.info("the history comes from another PostgreSQL server; its order is that of its numbers", rows=entries)


def _forget(connection: Connection) -> int:
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    return connection.execute(text("UPDATE journal SET xid8 = '0'")).rowcount


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


WRITER_ROWS = "writer:"
"""The prefix of the keys of the rows that each writer locks in every transaction."""


def await_predecessors(engine: Engine) -> None:
    """Wait until no transaction of another writer is in progress, for as long as one statement may take.

    A read after that cannot be overtaken by it. A longer transaction belongs to a program whose machine is gone: its
    COMMIT never comes.
    """
    rows = select(store_meta.c.key).where(store_meta.c.key.startswith(WRITER_ROWS, autoescape=True))
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
            connection.execute(rows.with_for_update(read=True)).all()
    except DBAPIError as error:
        log.warning("a transaction of another server is under way and does not end", why=type(error).__name__)
