"""The database: reads on several threads of its own; only the group writer writes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, Engine, update
from sqlalchemy.engine import URL

from shoal.errors import ConfigError, StoreChecking, StoreError
from shoal.storage.data_directory import lock_directory, make_private_directory
from shoal.storage.database_engines import DatabaseEngines
from shoal.storage.database_errors import as_store_error, database_errors, opening, translated
from shoal.storage.database_preparation import prepare
from shoal.storage.engines import database_url, is_sqlite
from shoal.storage.group_work import ChangeWriter, FaultPoint
from shoal.storage.group_writer import GroupWriter
from shoal.storage.integrity_check import IntegrityCheck
from shoal.storage.migrations import Older, check_is_enough
from shoal.storage.schema import store_meta
from shoal.storage.searches import Searches
from shoal.storage.store_facts import fact_of, remember_fact
from shoal.storage.touched import Touched

T = TypeVar("T")

IDLE_SECONDS = 20.0
"""How long PostgreSQL keeps a transaction of a writer that stands still: less than the lease of its server lasts, so
that nothing of it is left when another server takes over."""


class Database:
    """One SQLite file in a data directory, or one PostgreSQL database. Created closed; ``open`` it on a running loop.

    ``read`` and ``write`` take a function of a connection and run it on a thread. They raise ``StoreError``
    (``NotApplied`` or ``CommitUnknown`` from a write) or what the function itself raised.
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
        idle_seconds: float = IDLE_SECONDS,
        copy_first: Callable[[str], object] | None = None,
        older: Older | None = None,
        locked_by_parent: bool = False,
    ) -> None:
        """``guard`` keeps a second server out of a PostgreSQL database. It is called with its own engine, on a thread,
        while the directory is locked, before and after the schema is updated. An error from it ends ``open``.
        ``copy_first`` copies a PostgreSQL database before its schema is updated, and ``older`` limits that while
        servers of an older version live; see ``migrate``. ``locked_by_parent``: this process inherited the lock of the
        directory."""
        self.data_dir = data_dir
        self._url = database_url(url, data_dir)
        self._readers = readers
        self._fault_point = fault_point
        self._guard = guard
        self._copy_first = copy_first
        self._older = older
        self._idle_seconds = idle_seconds
        self._locks = not locked_by_parent
        timing: dict[str, Any] = {"settle_seconds": settle_seconds, "reopen_seconds": reopen_seconds}
        self._timing = {name: value for name, value in timing.items() if value is not None}
        self._lock_handle: int | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._searches: Searches | None = None
        self._engines = DatabaseEngines(self._url, readers=readers)
        self._group_writer: GroupWriter | None = None
        self._is_checked = True
        self._check: IntegrityCheck | None = None
        self._change_writer: ChangeWriter | None = None
        self._on_degraded: Callable[[bool], None] | None = None
        self.touched = Touched()

    def __repr__(self) -> str:
        return f"<Database {self._url.render_as_string(hide_password=True)}>"

    @property
    def url(self) -> URL:
        """Where it is, with its password."""
        return self._url

    @property
    def is_sqlite(self) -> bool:
        """Whether this is a file in the data directory."""
        return is_sqlite(self._url)

    @property
    def file(self) -> Path | None:
        """The SQLite file."""
        return Path(self._url.database) if self.is_sqlite and self._url.database else None

    @property
    def degraded(self) -> bool:
        """Whether writes are refused because the outcome of a commit is unknown."""
        return self._group_writer is not None and self._group_writer.degraded

    @property
    def checking(self) -> bool:
        """Whether its file is being checked: reads are served, writes are refused with ``StoreChecking``."""
        return self._check is not None and not self._check.passed

    async def checked(self) -> None:
        """Wait until the file is checked. Raises ``StoreError`` when it is damaged, or cannot be read."""
        if self._check is not None:
            await self._check.verdict()

    @property
    def group_writer(self) -> GroupWriter:
        """The writer, for account changes and its counters. Raises ``StoreError`` when the database is not open."""
        if self._group_writer is None:
            raise StoreError("the database is not open", code="store_closed")
        return self._group_writer

    # ── opening and closing ─────────────────────────────────────────────────────────────────────────────────────

    async def open(self) -> Self:
        """Lock the data directory, check and migrate the database, start its threads.

        Raises ``ConfigError`` or ``StoreError`` that says what to do; then nothing stays open.
        """
        self._threads = ThreadPoolExecutor(self._readers, thread_name_prefix="shoal-read")
        self._searches = Searches()
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, self._prepare)
        except BaseException:
            await self.close()
            raise
        if not self.is_sqlite:  # only now: a migration may compute for long between two statements
            self._engines.bound_writer(self._idle_seconds)
        self._engines.readers()  # now: each of several threads would make one, and only one would ever be closed
        name = "local" if self.is_sqlite else secrets.token_hex(8)
        self._group_writer = GroupWriter(
            self._engines.writer(), name=name, fault_point=self._fault_point, **self._timing
        )
        self._group_writer.change_writer = self._change_writer
        self._group_writer.on_degraded = self._on_degraded
        self._group_writer.start()
        if self.file is not None and not self._is_checked:
            self._check = IntegrityCheck(self.file, self._engines.reader_apart())
        return self

    async def close(self) -> None:
        """Write queued work, end the threads, close every connection, release the data directory."""
        if self._check is not None:
            await self._check.close()
        if self._group_writer is not None:
            await self._group_writer.close()
        for threads in (self._threads, self._searches):
            if threads is not None:
                await asyncio.to_thread(threads.shutdown)
        self._engines.dispose()
        self._group_writer = self._threads = self._searches = None
        if self._lock_handle is not None:
            os.close(self._lock_handle)
            self._lock_handle = None

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _prepare(self) -> None:
        if self.data_dir is not None:
            make_private_directory(self.data_dir)
            self._lock_handle = lock_directory(self.data_dir) if self._locks else None
        if self.is_sqlite and self.file is None:
            raise ConfigError("startup.no_file", code="bad_database_url")
        with opening(repr(self), self.file):
            engine, guard = self._engines.preparing(), self._guarded()
            try:
                self._is_checked = prepare(
                    engine, self.data_dir, self.file, guard=guard, copy_first=self._copy_first, older=self._older
                )
            finally:
                engine.dispose()

    def _guarded(self) -> Callable[[], None]:
        if self._guard is None or self.is_sqlite:
            return lambda: None
        return partial(self._guard, self._engines.guard(self._idle_seconds))

    # ── reading and writing ─────────────────────────────────────────────────────────────────────────────────────

    async def read(self, job: Callable[[Connection], T]) -> T:
        """Run ``job`` on one consistent, read-only snapshot."""
        if self._threads is None:
            raise StoreError("the database is not open", code="store_closed")
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, job)

    async def search(self, job: Callable[[Connection], T]) -> T:
        """Run ``job`` like ``read`` where it may scan everything: on threads apart, in fair turns, and bounded.

        A caller who is cancelled ends the search. Raises ``TemporaryFailure`` (``search_takes_long``) after
        ``SEARCH_SECONDS``, and like ``FairTurns.take``.
        """
        if self._searches is None:
            raise StoreError("the database is not open", code="store_closed")
        return await self._searches.run(self._engines.readers(), job)

    def _read(self, job: Callable[[Connection], T]) -> T:
        with as_store_error(), self._engines.readers().connect() as connection, connection.begin():
            return job(connection)

    async def write(self, job: Callable[[Connection], T], *, on_commit: Callable[[T], object] | None = None) -> T:
        """Run ``job`` as ``GroupWriter.run`` does; it is durable then. Raises ``StoreChecking`` during the check."""
        if self.checking:
            raise StoreChecking
        return await self.touched.run(self.group_writer.run, job, on_commit)

    def write_apart(self, job: Callable[[Connection], T]) -> T:
        """Run ``job`` on this thread in one transaction on PostgreSQL, beside the group writer, which does not wait.

        For large rows that may as well be written twice: a commit of unknown outcome counts as refused. Raises
        ``NotApplied``.
        """
        try:
            with self._engines.writer_apart().connect() as connection, connection.begin():
                return job(connection)
        except database_errors() as error:
            raise translated(error) from None

    async def announce(self, job: Callable[[Connection], T]) -> T:
        """Run ``job`` like ``write``, but skip it if its caller is cancelled before.

        A caller who is cancelled at the moment of the write may find it stored.
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
        """Wait until all earlier writes are settled (see ``GroupWriter.settled``)."""
        await self.group_writer.settled()

    def write_beside(self, job: Callable[[Connection], T]) -> T:
        """Run ``job`` in one transaction on a database that is not open here, and that a server may be using.

        Nothing is created or migrated. Raises ``ConfigError`` when there is none, or one of another version, and
        ``StoreError``.
        """
        if self.file is not None and not self.file.is_file():
            raise ConfigError("startup.no_database", path=self.file, code="no_database")
        engine = self._engines.writer()
        try:
            with as_store_error(), engine.connect() as connection, connection.begin():
                check_is_enough(connection)
                return job(connection)
        finally:
            engine.dispose()

    def write_changes_with(self, change_writer: ChangeWriter) -> None:
        """Set how changes become rows; once, before the first ``submit``."""
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
        """Bind the store to its site. Raises ``ConfigError`` when it is bound to another.

        ``site``: the site's addresses, separated by blanks. The first Shoal bound its data to one of them; all of them
        replace it then.
        """
        if await self.fact("site") == site:
            return
        await self.checked()

        def job(connection: Connection) -> str:
            bound = remember_fact(connection, "site", site)
            if bound == site or bound not in site.split():
                return bound
            connection.execute(update(store_meta).where(store_meta.c.key == "site").values(value=site))
            return site

        bound = await self.write(job)
        if bound != site:
            raise ConfigError("startup.other_site", bound=bound, site=site, code="other_site")

    async def fact(self, key: str) -> str | None:
        """Return a value of ``store_meta``."""
        return await self.read(lambda connection: connection.scalar(fact_of(key)))

    async def remember(self, key: str, value: str) -> str:
        """Store a value of ``store_meta`` unless there is one. Return the stored one."""
        if (stored := await self.fact(key)) is not None:
            return stored
        await self.checked()
        return await self.write(lambda connection: remember_fact(connection, key, value))

    async def replace_fact(self, key: str, value: str) -> None:
        """Store a value of ``store_meta`` in place of any other."""

        def job(connection: Connection) -> None:
            remember_fact(connection, key, value)
            connection.execute(update(store_meta).where(store_meta.c.key == key), {"value": value})

        await self.checked()
        await self.write(job)

    async def empty_log(self) -> None:
        """Copy SQLite's log into the file and truncate the log: otherwise replaced values stay in it.

        Best effort: an active reader postpones the checkpoint.
        """
        path = self.file
        if path is None:
            return

        def job() -> None:
            with contextlib.closing(sqlite3.connect(path, timeout=5)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

        with contextlib.suppress(sqlite3.Error):
            await asyncio.to_thread(job)
