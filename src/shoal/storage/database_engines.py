"""The engines of one database: that of the one writer, and that of the readers and searches."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

from shoal.errors import StoreError
from shoal.storage.engines import SILENCE_SECONDS, SharedPool, open_engine, open_guard
from shoal.storage.searches import SEARCHERS

WRITER_BUSY_SECONDS = 4.0
"""How long the writer waits for a lock: work queued behind one such wait is still answered within 10 s."""
READER_BUSY_SECONDS = 2.0
_AT_ONCE = "BEGIN IMMEDIATE"


class DatabaseEngines:
    """Each is made when it is first asked for, by one thread at a time, and kept until ``dispose``."""

    def __init__(self, url: URL, *, readers: int) -> None:
        self._url = url
        self._readers = readers
        self._write_engine: Engine | None = None
        self._read_engine: Engine | None = None
        self._apart_engine: Engine | None = None

    def writer(self) -> Engine:
        """Return the engine of the writer."""
        if self._write_engine is None:
            self._write_engine = self._make_writer()
        return self._write_engine

    def preparing(self) -> Engine:
        """Return a new engine that keeps one connection, for who looks at the database and migrates it. Its user
        disposes of it.

        Each new connection reads the whole schema, and the last one of a file that closes empties its log.
        """
        return open_engine(
            self._url,
            busy_seconds=WRITER_BUSY_SECONDS,
            begin=_AT_ONCE,
            poolclass=SharedPool,
            pool_size=1,
            max_overflow=1,
        )

    def bound_writer(self, idle_seconds: float) -> None:
        """Replace the writer's engine by one that bounds how long PostgreSQL waits for a transaction standing still."""
        self._write_engine = self._make_writer(idle_seconds)
        self._apart_engine = self._make_writer(idle_seconds)

    def writer_apart(self) -> Engine:
        """Return the engine of those who write to PostgreSQL beside the writer; it keeps no connection."""
        if self._apart_engine is None:
            raise StoreError("the database is not open", code="store_closed")
        return self._apart_engine

    def readers(self) -> Engine:
        """Return the engine of the threads that read."""
        if self._read_engine is None:
            size = self._readers + SEARCHERS
            self._read_engine = self._make_reader(poolclass=SharedPool, pool_size=size, max_overflow=0)
        return self._read_engine

    def reader_apart(self) -> Engine:
        """Return a new engine that keeps no connection, for one that reads for long. Its user disposes of it."""
        return self._make_reader(poolclass=NullPool)

    def guard(self, idle_seconds: float) -> Engine:
        """Return a new engine for what keeps other servers out. Its user disposes of it."""
        return open_guard(self._url, busy_seconds=READER_BUSY_SECONDS, idle_seconds=idle_seconds)

    def dispose(self) -> None:
        """Close every connection of the engines."""
        for engine in (self._read_engine, self._write_engine, self._apart_engine):
            if engine is not None:
                engine.dispose()
        self._read_engine = self._write_engine = self._apart_engine = None

    def _make_writer(self, idle_seconds: float = 0.0) -> Engine:
        busy_seconds, silence_seconds = WRITER_BUSY_SECONDS, SILENCE_SECONDS if idle_seconds else 0.0
        return open_engine(
            self._url,
            busy_seconds=busy_seconds,
            idle_seconds=idle_seconds,
            silence_seconds=silence_seconds,
            begin=_AT_ONCE,
            poolclass=NullPool,
        )

    def _make_reader(self, **pool: Any) -> Engine:
        silence, busy = SILENCE_SECONDS, READER_BUSY_SECONDS
        return open_engine(self._url, busy_seconds=busy, begin="BEGIN", read_only=True, silence_seconds=silence, **pool)
