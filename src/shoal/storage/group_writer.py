"""The one thread that writes to the database: it takes all that a turn of the loop queued and commits it as one group.

A unit of work: the changes of one ``submit`` (all or nothing), or a job (a function of a connection). Only a group that
fails is written again unit by unit, each in its own savepoint, so that one bad change does not affect the others.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from contextvars import copy_context
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from shoal.accounts.ownership import Standing, always_stands, began_here, began_in, carried_fences
from shoal.accounts.store import Change, Committed, Refused, Settle, Unsettled
from shoal.errors import CommitUnknown, NotApplied, ShoalError, StoreDegraded
from shoal.measures import Histogram
from shoal.storage.commit_outcome import REOPEN_SECONDS, SETTLE_SECONDS, CommitOutcome
from shoal.storage.database_errors import CLASH_RETRIES, is_clash, translated
from shoal.storage.database_preparation import WRITER_ROWS
from shoal.storage.engines import begin, commit, dispose, driver_of, in_transaction, roll_back
from shoal.storage.group_work import (
    CannotBeginError,
    Changes,
    ChangeWriter,
    CommitFailedError,
    Delivery,
    Done,
    FaultPoint,
    Job,
    Mark,
    Outcome,
    Work,
    check_lives,
    failure_of,
    hand_over,
    hold_fences,
    is_refusal_by_database,
    store_closed,
)
from shoal.storage.work_queue import WorkQueue


class CommitFigures:
    """The figures of one writer since its start. Its thread writes them, any other may read them."""

    def __init__(self) -> None:
        self.seconds = Histogram(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
        """From the beginning of a transaction until it was committed."""
        self.sizes = Histogram(1, 2, 5, 10, 20, 50, 100, 200, 500)
        """How many units of work were committed together."""
        self.refused = 0
        """How many groups the database refused as a whole."""

    def add(self, began: float, works: int) -> float:
        """Note a commit of work that ``began`` then. Return the time, by ``time.monotonic``."""
        now = time.monotonic()
        self.seconds.add(now - began)
        self.sizes.add(works)
        return now


log = logging.getLogger(__name__)
T = TypeVar("T")


class GroupWriter:
    """Owns the writing thread. ``submit`` and ``run`` are called on the loop and never block.

    After a failed COMMIT nothing else is written until ``CommitOutcome`` knows the outcome.
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
        self._forget_key = name != "local"
        self._point: FaultPoint = fault_point or (lambda _: None)
        self._settle_seconds = settle_seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._context = copy_context()
        self._thread: threading.Thread | None = None
        self._connection: Connection | None = None
        self._waiting = WorkQueue()
        self._drafting: set[asyncio.Future[None]] = set()
        self._wake = threading.Condition()
        self._gathers = self._ready = False
        """Whether the loop is in a turn that brought work, and whether one ended: then the thread takes what waits."""
        self._busy = False
        """Whether a group is in progress: taken from the queue, and not settled."""
        self._closing = False
        self._stop = threading.Event()
        # a test may set another point later
        self.commit_outcome = CommitOutcome(engine, f"{WRITER_ROWS}{name}", lambda at: self._point(at))  # noqa: PLW0108
        self._reopen_seconds = reopen_seconds
        self.change_writer: ChangeWriter | None = None
        self.standing: Callable[[], Standing] = lambda: always_stands
        """Returns the present life of this node: changes are committed in that in which they were submitted."""
        self.on_degraded: Callable[[bool], None] | None = None
        self.degraded = False
        self.refused_last = False
        """Whether the database refused the whole last group: new work may be refused too."""
        self.committed_at = -math.inf
        """When the last group was committed, by ``time.monotonic``."""
        self.groups_committed = self.works_committed = 0
        self.figures = CommitFigures()

    def start(self) -> None:
        """Start the thread; settlements are called on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()
        self._thread = threading.Thread(target=self._run, name="shoal-writer", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Refuse new work, write queued work, end the thread. Work that is still unsettled stays unknown."""
        while self._drafting:
            await asyncio.wait(self._drafting)
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._stop.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)
            await asyncio.sleep(0)  # the last settlements run before close returns

    @property
    def waiting(self) -> int:
        """Return how many changes and jobs wait for the next group."""
        return len(self._waiting)

    def submit(self, changes: Sequence[Change], settle: Settle) -> None:
        """Write the changes all or nothing; ``settle`` is called on the loop."""
        work = Changes(tuple(changes), settle, began_in() or self.standing())
        if self.change_writer is None:
            self._enqueue(work)
        elif work.drafting_takes_long and self._loop is not None:
            drafting = self._loop.run_in_executor(None, work.draft_early, self.change_writer)
            self._drafting.add(drafting)
            drafting.add_done_callback(lambda drafting: self._drafted(drafting, work))
        else:
            if all(change.is_light for change in work.changes):
                work.draft_early(self.change_writer)
            self._enqueue(work)

    def _drafted(self, drafting: asyncio.Future[None], work: Changes) -> None:
        self._drafting.discard(drafting)
        self._enqueue(work)

    async def run(self, job: Callable[[Connection], T], on_commit: Callable[[T], object] | None = None) -> T:
        """Run a job in a savepoint of the next group and return its result once it is durable.

        ``on_commit`` is called with it on the loop, in the order of the commits, also when the caller has left. A job
        may run twice, the first time rolled back, and must neither commit nor use anything but its connection. It
        stands behind the fences of the current task, and is committed in the life in which its request with a key
        began. Raises what the job raised, ``NotApplied``, or ``CommitUnknown``.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._enqueue(Job(job, future, on_commit, carried_fences(), began_here() or always_stands))
        return await future

    async def settled(self) -> None:
        """Wait until all earlier work is settled: committed, or certainly not applied.

        A read after that cannot be overtaken by a write whose caller was cancelled. It does not wait when nothing is in
        progress; while the store is degraded it waits for its recovery. Raises ``NotApplied`` when the store is closed.
        """
        if self._drafting:
            await asyncio.wait(self._drafting)
        mark = Mark(asyncio.get_running_loop().create_future())
        with self._wake:
            if self._closing or self._thread is None:
                raise store_closed()
            if not self._busy and not self._waiting:
                return
            self._waiting.append(mark)
            self._ready = True
            self._wake.notify()
        await mark.future

    def _enqueue(self, work: Work) -> None:
        with self._wake:
            refusal = self._refusal()
            if refusal is None:
                self._waiting.append(work)
                if not self._gathers and self._loop is not None:
                    self._gathers = True
                    self._loop.call_soon(self._gathered)
        if refusal is not None:
            self._deliver([(work, Refused(refusal))])

    def _gathered(self) -> None:
        with self._wake:
            self._gathers, self._ready = False, True
            self._wake.notify()

    def _refusal(self) -> ShoalError | None:
        if self.degraded:
            return StoreDegraded()
        if self._closing or self._thread is None:
            return store_closed()
        return None

    # ── the thread ──────────────────────────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        while (group := self._next_group()) is not None:
            works: list[Work] = [work for work in group if not isinstance(work, Mark)]
            if works:
                self._settle(works)
            if marks := [work for work in group if isinstance(work, Mark)]:
                passed: Outcome = Refused(store_closed()) if self.degraded else Done(None)  # degraded: it ends
                self._deliver([(mark, passed) for mark in marks])
        self._forget_writer()
        self._close_connection()

    def _settle(self, group: list[Work]) -> None:
        """Write a group and report its outcome; returns when it is known, or the store closes."""
        try:
            outcomes = self._commit_group(group)
            self.refused_last = all(is_refusal_by_database(outcome) for outcome in outcomes)
            self.figures.refused += self.refused_last
            self._deliver(list(zip(group, outcomes, strict=True)))
        except CommitFailedError as failed:
            self._find_out(group, failed)
        except Exception:  # the writing thread must survive a defect, and report it to its callers
            log.exception("the group writer met a defect")
            self._close_connection()
            self._deliver([(work, Refused(NotApplied("the store met a defect"))) for work in group])

    def _next_group(self) -> list[Work] | None:
        """Return what is written next; ``None`` at the end."""
        with self._wake:
            self._busy = False
            self._wake.wait_for(lambda: self._closing or (self._ready and self._waiting))
            if not self._waiting:
                return None
            self._busy = True
            group = self._waiting.next_group()
            self._ready = bool(self._waiting)
            return group

    def _commit_group(self, group: list[Work]) -> list[Outcome]:
        """Write a group together; if that fails, one by one, and again when another transaction was in the way."""
        token = secrets.token_hex(16)
        write, tries = self._write_together, 0
        while True:
            try:
                return self._transact(token, group, write)
            except CannotBeginError as error:
                return [Refused(translated(error.__cause__ or error)) for _ in group]
            except CommitFailedError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it was, it was rolled back: nothing was applied
                if tries and not (is_clash(error) and tries <= CLASH_RETRIES):
                    log.warning("a group of %d changes was refused: %s", len(group), type(error).__name__)
                    return [Refused(translated(error)) for _ in group]
                log.debug("group of %d is written one by one: %s", len(group), type(error).__name__)
            write, tries = self._write_each, tries + 1

    def _transact(
        self, token: str, group: list[Work], write: Callable[[Connection, list[Work]], list[Outcome]]
    ) -> list[Outcome]:
        began = time.monotonic()
        connection = self._begin()
        try:
            self.commit_outcome.stamp(connection, token)
            self._point("statement")
            outcomes = write(connection, group)
            check_lives(group, outcomes)
        except BaseException:
            self._roll_back(connection)
            raise
        try:
            self._point("commit")
            commit(connection)
            self.commit_outcome.committed(token)
            self._point("committed")
        except Exception as error:
            self._close_connection()
            raise CommitFailedError(token, outcomes) from error
        self.committed_at = self.figures.add(began, len(group))
        self.groups_committed, self.works_committed = self.groups_committed + 1, self.works_committed + len(group)
        return outcomes

    def _begin(self) -> Connection:
        try:
            self._point("begin")
            if self._connection is None:
                self._connection = self._engine.connect()
            begin(self._connection)
        except Exception as error:
            self._close_connection()
            raise CannotBeginError from error
        return self._connection

    def _write_together(self, connection: Connection, group: list[Work]) -> list[Outcome]:
        hold_fences(connection, [fence for work in group if isinstance(work, Job) for fence in work.fences])
        sets = [work.drafted(self._writer()) for work in group if isinstance(work, Changes)]
        entries = iter(self._writer().write(connection, sets) if sets else [])
        return [
            Committed(next(entries)) if isinstance(work, Changes) else self._guarded(connection, work) for work in group
        ]

    def _write_each(self, connection: Connection, group: list[Work]) -> list[Outcome]:
        return [self._guarded(connection, work, alone=True) for work in group]

    def _guarded(self, connection: Connection, work: Work, *, alone: bool = False) -> Outcome:
        """Write one unit in its own savepoint. Raises only when the whole transaction is lost."""
        raw = driver_of(connection)
        raw.execute("SAVEPOINT work")
        try:
            outcome: Outcome
            if isinstance(work, Changes):
                outcome = work.run_alone(connection, self._writer())
            elif isinstance(work, Job):
                outcome = Done((work.run_alone if alone else work.run)(connection))
            else:
                outcome = Done(None)
            raw.execute("RELEASE SAVEPOINT work")
        except Exception as error:
            if not in_transaction(connection) or is_clash(error):
                raise
            raw.execute("ROLLBACK TO SAVEPOINT work")
            raw.execute("RELEASE SAVEPOINT work")
            return failure_of(error, work)
        return outcome

    def _writer(self) -> ChangeWriter:
        if self.change_writer is None:
            raise RuntimeError("no one taught the group writer how to write changes")
        return self.change_writer

    def _roll_back(self, connection: Connection) -> None:
        try:
            roll_back(connection)
            if connection.invalidated:
                self._close_connection()
        except Exception:  # noqa: BLE001 - a connection that cannot roll back is closed, which rolls back
            self._close_connection()

    def _close_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            dispose(connection)

    # ── after a failed COMMIT ───────────────────────────────────────────────────────────────────────────────────

    def _find_out(self, group: list[Work], failed: CommitFailedError) -> None:
        log.warning("COMMIT failed for %d changes; asking the database what became of them", len(group))
        applied = self.commit_outcome.ask_within(failed.token, self._settle_seconds)
        if applied is None:
            unknown = CommitUnknown("the database failed while it committed; the outcome is not known yet")
            self._enter_degraded([(work, Unsettled(unknown)) for work in group])
            applied = self.commit_outcome.ask_for_ever(failed.token, self._reopen_seconds, self._stop)
            if applied is None:
                return
            self._leave_degraded()
        log.warning("the %d changes of the failed COMMIT were %s", len(group), "applied" if applied else "not applied")
        if applied:
            self._deliver(list(zip(group, failed.outcomes, strict=True)))
        else:
            self._deliver([(work, Refused(NotApplied("the database failed while it committed"))) for work in group])

    def _enter_degraded(self, deliveries: list[Delivery]) -> None:
        with self._wake:
            self.degraded = True
            refusal = self._refusal()
            waiting = self._waiting.drop_all_but_marks()
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

    def _forget_writer(self) -> None:
        if not self._forget_key or self._connection is None:
            return
        try:
            self._connection.begin()
            self.commit_outcome.forget(self._connection)
            self._connection.commit()
        except SQLAlchemyError:  # a leftover row is harmless
            self._close_connection()

    def _deliver(self, deliveries: list[Delivery]) -> None:
        self._call_loop(hand_over, deliveries)

    def _call_loop(self, callback: Callable[[Any], None], argument: Any) -> None:
        if self._loop is None:
            raise RuntimeError("the group writer was not started")
        try:
            # in the context of the caller of start, not of this thread, so that it reads the same clock
            self._loop.call_soon_threadsafe(callback, argument, context=self._context.copy())
        except RuntimeError:  # the loop is closed: nothing can receive the outcome
            log.warning("the event loop ended before the store was closed")
