"""The one thread that writes to the database: it takes all work that waits and commits it as one group.

A unit of work is either the changes of one ``submit`` (all or nothing) or a job (a function of a connection). Only a
group that fails is written again unit by unit, each in its own savepoint, so that one bad change harms no other.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import psycopg
from sqlalchemy import Connection, Engine, bindparam, delete, select, update
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from shoal.accounts.journal import JournalEntry
from shoal.accounts.store import Change, Committed, Refused, Settle, Settlement, Unsettled
from shoal.errors import NotApplied, OutcomeUnknown, ShoalError, StoreDegraded, StoreError
from shoal.storage.predecessors import WRITER_ROWS
from shoal.storage.schema import insert_or, store_meta

log = logging.getLogger(__name__)
T = TypeVar("T")

MAX_GROUP_CHANGES = 500
"""How many changes (a job counts as one) are committed together; one ``submit`` is never split."""
SETTLE_SECONDS = 5.0
"""How long the outcome of a failed COMMIT is looked for before it is reported as unknown."""
REOPEN_SECONDS = (1.0, 30.0)
"""First and longest wait between attempts to reopen a degraded store."""

ChangeSet = tuple[Change, ...]
FaultPoint = Callable[[str], None]
"""For tests: called at ``begin``, ``statement``, ``commit``, ``committed``, ``barrier``; may raise."""


class ChangeWriter(Protocol):
    """What turns changes into rows. Both methods raise, having written anything or nothing, when a row does not fit."""

    def write(self, connection: Connection, sets: Sequence[ChangeSet]) -> list[tuple[JournalEntry, ...]]:
        """Write sets that touch every account at most once, in few bulk statements."""

    def write_checked(self, connection: Connection, changes: ChangeSet) -> tuple[JournalEntry, ...]:
        """Write one set, and raise the ``Conflict`` that says what does not fit."""


def translated(error: BaseException) -> StoreError:
    """A database error as ``NotApplied``. Its text names the kind of failure and never a value."""
    name, sentence = _kind_of(error)
    return NotApplied(f"the database refused: {sentence} ({name})", reason=name)


_SQLITE_SENTENCES = {
    "SQLITE_BUSY": "another program holds its lock",
    "SQLITE_LOCKED": "another program holds its lock",
    "SQLITE_FULL": "the disk is full",
    "SQLITE_READONLY": "it is read-only",
    "SQLITE_IOERR": "the disk reports an error",
    "SQLITE_CORRUPT": "its file is damaged",
    "SQLITE_NOTADB": "its file is damaged",
    "SQLITE_CANTOPEN": "its file cannot be opened",
    "SQLITE_CONSTRAINT": "a row does not fit",
}
_SQLSTATE_SENTENCES = {
    "08": "the link was lost",
    "22": "a value does not fit",
    "23": "a row does not fit",
    "25": "it is read-only",
    "28": "it does not let us in",
    "40": "another transaction was in the way",
    "53": "it is out of resources",
    "55": "another program holds its lock",
    "57": "it was interrupted",
    "58": "the disk reports an error",
}


def _kind_of(error: BaseException) -> tuple[str, str]:
    origin: BaseException = (error.orig or error) if isinstance(error, DBAPIError) else error
    if isinstance(origin, sqlite3.Error):
        name = getattr(origin, "sqlite_errorname", None) or type(origin).__name__
        return name, _SQLITE_SENTENCES.get("_".join(name.split("_")[:2]), "it failed")
    if isinstance(origin, psycopg.Error) and origin.sqlstate:
        return origin.sqlstate, _SQLSTATE_SENTENCES.get(origin.sqlstate[:2], "it failed")
    if isinstance(origin, psycopg.OperationalError):
        return "link_lost", "it cannot be reached"
    return type(origin).__name__, "it failed"


@dataclass(frozen=True, slots=True)
class _Done:
    """A job's own outcome: what it returned."""

    value: Any


@dataclass(frozen=True, slots=True)
class _Raised:
    """A job's own outcome: it raised something that is no matter of the database."""

    error: Exception


_Outcome = Settlement | _Done | _Raised


@dataclass(slots=True, eq=False)
class _Changes:
    changes: ChangeSet
    settle: Settle

    @property
    def size(self) -> int:
        return len(self.changes)

    def deliver(self, outcome: _Outcome) -> None:
        if isinstance(outcome, Committed | Refused | Unsettled):
            self.settle(outcome)


@dataclass(slots=True, eq=False)
class _Job:
    run: Callable[[Connection], Any]
    future: asyncio.Future[Any]
    size: int = 1

    def deliver(self, outcome: _Outcome) -> None:
        if self.future.done():  # the caller went away, or it was told "unknown" before
            return
        match outcome:
            case _Done(value):
                self.future.set_result(value)
            case _Raised(error) | Refused(error) | Unsettled(error):
                self.future.set_exception(error)
            case Committed():
                self.future.set_result(None)


@dataclass(slots=True, eq=False)
class _Mark:
    """Nothing to write: it is told when all that was sent before it is settled."""

    future: asyncio.Future[None]
    size: int = 0

    def deliver(self, outcome: _Outcome) -> None:
        if self.future.done():
            return
        if isinstance(outcome, Refused):
            self.future.set_exception(outcome.error)
        else:
            self.future.set_result(None)


_Work = _Changes | _Job | _Mark
_Delivery = tuple[_Work, _Outcome]


class _CannotBeginError(Exception):
    """No transaction was opened: there is no point in writing the group again."""


class _CommitFailedError(Exception):
    """COMMIT raised: nobody knows. Carries what would be true if it was applied after all."""

    def __init__(self, token: str, outcomes: list[_Outcome]) -> None:
        super().__init__("commit failed")
        self.token = token
        self.outcomes = outcomes


class GroupWriter:
    """Owns the writing thread. ``submit`` and ``run`` may be called from any thread and never block.

    Every transaction stamps a token into this writer's own row of ``store_meta``. After a failed COMMIT a barrier
    transaction updates the same row on a fresh connection: it waits for a commit still in flight, supersedes one that
    only half reached the disk, and reads whether the token, and with it the group's ops and journal rows, is there.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        name: str = "local",
        fault_point: FaultPoint | None = None,
        settle_seconds: float = SETTLE_SECONDS,
        reopen_seconds: tuple[float, float] = REOPEN_SECONDS,
    ) -> None:
        self._engine = engine
        self._key = f"{WRITER_ROWS}{name}"
        self._forget_key = name != "local"
        self._point: FaultPoint = fault_point or (lambda _: None)
        self._settle_seconds = settle_seconds
        self._reopen_seconds = reopen_seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._context = copy_context()
        self._thread: threading.Thread | None = None
        self._connection: Connection | None = None
        self._waiting: deque[_Work] = deque()
        self._wake = threading.Condition()
        self._busy = False
        """Whether a group is under way: taken from those that wait, and not settled."""
        self._closing = False
        self._stop = threading.Event()
        self.change_writer: ChangeWriter | None = None
        self.on_degraded: Callable[[bool], None] | None = None
        self.degraded = False
        self.refused_last = False
        """Whether the database refused everything of the last group: what is sent now may meet the same."""
        self.committed_at = -math.inf
        """When the last group was committed, by ``time.monotonic``."""
        self.groups_committed = 0
        self.works_committed = 0

    def start(self) -> None:
        """Start the thread; settlements arrive on the loop that runs now."""
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()
        self._thread = threading.Thread(target=self._run, name="shoal-writer", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Refuse new work, write what waits, end the thread. What is still unsettled stays unknown."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._stop.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)
            await asyncio.sleep(0)  # the last settlements run before close returns

    @property
    def waiting(self) -> int:
        """How many changes and jobs wait for the next group."""
        return len(self._waiting)

    def submit(self, changes: Sequence[Change], settle: Settle) -> None:
        """Write the changes all or nothing; ``settle`` is called on the loop."""
        self._enqueue(_Changes(tuple(changes), settle))

    async def run(self, job: Callable[[Connection], T]) -> T:
        """Run a job in a savepoint of the next group and return its result once that is durable.

        A job may run twice, the first time rolled back, and must neither commit nor touch anything but its
        connection. Raises what the job raised, ``NotApplied``, or ``OutcomeUnknown``.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._enqueue(_Job(job, future))
        return await future

    async def settled(self) -> None:
        """Wait until all that was sent before is settled: committed, or certainly not applied, now and later.

        What is read after that is not overtaken by a write whose caller has left. It writes nothing, and does not wait
        when nothing is under way; while the store is degraded it waits for its end. Raises ``NotApplied`` when the
        store is closed.
        """
        mark = _Mark(asyncio.get_running_loop().create_future())
        with self._wake:
            if self._closing or self._thread is None:
                raise _closed()
            if not self._busy and not self._waiting:
                return
            self._waiting.append(mark)
            self._wake.notify()
        await mark.future

    def _enqueue(self, work: _Work) -> None:
        with self._wake:
            refusal = self._refusal()
            if refusal is None:
                self._waiting.append(work)
                self._wake.notify()
        if refusal is not None:
            self._deliver([(work, Refused(refusal))])

    def _refusal(self) -> ShoalError | None:
        if self.degraded:
            return StoreDegraded()
        if self._closing or self._thread is None:
            return _closed()
        return None

    # ── the thread ──────────────────────────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        while (group := self._next_group()) is not None:
            works: list[_Work] = [work for work in group if not isinstance(work, _Mark)]
            if works:
                self._settle(works)
            # only the end of a store that is degraded still leaves something unsettled here
            passed: _Outcome = Refused(_closed()) if self.degraded else _Done(None)
            self._deliver([(mark, passed) for mark in group if isinstance(mark, _Mark)])
        self._forget_writer()
        self._close_connection()

    def _settle(self, group: list[_Work]) -> None:
        """Write a group and tell what became of it; comes back when that is known, or the store closes."""
        try:
            outcomes = self._commit_group(group)
            self.refused_last = all(_is_refusal_by_database(outcome) for outcome in outcomes)
            self._deliver(list(zip(group, outcomes, strict=True)))
        except _CommitFailedError as failed:
            self._find_out(group, failed)
        except Exception:  # the writing thread must outlive a defect, and its callers must hear of it
            log.exception("the group writer met a defect")
            self._close_connection()
            self._deliver([(work, Refused(NotApplied("the store met a defect"))) for work in group])

    def _next_group(self) -> list[_Work] | None:
        """Everything that waits, up to the limit and up to the second work on one account; ``None`` at the end."""
        with self._wake:
            self._busy = False
            while not self._waiting:
                if self._closing:
                    return None
                self._wake.wait()
            self._busy = True
            group: list[_Work] = []
            size, seen = 0, set[str]()
            while self._waiting:
                work = self._waiting[0]
                accounts = [change.account_id for change in work.changes] if isinstance(work, _Changes) else []
                if group and (size + work.size > MAX_GROUP_CHANGES or not seen.isdisjoint(accounts)):
                    break
                group.append(self._waiting.popleft())
                size += work.size
                seen.update(accounts)
            return group

    def _commit_group(self, group: list[_Work]) -> list[_Outcome]:
        token = secrets.token_hex(16)
        try:
            return self._transact(token, group, self._write_together)
        except _CannotBeginError as error:
            return [Refused(translated(error.__cause__ or error)) for _ in group]
        except _CommitFailedError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it was, it was rolled back: find the work that causes it
            log.debug("group of %d is written one by one: %s", len(group), type(error).__name__)
        try:
            return self._transact(token, group, self._write_each)
        except _CannotBeginError as error:
            return [Refused(translated(error.__cause__ or error)) for _ in group]
        except _CommitFailedError:
            raise
        except Exception as error:  # noqa: BLE001 - rolled back again: it is certain that nothing was applied
            log.warning("a group of %d changes was refused: %s", len(group), type(error).__name__)
            return [Refused(translated(error)) for _ in group]

    def _transact(
        self, token: str, group: list[_Work], write: Callable[[Connection, list[_Work]], list[_Outcome]]
    ) -> list[_Outcome]:
        connection = self._begin()
        try:
            self._stamp(connection, token)
            self._point("statement")
            outcomes = write(connection, group)
        except BaseException:
            self._roll_back(connection)
            raise
        try:
            self._point("commit")
            connection.commit()
            self._point("committed")
        except Exception as error:
            self._close_connection()
            raise _CommitFailedError(token, outcomes) from error
        self.committed_at = time.monotonic()
        self.groups_committed += 1
        self.works_committed += len(group)
        return outcomes

    def _begin(self) -> Connection:
        try:
            self._point("begin")
            if self._connection is None:
                self._connection = self._engine.connect()
            self._connection.begin()
        except Exception as error:
            self._close_connection()
            raise _CannotBeginError from error
        return self._connection

    def _stamp(self, connection: Connection, token: str) -> None:
        stamped = connection.execute(_STAMP, {"b_key": self._key, "value": token})
        if stamped.rowcount != 1:
            connection.execute(insert_or(connection, store_meta).values(key=self._key, value=token))

    def _write_together(self, connection: Connection, group: list[_Work]) -> list[_Outcome]:
        sets = [work.changes for work in group if isinstance(work, _Changes)]
        entries = iter(self._changes_written(connection, sets))
        return [
            Committed(next(entries)) if isinstance(work, _Changes) else self._guarded(connection, work)
            for work in group
        ]

    def _changes_written(self, connection: Connection, sets: list[ChangeSet]) -> list[tuple[JournalEntry, ...]]:
        return self._writer().write(connection, sets) if sets else []

    def _write_each(self, connection: Connection, group: list[_Work]) -> list[_Outcome]:
        return [self._guarded(connection, work) for work in group]

    def _guarded(self, connection: Connection, work: _Work) -> _Outcome:
        """Write one work in its own savepoint. Raises only when the whole transaction is lost."""
        savepoint = connection.begin_nested()
        try:
            outcome: _Outcome
            if isinstance(work, _Changes):
                outcome = Committed(self._writer().write_checked(connection, work.changes))
            elif isinstance(work, _Job):
                outcome = _Done(work.run(connection))
            else:
                outcome = _Done(None)
            savepoint.commit()
        except Exception as error:
            if not _in_transaction(connection):
                raise
            savepoint.rollback()
            return self._failure(error, work)
        return outcome

    @staticmethod
    def _failure(error: Exception, work: _Work) -> _Outcome:
        if isinstance(error, ShoalError):
            return Refused(error)
        if isinstance(work, _Changes) or isinstance(error, SQLAlchemyError | sqlite3.Error | psycopg.Error):
            if not isinstance(error, SQLAlchemyError | sqlite3.Error | psycopg.Error):
                log.warning("a change could not be written: %s", type(error).__name__)
            return Refused(translated(error))
        return _Raised(error)

    def _writer(self) -> ChangeWriter:
        if self.change_writer is None:
            raise RuntimeError("no one taught the group writer how to write changes")
        return self.change_writer

    def _roll_back(self, connection: Connection) -> None:
        try:
            connection.rollback()
            if connection.invalidated:
                self._close_connection()
        except Exception:  # noqa: BLE001 - a connection that cannot roll back is closed, which rolls back
            self._close_connection()

    def _close_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            _dispose(connection)

    # ── after a failed COMMIT ───────────────────────────────────────────────────────────────────────────────────

    def _find_out(self, group: list[_Work], failed: _CommitFailedError) -> None:
        log.warning("COMMIT failed for %d changes; asking the database what became of them", len(group))
        applied = self._ask_within(failed.token, self._settle_seconds)
        if applied is None:
            unknown = OutcomeUnknown("the database failed while it committed; the outcome is not known yet")
            self._enter_degraded([(work, Unsettled(unknown)) for work in group])
            applied = self._ask_for_ever(failed.token)
            if applied is None:
                return
            self._leave_degraded()
        log.warning("the %d changes of the failed COMMIT were %s", len(group), "applied" if applied else "not applied")
        if applied:
            self._deliver(list(zip(group, failed.outcomes, strict=True)))
        else:
            self._deliver([(work, Refused(NotApplied("the database failed while it committed"))) for work in group])

    def _ask_within(self, token: str, seconds: float) -> bool | None:
        deadline = time.monotonic() + seconds
        while True:
            applied = self._ask(token)
            if applied is not None or time.monotonic() >= deadline:
                return applied
            time.sleep(min(0.1, seconds / 10))

    def _ask_for_ever(self, token: str) -> bool | None:
        """Ask with growing waits until the database answers; ``None`` only when the store is closed meanwhile."""
        wait, longest = self._reopen_seconds
        while not self._stop.wait(wait):
            applied = self._ask(token)
            if applied is not None:
                return applied
            wait = min(wait * 2, longest)
        return None

    def _ask(self, token: str) -> bool | None:
        """Whether the token was committed; ``None`` while the database does not say."""
        connection: Connection | None = None
        try:
            self._point("barrier")
            connection = self._engine.connect()
            connection.begin()
            moved = connection.execute(_BARRIER, {"b_key": self._key})
            found = connection.scalar(select(store_meta.c.value).where(store_meta.c.key == self._key))
            connection.commit()
        except Exception as error:  # noqa: BLE001 - any failure means the same: not known yet
            log.warning("the database does not answer yet: %s", _kind_of(error)[0])
            return None
        finally:
            if connection is not None:
                _dispose(connection)
        return moved.rowcount == 1 and found == token

    def _enter_degraded(self, deliveries: list[_Delivery]) -> None:
        with self._wake:
            self.degraded = True
            refusal = self._refusal()
            waiting = [work for work in self._waiting if not isinstance(work, _Mark)]
            self._waiting = deque(work for work in self._waiting if isinstance(work, _Mark))
        log.error("the store is degraded: reads go on, writes are refused until the database answers")
        if refusal is not None:
            deliveries += [(work, Refused(refusal)) for work in waiting]
        self._deliver(deliveries)
        self._publish(degraded=True)

    def _leave_degraded(self) -> None:
        with self._wake:
            self.degraded = False
        log.warning("the store is writable again")
        self._publish(degraded=False)

    def _publish(self, *, degraded: bool) -> None:
        if self.on_degraded is not None:
            self._call_loop(self.on_degraded, degraded)

    # ── back to the loop ────────────────────────────────────────────────────────────────────────────────────────

    def _deliver(self, deliveries: list[_Delivery]) -> None:
        self._call_loop(_hand_over, deliveries)

    def _call_loop(self, callback: Callable[[Any], None], argument: Any) -> None:
        if self._loop is None:
            raise RuntimeError("the group writer was not started")
        try:
            # in the context of whoever started us, not of this thread: what begins there reads the same clock
            self._loop.call_soon_threadsafe(callback, argument, context=self._context.copy())
        except RuntimeError:  # the loop is closed: nobody is left to hear it
            log.warning("the event loop ended before the store was closed")

    def _forget_writer(self) -> None:
        if not self._forget_key or self._connection is None:
            return
        try:
            self._connection.begin()
            self._connection.execute(delete(store_meta).where(store_meta.c.key == self._key))
            self._connection.commit()
        except SQLAlchemyError:  # a left-over row does no harm
            self._close_connection()


_STAMP = update(store_meta).where(store_meta.c.key == bindparam("b_key"))
_BARRIER = update(store_meta).where(store_meta.c.key == bindparam("b_key")).values(counter=store_meta.c.counter + 1)


def _closed() -> NotApplied:
    return NotApplied("the store is closed", code="store_closed")


def _is_refusal_by_database(outcome: _Outcome) -> bool:
    return isinstance(outcome, Refused) and isinstance(outcome.error, NotApplied)


def _hand_over(deliveries: list[_Delivery]) -> None:
    for work, outcome in deliveries:
        try:
            work.deliver(outcome)
        except Exception:  # one listener's defect must not keep the others from their outcome
            log.exception("a settlement was not taken")


def _in_transaction(connection: Connection) -> bool:
    """Whether the database still holds the transaction: SQLite ends it by itself on some errors."""
    if connection.invalidated or connection.closed:
        return False
    raw: object = connection.connection.dbapi_connection
    return raw.in_transaction if isinstance(raw, sqlite3.Connection) else True


def _dispose(connection: Connection) -> None:
    """Close for good, whatever state the link is in: closing rolls back."""
    try:
        connection.invalidate()
    except Exception:  # noqa: BLE001 - the link may be beyond closing
        log.debug("a broken connection did not close cleanly")
    try:
        connection.close()
    except Exception:  # noqa: BLE001 - the link may be beyond closing
        log.debug("a broken connection did not close cleanly")
