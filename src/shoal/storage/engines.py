"""Engines: open connections to SQLite and PostgreSQL so that every commit is durable."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from shoal.errors import ConfigError
from shoal.storage.data_directory import DATABASE_FILE
from shoal.storage.storable_cursors import StorableConnection, storable_cursor_of_postgresql

if TYPE_CHECKING:
    import psycopg

log = logging.getLogger("shoal.storage.group_writer")
logging.getLogger(__name__).setLevel(logging.WARNING)
"""SQLAlchemy writes here of ``SharedPool``, and a library logs from WARNING on."""

SILENCE_SECONDS = 16.0
"""How long a thread that serves waits for a word of PostgreSQL: twice as long as a statement may take there."""
_GUARD_SILENCE_SECONDS = 4.0
"""The same for the guard. A lease that is shorter is renewed sooner, and cannot wait so long (``idle_seconds``)."""


def is_sqlite(url: URL) -> bool:
    """Return whether the URL names an SQLite file."""
    return url.get_backend_name() == "sqlite"


_DURABLE: Final = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON")
_SCRATCH: Final = ("journal_mode=OFF", "synchronous=OFF", "foreign_keys=ON", "secure_delete=ON", "cache_size=-65536")
"""For a file that is deleted when anything fails: each row is written once, and nothing waits for the disk."""


def open_engine(
    url: URL,
    *,
    busy_seconds: float,
    begin: str,
    read_only: bool = False,
    idle_seconds: float = 0.0,
    silence_seconds: float = 0.0,
    scratch: bool = False,
    **pool: Any,
) -> Engine:
    """Return an engine whose transactions begin with ``begin`` and wait at most ``busy_seconds`` for a lock.

    ``idle_seconds``: how long PostgreSQL waits for the next statement of a transaction before it ends it, or 0. A
    process that stands still would keep its locks, and TCP would not notice. ``silence_seconds``: how long a connection
    waits for a word of PostgreSQL before it ends, or 0; longer than a statement may take. ``scratch``: of an SQLite
    file that is of no use after a failure, so that nothing can be rolled back. Its rows are stored as they come; those
    of other files and databases only with texts that every database can store.
    """
    writes = not read_only and not scratch
    if is_sqlite(url):
        factory = StorableConnection if writes else sqlite3.Connection
        how = {"timeout": busy_seconds, "factory": factory}
        engine = create_engine(url, hide_parameters=True, connect_args=how, **pool)
        _teach_sqlite(engine, begin, _SCRATCH if scratch else _DURABLE, read_only=read_only)
        return engine
    options = f"-c lock_timeout={int(busy_seconds * 1000)} -c statement_timeout=8000"
    options += f" -c idle_in_transaction_session_timeout={int(idle_seconds * 1000)}"
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_pre_ping="pool_size" in pool,
        connect_args={
            "connect_timeout": 4, "options": options, "application_name": "shoal", "client_encoding": "utf8",
            "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 8000,
            **({"cursor_factory": storable_cursor_of_postgresql()} if writes else {}),
        },
        **pool,
    )  # fmt: skip
    if silence_seconds:
        from shoal.storage.silence_limit import limit_silence  # noqa: PLC0415  it loads PostgreSQL's driver

        limit_silence(engine, silence_seconds)
    if read_only:
        return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    _teach_postgresql(engine)
    return engine


def open_guard(url: URL, *, busy_seconds: float, idle_seconds: float) -> Engine:
    """Return the engine of a lease: one connection renews it while another may wait for rows."""
    return open_engine(
        url,
        busy_seconds=busy_seconds,
        begin="BEGIN",
        idle_seconds=idle_seconds,
        silence_seconds=min(idle_seconds, _GUARD_SILENCE_SECONDS),
        poolclass=SharedPool,
        pool_size=2,
        max_overflow=0,
    )


class SharedPool(QueuePool):
    """A pool of several threads. It closes what one of them returns after another has disposed of the engine.

    That thread may have had a connection then, or may have been connecting. The engine has another pool by then.
    """

    _is_disposed = False

    def dispose(self) -> None:
        """Close what is in the pool now, and what is returned later."""
        self._is_disposed = True
        super().dispose()

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        super()._do_return_conn(record)
        if self._is_disposed:
            super().dispose()


def _teach_sqlite(engine: Engine, begin: str, pragmas: Sequence[str], *, read_only: bool) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(raw: sqlite3.Connection, _: object) -> None:
        raw.isolation_level = None  # BEGIN is sent explicitly
        for pragma in pragmas:
            raw.execute(f"PRAGMA {pragma}").close()
        if read_only:
            raw.execute("PRAGMA query_only=ON").close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        raw = driver_of(connection)
        if not (isinstance(raw, sqlite3.Connection) and raw.in_transaction):
            connection.exec_driver_sql(begin)


def _teach_postgresql(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(raw: psycopg.Connection[Any], _: object) -> None:
        """Make each commit durable, even if the server's default is otherwise."""
        with raw.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('synchronous_commit', 'on', false) "
                "WHERE current_setting('synchronous_commit') = 'off'"
            )
        raw.commit()


def database_url(url: str, data_dir: Path | None) -> URL:
    """Return the URL of the settings, or that of the file in the data directory. Raises ``ConfigError``."""
    if not url:
        if data_dir is None:
            raise ConfigError("startup.no_data_dir", code="bad_database_url")
        return URL.create("sqlite", database=str((data_dir / DATABASE_FILE).absolute()))
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigError("startup.bad_database_url", code="bad_database_url") from None
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend == "sqlite" and parsed.database and data_dir is not None:
        return parsed.set(drivername="sqlite", database=str(Path(parsed.database).absolute()))
    raise ConfigError("startup.unknown_database", code="bad_database_url")


def driver_of(connection: Connection) -> Any:
    """Return the driver's connection."""
    return connection.connection.dbapi_connection


def begin(connection: Connection) -> None:
    """Begin a transaction of the writer by the driver. SQLAlchemy joins it with its first statement, if there is one.

    End it with ``commit`` or ``roll_back``.
    """
    raw = driver_of(connection)
    if isinstance(raw, sqlite3.Connection):  # psycopg begins by itself
        raw.execute("BEGIN IMMEDIATE")


def commit(connection: Connection) -> None:
    """Commit, whether SQLAlchemy joined the transaction or not."""
    (connection if connection.in_transaction() else driver_of(connection)).commit()


def roll_back(connection: Connection) -> None:
    """Roll back, whether SQLAlchemy joined the transaction or not."""
    (connection if connection.in_transaction() else driver_of(connection)).rollback()


def in_transaction(connection: Connection) -> bool:
    """Return whether the database still holds the transaction: SQLite ends it by itself on some errors."""
    if connection.invalidated or connection.closed:
        return False
    raw = driver_of(connection)
    return raw.in_transaction if isinstance(raw, sqlite3.Connection) else not raw.closed


def dispose(connection: Connection) -> None:
    """Close permanently, in any state of the connection: closing rolls back."""
    try:
        connection.invalidate()
    except Exception:  # noqa: BLE001 - the link may be beyond closing
        log.debug("a broken connection did not close cleanly")
    try:
        connection.close()
    except Exception:  # noqa: BLE001 - the link may be beyond closing
        log.debug("a broken connection did not close cleanly")
