"""The database: opened with care, read on a few threads of its own, written by the group writer alone."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

import psycopg
from sqlalchemy import Connection, Engine, LargeBinary, create_engine, event, exists, select, update
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool, QueuePool

from shoal.concurrency.fair_turns import FairTurns
from shoal.concurrency.interruptible import Interruptible
from shoal.errors import ConfigError, StoreError, TemporaryFailure
from shoal.storage.group_writer import ChangeWriter, FaultPoint, GroupWriter, translated
from shoal.storage.migrations import check_is_newest, migrate
from shoal.storage.predecessors import await_predecessors
from shoal.storage.schema import insert_or, metadata, store_meta

T = TypeVar("T")

DATABASE_FILE = "shoal.db"
LOCK_FILE = "shoal.lock"
MARKER_FILE = "shoal.marker"
WRITER_BUSY_SECONDS = 4.0
"""How long the writer waits for a lock: works queued behind one such wait are still answered within 10 s."""
READER_BUSY_SECONDS = 2.0
SEARCHERS = 2
"""Threads and connections for searches, which may look through every message."""
SEARCHES_WAITING_EACH = 8
SEARCHES_WAITING_ALL = 64
SEARCH_SECONDS = 15.0
"""A search that takes longer is ended."""


class Database:
    """One SQLite file in a data directory, or one PostgreSQL database. Made closed; ``open`` it on a running loop.

    ``read`` and ``write`` take a function of a connection and run it on a thread. What they raise is ``StoreError``
    (``NotApplied`` or ``OutcomeUnknown`` from a write) or what the function itself raised.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        *,
        url: str = "",
        readers: int = 4,
        fault_point: FaultPoint | None = None,
        settle_seconds: float | None = None,
        reopen_seconds: tuple[float, float] | None = None,
        guard: Callable[[Engine], None] | None = None,
    ) -> None:
        """``guard`` keeps a second server out of a PostgreSQL database. It is called with an engine of its own, on a
        thread, while the directory is locked, before and after the schema is brought up to date. What it raises ends
        ``open``.
        """
        self.data_dir = data_dir
        self._url = _database_url(url, data_dir)
        self._readers = readers
        self._fault_point = fault_point
        self._guard = guard
        self._timing: dict[str, Any] = {}
        if settle_seconds is not None:
            self._timing["settle_seconds"] = settle_seconds
        if reopen_seconds is not None:
            self._timing["reopen_seconds"] = reopen_seconds
        self._lock_handle: int | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._search_threads: ThreadPoolExecutor | None = None
        self._search_turns: FairTurns | None = None
        self._read_engine: Engine | None = None
        self._write_engine: Engine | None = None
        self._group_writer: GroupWriter | None = None
        self._change_writer: ChangeWriter | None = None
        self._on_degraded: Callable[[bool], None] | None = None

    def __repr__(self) -> str:
        return f"<Database {self._url.render_as_string(hide_password=True)}>"

    @property
    def is_sqlite(self) -> bool:
        """Whether this is a file in the data directory."""
        return self._url.get_backend_name() == "sqlite"

    @property
    def file(self) -> Path | None:
        """The SQLite file."""
        return Path(self._url.database) if self.is_sqlite and self._url.database else None

    @property
    def degraded(self) -> bool:
        """Whether writes are refused because nobody knows what became of a commit."""
        return self._group_writer is not None and self._group_writer.degraded

    @property
    def group_writer(self) -> GroupWriter:
        """The writer, for account changes and its counters. Raises ``StoreError`` when the database is not open."""
        if self._group_writer is None:
            raise StoreError("the database is not open", code="store_closed")
        return self._group_writer

    # ── opening and closing ─────────────────────────────────────────────────────────────────────────────────────

    async def open(self) -> Self:
        """Lock the data directory, check and migrate the database, start its threads.

        Raises ``ConfigError`` or ``StoreError`` with a sentence that says what to do; then nothing stays open.
        """
        self._threads = ThreadPoolExecutor(self._readers, thread_name_prefix="shoal-read")
        self._search_threads = ThreadPoolExecutor(SEARCHERS, thread_name_prefix="shoal-search")
        self._search_turns = FairTurns(SEARCHERS, waiting_each=SEARCHES_WAITING_EACH, waiting_all=SEARCHES_WAITING_ALL)
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, self._prepare)
        except BaseException:
            await self.close()
            raise
        name = "local" if self.is_sqlite else secrets.token_hex(8)
        self._group_writer = GroupWriter(
            self._engine_of_writer(), name=name, fault_point=self._fault_point, **self._timing
        )
        self._group_writer.change_writer = self._change_writer
        self._group_writer.on_degraded = self._on_degraded
        self._group_writer.start()
        return self

    async def close(self) -> None:
        """Write what waits, end the threads, close every connection, release the data directory."""
        if self._group_writer is not None:
            await self._group_writer.close()
        for threads in (self._threads, self._search_threads):
            if threads is not None:
                await asyncio.to_thread(threads.shutdown)
        for engine in (self._read_engine, self._write_engine):
            if engine is not None:
                engine.dispose()
        self._group_writer = self._threads = self._search_threads = self._read_engine = self._write_engine = None
        if self._lock_handle is not None:
            os.close(self._lock_handle)
            self._lock_handle = None

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _prepare(self) -> None:
        if self.data_dir is not None:
            _make_private_directory(self.data_dir)
            self._lock_handle = _lock_directory(self.data_dir)
        marker = _read_marker(self.data_dir) if self.is_sqlite else None
        with _explained(self):
            if self.is_sqlite:
                self._prepare_file(marker)
            engine, guard = self._engine_of_writer(), self._guarded()
            guard()
            migrate(engine, database_file=self.file)
            guard()
            if not self.is_sqlite:  # of a file, its lock says that the process and all its writes have ended
                await_predecessors(engine)
            with engine.begin() as connection:
                stored = _remember(connection, "marker", secrets.token_hex(16))
        if self.data_dir is not None and self.is_sqlite and marker != stored:
            _write_marker(self.data_dir, stored)
        if self.file is not None:
            for path in self.file.parent.glob(f"{self.file.name}*"):
                path.chmod(0o600)

    def _guarded(self) -> Callable[[], None]:
        if self._guard is None or self.is_sqlite:
            return lambda: None
        own = self._engine(
            poolclass=QueuePool, pool_size=1, max_overflow=0, busy_seconds=READER_BUSY_SECONDS, begin="BEGIN"
        )
        return partial(self._guard, own)

    def _prepare_file(self, marker: str | None) -> None:
        path = self.file
        if path is None:
            raise ConfigError("an SQLite database needs a file", code="bad_database_url")
        empty = not path.exists() or path.stat().st_size == 0
        if empty and marker is not None:
            raise ConfigError(
                f"{path.parent} held a Shoal database before, but {path.name} is gone or empty; restore it from your "
                f"backup, or remove {MARKER_FILE} there to start anew with no accounts",
                code="database_missing",
            )
        if empty:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            return
        with self._engine_of_writer().connect() as connection:
            verdict = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        if verdict != "ok":
            raise _damaged(path)

    # ── reading and writing ─────────────────────────────────────────────────────────────────────────────────────

    async def read(self, job: Callable[[Connection], T]) -> T:
        """Run ``job`` on one consistent, read-only snapshot."""
        if self._threads is None:
            raise StoreError("the database is not open", code="store_closed")
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, job)

    async def search(self, job: Callable[[Connection], T]) -> T:
        """As ``read``, for what may look through everything: on threads of its own, in fair turns, and bounded.

        A caller who leaves ends the search. Raises ``TemporaryFailure`` (``search_takes_long``) after
        ``SEARCH_SECONDS``, and as ``FairTurns.take`` does.
        """
        if self._search_threads is None or self._search_turns is None:
            raise StoreError("the database is not open", code="store_closed")
        async with self._search_turns.turn():
            search = Interruptible(self._engine_of_readers(), job)
            running = asyncio.get_running_loop().run_in_executor(self._search_threads, self._searched, search)
            try:
                async with asyncio.timeout(SEARCH_SECONDS):
                    return await asyncio.shield(running)
            except TimeoutError:
                raise TemporaryFailure("the search took too long", code="search_takes_long") from None
            finally:
                if not running.done():
                    await self._give_up(search, running)

    def _searched(self, search: Interruptible[T]) -> T:
        with _as_store_error():
            return search.run()

    async def _give_up(self, search: Interruptible[T], running: asyncio.Future[T]) -> None:
        """End a search whose result nobody wants; its thread is free only then."""
        while not running.done():
            await asyncio.to_thread(search.stop)
            await asyncio.wait({running}, timeout=0.1)
        running.exception()

    def _read(self, job: Callable[[Connection], T]) -> T:
        with _as_store_error(), self._engine_of_readers().connect() as connection, connection.begin():
            return job(connection)

    async def write(self, job: Callable[[Connection], T]) -> T:
        """Run ``job`` in a savepoint of the next group; returns when that is durable (see ``GroupWriter.run``)."""
        return await self.group_writer.run(job)

    async def announce(self, job: Callable[[Connection], T]) -> T:
        """As ``write``, for what only the caller carries out: it is not written once he has left.

        If he leaves in the very moment in which it is written, it may stand there all the same.
        """
        waits = True

        def while_he_waits(connection: Connection) -> T:
            if not waits:
                raise StoreError("its caller has left")
            return job(connection)

        try:
            return await self.write(while_he_waits)
        except asyncio.CancelledError:
            waits = False
            raise

    async def settled(self) -> None:
        """Wait until all that was sent to be written before is settled (see ``GroupWriter.settled``)."""
        await self.group_writer.settled()

    async def write_through(self, job: Callable[[Connection], T]) -> T:
        """The same: there is no memory here in which it could wait (see ``UserReplica``)."""
        return await self.write(job)

    def write_beside(self, job: Callable[[Connection], T]) -> T:
        """Run ``job`` in one transaction on a database that is not open here, and that a server may be using.

        Nothing is made or migrated. Raises ``ConfigError`` when there is none, or one of another version, and
        ``StoreError``.
        """
        if self.file is not None and not self.file.is_file():
            raise ConfigError(
                f"there is no database at {self.file}; name the data directory by SHOAL_DATA_DIR", code="no_database"
            )
        engine = self._engine_of_writer()
        try:
            with _as_store_error(), engine.connect() as connection, connection.begin():
                check_is_newest(connection)
                return job(connection)
        finally:
            engine.dispose()

    def write_changes_with(self, change_writer: ChangeWriter) -> None:
        """Say how changes become rows; once, before the first ``submit``."""
        self._change_writer = change_writer
        if self._group_writer is not None:
            self._group_writer.change_writer = change_writer

    def on_degraded(self, listener: Callable[[bool], None]) -> None:
        """Call ``listener`` on the loop with True when the store degrades and with False when it recovers."""
        self._on_degraded = listener
        if self._group_writer is not None:
            self._group_writer.on_degraded = listener

    # ── facts of the store ──────────────────────────────────────────────────────────────────────────────────────

    async def remember_site(self, site: str) -> None:
        """Bind the store to the site that it talks to. Raises ``ConfigError`` when it is bound to another.

        ``site``: the site's addresses, with blanks. The first Shoal bound its data to one of them; all of them take its
        place then.
        """

        def job(connection: Connection) -> str:
            bound = _remember(connection, "site", site)
            if bound == site or bound not in site.split():
                return bound
            connection.execute(update(store_meta).where(store_meta.c.key == "site").values(value=site))
            return site

        bound = await self.write(job)
        if bound != site:
            raise ConfigError(
                f"this data belongs to the site {bound}, and the settings name {site}; "
                "use another data directory for another site",
                code="other_site",
            )

    async def fact(self, key: str) -> str | None:
        """A value of ``store_meta``."""
        return await self.read(lambda connection: connection.scalar(_fact(key)))

    async def remember(self, key: str, value: str) -> str:
        """Store a value of ``store_meta`` unless there is one; returns the one that stands."""
        return await self.write(lambda connection: _remember(connection, key, value))

    async def replace_fact(self, key: str, value: str) -> None:
        """Store a value of ``store_meta`` in the place of any other."""

        def job(connection: Connection) -> None:
            _remember(connection, key, value)
            connection.execute(update(store_meta).where(store_meta.c.key == key), {"value": value})

        await self.write(job)

    async def empty_log(self) -> None:
        """Bring what SQLite's log holds into the file and cut the log to nothing: replaced values stand in it else.

        As good as it goes: a reader that is under way keeps the log as it is until the next time.
        """
        path = self.file
        if path is None:
            return

        def job() -> None:
            with contextlib.closing(sqlite3.connect(path, timeout=5)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

        with contextlib.suppress(sqlite3.Error):
            await asyncio.to_thread(job)

    async def has_sealed_values(self) -> bool:
        """Whether any column holds a secret that only the present keys can open."""

        def job(connection: Connection) -> bool:
            return any(
                connection.scalar(select(exists().where(column.is_not(None))))
                for table in metadata.sorted_tables
                for column in table.columns
                if isinstance(column.type, LargeBinary)
            )

        return await self.read(job)

    # ── engines ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _engine_of_writer(self) -> Engine:
        if self._write_engine is None:
            self._write_engine = self._engine(
                poolclass=NullPool, busy_seconds=WRITER_BUSY_SECONDS, begin="BEGIN IMMEDIATE"
            )
        return self._write_engine

    def _engine_of_readers(self) -> Engine:
        if self._read_engine is None:
            self._read_engine = self._engine(
                poolclass=QueuePool, pool_size=self._readers + SEARCHERS, max_overflow=0,
                busy_seconds=READER_BUSY_SECONDS, begin="BEGIN", read_only=True,
            )  # fmt: skip
        return self._read_engine

    def _engine(self, *, busy_seconds: float, begin: str, read_only: bool = False, **pool: Any) -> Engine:
        if self.is_sqlite:
            engine = create_engine(self._url, hide_parameters=True, connect_args={"timeout": busy_seconds}, **pool)
            _teach_sqlite(engine, begin, read_only=read_only)
            return engine
        options = f"-c lock_timeout={int(busy_seconds * 1000)} -c statement_timeout=8000"
        engine = create_engine(
            self._url,
            hide_parameters=True,
            pool_pre_ping="pool_size" in pool,
            connect_args={
                "connect_timeout": 4, "options": options, "application_name": "shoal",
                "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 8000,
            },
            **pool,
        )  # fmt: skip
        if read_only:
            return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        _teach_postgresql(engine)
        return engine


def _teach_sqlite(engine: Engine, begin: str, *, read_only: bool) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(raw: sqlite3.Connection, _: object) -> None:
        raw.isolation_level = None  # we say BEGIN ourselves
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
            raw.execute(f"PRAGMA {pragma}").close()
        if read_only:
            raw.execute("PRAGMA query_only=ON").close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)


def _teach_postgresql(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(raw: psycopg.Connection[Any], _: object) -> None:
        """Committed means durable, even where the server's default is otherwise."""
        with raw.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('synchronous_commit', 'on', false) "
                "WHERE current_setting('synchronous_commit') = 'off'"
            )
        raw.commit()


def _database_url(url: str, data_dir: Path | None) -> URL:
    if not url:
        if data_dir is None:
            raise ConfigError("name a data directory or a database", code="bad_database_url")
        return URL.create("sqlite", database=str((data_dir / DATABASE_FILE).absolute()))
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigError("the database URL cannot be read", code="bad_database_url") from None
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend == "sqlite" and parsed.database and data_dir is not None:
        return parsed.set(drivername="sqlite", database=str(Path(parsed.database).absolute()))
    raise ConfigError(
        "the database URL must begin with postgresql:// (or sqlite:/// and a file, with a data directory)",
        code="bad_database_url",
    )


@contextlib.contextmanager
def _as_store_error() -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, psycopg.Error) as error:
        refusal = translated(error)
        raise StoreError(str(refusal), **refusal.params) from None


@contextlib.contextmanager
def _explained(database: Database) -> Iterator[None]:
    """Failures while opening, as sentences for the operator."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, psycopg.Error) as error:
        reason = translated(error)
        if reason.params["reason"] in {"SQLITE_NOTADB", "SQLITE_CORRUPT"} and database.file is not None:
            raise _damaged(database.file) from None
        remedy = _remedy(reason.params["reason"])
        raise StoreError(f"{database!r} cannot be opened: {reason}; {remedy}", code="database_unusable") from None
    except OSError as error:
        raise ConfigError(
            f"{database!r} cannot be opened ({error.strerror}); make it readable and writable for this user",
            code="database_unusable",
        ) from None


_REMEDIES = {
    "SQLITE_BUSY": "end the program that uses it, and start again",
    "SQLITE_LOCKED": "end the program that uses it, and start again",
    "SQLITE_FULL": "make room on its disk, and start again",
    "SQLITE_IOERR": "see to its disk, and start again",
    "SQLITE_READONLY": "make it readable and writable for this user",
    "SQLITE_CANTOPEN": "make it readable and writable for this user",
}


def _remedy(reason: str) -> str:
    """What the operator is to do about a failure that is named so."""
    kind = "_".join(reason.split("_")[:2])
    return _REMEDIES.get(kind, "see that the database is well and lets this user in, and start again")


def _damaged(path: Path) -> StoreError:
    return StoreError(
        f"the database file {path} is damaged; keep it, and restore your newest backup in its place",
        code="database_damaged",
    )


def _fact(key: str) -> Any:
    return select(store_meta.c.value).where(store_meta.c.key == key)


def _remember(connection: Connection, key: str, value: str) -> str:
    stored = connection.scalar(_fact(key))
    if stored is not None:
        return str(stored)
    connection.execute(
        insert_or(connection, store_meta).on_conflict_do_nothing(index_elements=[store_meta.c.key]),
        [{"key": key, "value": value}],
    )
    return str(connection.scalar(_fact(key)))


def _make_private_directory(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
        probe = path / f".probe-{secrets.token_hex(4)}"
        os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        probe.unlink()
    except OSError as error:
        raise ConfigError(
            f"the data directory {path} cannot be used ({error.strerror}); "
            "make it a directory that this user may write to, or name another",
            code="data_dir_unusable",
        ) from None


def _lock_directory(path: Path) -> int:
    handle = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(handle, 32, 0).decode("ascii", "replace").strip()
        os.close(handle)
        who = f"process {holder}" if holder.isdigit() else "another process"
        raise ConfigError(
            f"{who} already serves the data directory {path}; stop it first, or name another directory",
            code="data_dir_taken",
        ) from None
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    return handle


def _read_marker(path: Path | None) -> str | None:
    try:
        return (path / MARKER_FILE).read_text(encoding="ascii").strip() if path is not None else None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        raise ConfigError(
            f"{path}/{MARKER_FILE} cannot be read; mend its permissions", code="data_dir_unusable"
        ) from None


def _write_marker(path: Path, value: str) -> None:
    marker = path / MARKER_FILE
    try:
        handle = os.open(marker, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(value + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ConfigError(f"{marker} cannot be written ({error.strerror})", code="data_dir_unusable") from None
