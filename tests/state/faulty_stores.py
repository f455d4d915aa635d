"""Stores that fail as databases do: on order, in every way that a settlement knows.

``FaultyStore`` is the group writer's twin on virtual time: one writer, groups, outcomes delivered a moment after they
became durable, in order; while a commit is unknown, whatever else is asked of it is refused. ``FaultySqlite`` is the
real thing with faults at the points of a transaction.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from shoal.accounts.account import Observation
from shoal.accounts.journal import JournalEntry
from shoal.accounts.store import (
    Change,
    Committed,
    Contents,
    Glimpse,
    OpRecord,
    Refused,
    Settle,
    Settlement,
    Unsettled,
)
from shoal.errors import CommitUnknown, NotApplied, StoreError
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.vault import Vault
from state.virtual_loop import VirtualLoop
from support.databases.memory_store import MemoryStore

T = TypeVar("T")


class Fate(StrEnum):
    """What becomes of one group."""

    COMMITTED = "committed"
    REFUSED = "refused"
    UNKNOWN_APPLIED = "unknown, and applied"
    UNKNOWN_LOST = "unknown, and lost"


@dataclass(frozen=True, kw_only=True, slots=True)
class Weather:
    """How the next group fares: its fate, how long the commit takes, and how long an unknown one stays unknown."""

    fate: Fate = Fate.COMMITTED
    seconds: float = 0.0
    unknown_seconds: float = 1.0


@dataclass(slots=True, eq=False)
class _Work:
    changes: tuple[Change, ...]
    apply: Callable[[], Settlement]
    deliver: Callable[[Settlement], None]


@dataclass(slots=True)
class _Durable:
    """What has ever been durable: the judge of every read."""

    versions: set[tuple[str, int, int]] = field(default_factory=set)
    deletions: set[str] = field(default_factory=set)

    def note(self, settlement: Settlement) -> Settlement:
        if isinstance(settlement, Committed):
            for entry in settlement.entries:
                self.versions.add((entry.account_id, entry.generation, entry.rev))
                if "deleted" in entry.changes:
                    self.deletions.add(entry.account_id)
        return settlement


class FaultyStore(MemoryStore):
    """A ``MemoryStore`` behind a writer of its own."""

    hop_seconds = 0.001

    def __init__(self) -> None:
        super().__init__()
        self.weather: deque[Weather] = deque()
        self.read_failures = 0
        self.observe_failures = 0
        self.lost_observations = False
        """Whether the last write of observations failed: only then may a restart know less than the manager did."""
        self.durable = _Durable()
        self.unsettled: set[str] = set()
        self.in_flight: set[str] = set()
        """Accounts with a change that was handed in and is not settled yet."""
        self._waiting: deque[_Work] = deque()
        self._deliveries: deque[list[tuple[_Work, Settlement]]] = deque()
        self._busy = self._degraded = False

    @property
    def idle(self) -> bool:
        """Whether nothing is on its way."""
        return not (self._waiting or self._deliveries or self._busy)

    # -- writing -------------------------------------------------------------------------------------------------

    def submit(self, changes: Sequence[Change], settle: Settle) -> None:
        kept = tuple(changes)

        def apply() -> Settlement:
            heard: list[Settlement] = []
            self._apply(kept, heard.append)
            return self.durable.note(heard[0])

        self.in_flight |= {change.account_id for change in kept}
        self._enqueue(_Work(kept, apply, settle))

    async def purge(self, account_id: str) -> None:
        await self._job(lambda: _at_once(MemoryStore.purge(self, account_id)))

    async def observe(self, observations: Mapping[str, Observation], moves: Sequence[Any] = ()) -> None:
        if self.observe_failures:
            self.observe_failures -= 1
            self._lose_observations()
            raise NotApplied("database is locked")
        seen, moved = dict(observations), tuple(moves)
        await self._job(lambda: _at_once(MemoryStore.observe(self, seen, moved)), self._lose_observations)
        self.lost_observations = False

    def _lose_observations(self) -> None:
        self.lost_observations = True

    async def _job(self, run: Callable[[], None], failed: Callable[[], None] = lambda: None) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def apply() -> Settlement:
            run()
            return Committed()

        def deliver(settlement: Settlement) -> None:
            if not isinstance(settlement, Committed):
                failed()
            if future.done():
                return
            if isinstance(settlement, Committed):
                future.set_result(None)
            else:
                future.set_exception(settlement.error)

        self._enqueue(_Work((), apply, deliver))
        await future

    def _enqueue(self, work: _Work) -> None:
        if self._degraded:
            self._hand_over_soon([(work, Refused(NotApplied("read-only", code="store_degraded")))])
            return
        self._waiting.append(work)
        self._begin()

    def _begin(self) -> None:
        if self._busy or not self._waiting:
            return
        self._busy = True
        weather = self.weather.popleft() if self.weather else Weather()
        asyncio.get_running_loop().call_later(weather.seconds, self._commit_group, weather)

    def _commit_group(self, weather: Weather) -> None:
        group = self._next_group()
        refused = Refused(NotApplied("database is locked"))
        if weather.fate is Fate.REFUSED:
            self._hand_over_soon([(work, refused) for work in group])
        elif weather.fate is Fate.COMMITTED:
            self._hand_over_soon([(work, work.apply()) for work in group])
        else:
            applied = weather.fate is Fate.UNKNOWN_APPLIED
            late = [(work, work.apply() if applied else refused) for work in group]
            self._degraded = True
            unknown = Unsettled(CommitUnknown("nobody knows"))
            degraded = Refused(NotApplied("read-only", code="store_degraded"))
            waiting, self._waiting = list(self._waiting), deque()
            self._hand_over_soon([*((work, unknown) for work in group), *((work, degraded) for work in waiting)])
            asyncio.get_running_loop().call_later(weather.unknown_seconds, self._settle_late, late)
            return
        self._busy = False
        self._begin()

    def _settle_late(self, late: list[tuple[_Work, Settlement]]) -> None:
        self._busy = self._degraded = False
        self._hand_over_soon(late)
        self._begin()

    def _next_group(self) -> list[_Work]:
        group: list[_Work] = []
        seen: set[str] = set()
        while self._waiting:
            accounts = [change.account_id for change in self._waiting[0].changes]
            if not seen.isdisjoint(accounts):
                break
            group.append(self._waiting.popleft())
            seen.update(accounts)
        return group

    def _hand_over_soon(self, outcomes: list[tuple[_Work, Settlement]]) -> None:
        self._deliveries.append(outcomes)
        asyncio.get_running_loop().call_later(self.hop_seconds, self._hand_over)

    def _hand_over(self) -> None:
        for work, settlement in self._deliveries.popleft():
            ids = {change.account_id for change in work.changes}
            if isinstance(settlement, Unsettled):
                self.unsettled |= ids
            else:
                self.unsettled -= ids
                self.in_flight -= ids
            work.deliver(settlement)

    # -- reading: what is read is a moment old when it arrives ---------------------------------------------------

    async def load(self) -> Contents:
        return await self._read(super().load())

    async def glimpse(self, account_id: str, *, after_rev: int) -> Glimpse:
        return await self._read(super().glimpse(account_id, after_rev=after_rev))

    async def journal(
        self,
        *,
        after_rev: int = 0,
        account_id: str | None = None,
        owner_id: int | None = None,
        or_accounts: Sequence[str] = (),
        before_ms: int | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[JournalEntry]:
        return await self._read(
            super().journal(
                after_rev=after_rev,
                account_id=account_id,
                owner_id=owner_id,
                or_accounts=or_accounts,
                before_ms=before_ms,
                limit=limit,
                newest_first=newest_first,
            )
        )

    async def op(self, op_id: str) -> OpRecord | None:
        return await self._read(super().op(op_id))

    async def op_at_rest(self, op_id: str) -> OpRecord | None:
        """As ``op``, for the judge: two hops for every call were a fifth of all steps of the loop."""
        return await super().op(op_id)

    async def _read(self, job: Coroutine[Any, Any, T]) -> T:
        try:
            if self.read_failures:
                self.read_failures -= 1
                raise StoreError("the disk reports an error")
            await asyncio.sleep(self.hop_seconds)
            value = await job
            await asyncio.sleep(self.hop_seconds)
            return value
        finally:
            job.close()


def _at_once(job: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits."""
    try:
        job.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    raise AssertionError("it waited")


class FaultySqlite(DBManager):
    """A ``DBManager`` on a file, whose transactions fail where ``faults`` says."""

    def __init__(self, directory: Path, loop: VirtualLoop) -> None:
        self._loop = loop
        self._faults: deque[str] = deque()
        self._guard = threading.Lock()
        self.database = Database(
            directory, readers=2, fault_point=self._point, settle_seconds=0.0, reopen_seconds=(0.001, 0.002)
        )
        super().__init__(self.database, Vault.load(directory.parent / "secret.key", None, create=True))
        self.durable = _Durable()
        self.lost_observations = False
        """As in ``FaultyStore``."""
        self._on_the_way = 0
        self._degraded = ExitStack()
        self.database.on_degraded(self._degrade)
        loop.stands_still = lambda: self.database.degraded  # it is so a little before it is told

    def _degrade(self, degraded: bool) -> None:
        """While the writer finds out what became of a commit, which takes real time, virtual time stands still."""
        self._degraded.close()
        if degraded:
            self._degraded.enter_context(self._loop.foreign_work())

    def fail_at(self, points: Sequence[str]) -> None:
        """Fail at these points, in this order: each is passed over until it is reached."""
        with self._guard:
            self._faults.extend(points)

    def stop_failing(self) -> None:
        """Let everything succeed from now on."""
        with self._guard:
            self._faults.clear()

    def _point(self, name: str) -> None:
        with self._guard:
            if not self._faults or self._faults[0] != name:
                return
            self._faults.popleft()
        raise sqlite3.OperationalError("disk I/O error")

    @property
    def idle(self) -> bool:
        """Whether nothing is on its way."""
        return self._on_the_way == 0 and not self.database.degraded

    def rows(self) -> dict[str, tuple[int, int, bool]]:
        """Generation, rev and wish of every living account, by a connection outside the store."""
        file = self.database.file
        assert file is not None
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
            query = "SELECT id, generation, rev, enabled FROM accounts WHERE NOT deleted"
            return {row[0]: (row[1], row[2], bool(row[3])) for row in connection.execute(query)}

    async def op_at_rest(self, op_id: str) -> OpRecord | None:
        """As ``op``."""
        return await self.op(op_id)

    def submit(self, changes: Sequence[Change], settle: Settle) -> None:
        self._on_the_way += 1
        work = self._loop.foreign_work()
        work.__enter__()

        def settled(settlement: Settlement) -> None:
            if not isinstance(settlement, Unsettled):
                self._on_the_way -= 1
                work.__exit__(None, None, None)
            settle(self.durable.note(settlement))

        super().submit(changes, settled)

    @contextmanager
    def _underway(self) -> Iterator[None]:
        self._on_the_way += 1
        try:
            with self._loop.foreign_work():
                yield
        finally:
            self._on_the_way -= 1

    async def purge(self, account_id: str) -> None:
        with self._underway():
            await super().purge(account_id)

    async def observe(self, observations: Mapping[str, Observation], moves: Sequence[Any] = ()) -> None:
        with self._underway():
            try:
                await super().observe(observations, moves)
            except StoreError:
                self.lost_observations = True
                raise
            self.lost_observations = False
