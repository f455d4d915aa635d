"""A replica in memory of the login tables, so that signed-in users can still read while the database is down.

The database is asked first. While it does not answer, or has not yet stored what is kept here for it, the replica
answers: the last rows read, plus the writes that could not be stored. The kept writes (a sign-in, its code, a sign-out)
are stored as soon as the database accepts them, each under the conditions of that moment. A killed process loses them.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Protocol, TypeVar

import structlog
from sqlalchemy import Connection, Engine, create_engine, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.pool import StaticPool
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement

from shoal.errors import ShoalError, StoreError
from shoal.storage.database import Database
from shoal.storage.schema import metadata
from shoal.storage.user_tables import api_tokens, invitations, sessions, users

log = structlog.get_logger("shoal.users")

T = TypeVar("T")
Job = Callable[[Connection], T]

_COPIED: Final = (users, sessions, api_tokens)
_EMPTY: Final = (invitations,)
"""Written together with the others, and never read here."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplicaTimes:
    """How long to wait for the database, and how often to refresh the replica."""

    read_seconds: float = 3.0
    write_seconds: float = 3.0
    refresh_seconds: float = 10.0
    retry_seconds: float = 1.0
    trusted_seconds: float = math.inf
    """How old the replica may be: another node may have ended a session since."""


class UserStore(Protocol):
    """The store of users and invitations: a database, or a replica over it."""

    async def read(self, job: Job[T]) -> T:
        """Read as ``Database.read``."""

    async def write(self, job: Job[T]) -> T:
        """Write as ``Database.write``."""


MOST_KEPT: Final = 1000
"""How many writes may wait for the database; further ones fail."""


class UserReplica:
    """``read`` and ``write`` as of a ``Database``; ``write_through`` for what may wait in memory."""

    def __init__(self, database: Database, times: ReplicaTimes | None = None) -> None:
        self._database = database
        self._times = times or ReplicaTimes()
        self._engine: Engine | None = None
        self._read_at = 0.0
        self._is_true = False
        """Whether the replica contains every change that was made here."""
        self._away = False
        self._kept: list[Job[Any]] = []
        self.version = 0
        """Rises whenever the rows may have changed, before the writer knows of it."""
        self._changes = self._changing = self._passed = 0
        """How many durable writes have ended, how many are under way, and how many were written through."""
        self._turn = asyncio.Lock()
        self._storing = asyncio.Lock()
        self._wake = asyncio.Event()
        self._following: asyncio.Task[None] | None = None
        self._late: set[asyncio.Task[Any]] = set()

    @property
    def degraded(self) -> bool:
        """Whether the database takes no writes now."""
        return self._database.degraded or self._away or bool(self._kept)

    async def open(self) -> None:
        """Read the tables, then start the refreshing task. Raises ``StoreError``."""
        await self._refresh(within_seconds=None)
        self._following = asyncio.create_task(self._follow(), name="user replica")

    async def close(self) -> None:
        """Stop the task and store the kept writes, if the database accepts them."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        await asyncio.gather(*self._late, return_exceptions=True)
        with suppress(StoreError):
            await self._store_kept()
        if self._kept:
            log.warning(
                "sign-ins and sign-outs of the last time are lost: the database took none", lost=len(self._kept)
            )
        self._drop(self._engine)

    # ── reading and writing ─────────────────────────────────────────────────────────────────────────────────────

    async def read(self, job: Job[T]) -> T:
        """Read from the database, or from the replica while the database is down.

        Raises ``StoreError`` when neither can.
        """
        if not self._is_true or not (self._away or self._kept):
            try:
                async with asyncio.timeout(self._times.read_seconds):
                    return await self._database.read(job)
            except TimeoutError:
                failure = StoreError("the database does not answer in time")
            except StoreError as error:
                if error.code == "store_closed":
                    raise
                failure = error
            self._is_away(failure)
        else:
            failure = StoreError("the database does not answer")
            await asyncio.sleep(0)  # let other tasks run, as they do while a thread reads
        return self._replicated(job, failure)

    async def write(self, job: Job[T]) -> T:
        """Write durably; the replica contains the change before this returns. Raises as ``Database.write``.

        The kept writes are stored first, because the change may build on them.
        """
        await self._store_kept()
        trusted, self._is_true = self._is_true, False  # the caller may be cancelled during the commit
        self._changing += 1
        try:
            result = await self._database.write(job)
        except BaseException as error:  # also when the caller is cancelled
            touched_nothing = isinstance(error, ShoalError) and (
                not isinstance(error, StoreError) or error.code in _TOUCHED_NOTHING
            )
            if touched_nothing and self._changing == 1:
                self._is_true = trusted
            self._wake.set()
            raise
        finally:
            self._changing -= 1
            self._changes += 1
            self.version += 1
        with suppress(StoreError, TimeoutError):
            await self._refresh(within_seconds=self._times.write_seconds)
        return result

    async def write_through(self, job: Job[T]) -> T:
        """Write, or keep the write in memory until the database accepts it. ``job`` may be repeated without harm.

        ``job`` returns something false when it changed nothing. Raises what ``job`` raises, and ``StoreError`` when the
        replica may be out of date, or keeps too many writes.
        """
        if not self._kept and not self._away:
            try:
                result = await self._bounded(job)
            except StoreError as error:
                failure = error
            else:
                self._passed += 1
                self.version += 1
                if self._engine is not None:
                    with self._engine.begin() as connection:
                        job(connection)
                return result
        else:
            failure = StoreError("the database takes nothing now", code="store_degraded")
        if len(self._kept) >= MOST_KEPT:
            raise failure
        if not (result := self._replicated(job, failure)):
            return result
        self._kept.append(job)
        self.version += 1
        self._wake.set()
        log.warning("kept in memory until the database takes it", why=failure.code, waiting=len(self._kept))
        return result

    async def _bounded(self, job: Job[T]) -> T:
        """Write, but wait only for a bounded time; the write may end later."""
        task = asyncio.create_task(self._database.write(job), name="user write")
        self._late.add(task)
        task.add_done_callback(self._ended)
        done, _ = await asyncio.wait({task}, timeout=self._times.write_seconds)
        if not done:
            raise StoreError("the database does not take it in time")
        return task.result()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._late.discard(task)
        if not task.cancelled():
            task.exception()  # marks the exception as retrieved, also when no caller waits any more

    def _replicated(self, job: Job[T], failure: StoreError) -> T:
        if self._engine is None or not self._is_true or time.monotonic() - self._read_at > self._times.trusted_seconds:
            raise failure
        with self._engine.begin() as connection:
            return job(connection)

    # ── following ───────────────────────────────────────────────────────────────────────────────────────────────

    def _is_away(self, failure: StoreError) -> None:
        if not self._away:
            log.warning("who may come in is answered from memory: the database does not answer", why=failure.code)
        self._away = True
        self._wake.set()

    async def _follow(self) -> None:
        """Refresh the replica regularly; sooner while the database is down or writes are kept for it."""
        while True:
            uneasy = self._away or self._kept or not self._is_true
            with suppress(TimeoutError):
                async with asyncio.timeout(self._times.retry_seconds if uneasy else self._times.refresh_seconds):
                    await self._wake.wait()
            self._wake.clear()
            if uneasy:
                await asyncio.sleep(self._times.retry_seconds)
            try:
                await self._store_kept()
                await self._refresh(within_seconds=self._times.write_seconds)
            except (StoreError, TimeoutError) as error:
                log.debug("the replica of users was not refreshed", why=str(error))

    async def _store_kept(self) -> None:
        """Store the kept writes in order. Drop those whose conditions no longer hold. Raises ``StoreError``."""
        async with self._storing:
            while self._kept:
                try:
                    await self._database.write(self._kept[0])
                except StoreError:
                    raise
                except ShoalError as error:
                    log.warning("what was kept in memory does not hold any more", why=error.code)
                except Exception:  # one failure must not stop the others from being stored
                    log.exception("what was kept in memory cannot be stored")
                del self._kept[0]

    async def _refresh(self, *, within_seconds: float | None) -> None:
        """Read the tables, and apply the kept writes to the copy. Raises ``StoreError`` and ``TimeoutError``."""
        async with self._turn:
            before_reading, began = (self._changes, self._passed), time.monotonic()
            async with asyncio.timeout(within_seconds):
                fresh = await self._database.read(_copied)
            for job in self._kept:
                with suppress(Exception), fresh.begin() as connection:  # the database decides later which of them hold
                    job(connection)
            before, self._engine, self._read_at = self._engine, fresh, began
            self.version += 1
            self._drop(before)
            if self._away:
                log.info("the database answers again")
            self._away = False
            self._is_true = not self._changing and before_reading[0] == self._changes
            if before_reading != (self._changes, self._passed):
                self._wake.set()

    @staticmethod
    def _drop(engine: Engine | None) -> None:
        if engine is not None:
            engine.dispose()


_TOUCHED_NOTHING: Final = {"not_applied", "store_degraded", "store_checking", "store_closed"}


def _copied(connection: Connection) -> Engine:
    """Return an in-memory database with the rows of these tables."""
    rows = {table.name: [dict(row) for row in connection.execute(select(table)).mappings()] for table in _COPIED}
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}, hide_parameters=True
    )
    with engine.begin() as copy:
        copy.connection.executescript(_schema())
        for table in _COPIED:
            if rows[table.name]:
                copy.execute(table.insert(), rows[table.name])
    return engine


@cache
def _schema() -> str:
    """Return the script that makes the tables. It is compiled once: a replica is made every few seconds."""
    tables = [table for table in metadata.sorted_tables if table in {*_COPIED, *_EMPTY}]
    statements: list[ExecutableDDLElement] = [CreateTable(table) for table in tables]
    statements += [CreateIndex(index) for table in tables for index in table.indexes]
    return ";".join(str(statement.compile(dialect=sqlite.dialect())) for statement in statements)
