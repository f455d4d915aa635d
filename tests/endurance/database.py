"""The real database on a real file, in step with virtual time: what it does takes as long as a seed says.

Every job is carried out at a moment of virtual time while the loop stands still, and is told some virtual milliseconds
later. So threads never decide what comes first, and a run is the same each time. Writes keep their order, and so do
reads; one kind may overtake the other, as it does between threads.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from contextvars import Context, copy_context
from pathlib import Path
from random import Random
from typing import Any, Self, TypeVar, cast

from sqlalchemy import Connection

from shoal.accounts.store import Change, Settle, Settlement
from shoal.storage.database import Database
from shoal.storage.group_writer import GroupWriter
from state.virtual_loop import REAL_WAIT_SECONDS, VirtualLoop

T = TypeVar("T")


class _Queue:
    """Jobs that are carried out one after another, in the order in which they came, each at a moment of a seed."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._jobs: deque[tuple[Callable[[], None], Context]] = deque()
        self._latest = 0.0
        self._stands_until = 0.0
        self._when_done = False

    def stand(self, seconds: float, *, when_done: bool) -> None:
        """Stand still for so long: before a job is carried out, or between that and telling of it."""
        self._stands_until, self._when_done = asyncio.get_running_loop().time() + seconds, when_done

    async def in_turn(self, carry_out: Callable[[], T]) -> T:
        """Carry something out when its turn comes, also if the caller has left, and tell him a little later."""
        loop = asyncio.get_running_loop()
        told: asyncio.Future[T] = loop.create_future()

        def tell(outcome: Callable[[], None]) -> None:
            if not told.done():
                outcome()

        def act() -> None:
            try:
                value = carry_out()
            except Exception as error:  # noqa: BLE001 - it is the caller's
                loop.call_at(self.told_at(), tell, lambda error=error: told.set_exception(error))
            else:
                loop.call_at(self.told_at(), tell, lambda: told.set_result(value))

        self.add(act, copy_context())
        return await told

    def add(self, act: Callable[[], None], context: Context) -> None:
        """Let something be carried out when its turn comes."""
        self._jobs.append((act, context))
        self._call_next()

    def _call_next(self) -> None:
        loop = asyncio.get_running_loop()
        begins = max(loop.time(), 0.0 if self._when_done else self._stands_until)
        self._latest = max(self._latest + 1e-6, begins + self._pause())
        loop.call_at(self._latest, self._next)

    def _next(self) -> None:
        """Carry out the job whose turn it is, unless all has come to stand since its moment was chosen."""
        if not self._when_done and asyncio.get_running_loop().time() < self._stands_until:
            self._call_next()
            return
        act, context = self._jobs.popleft()
        context.run(act)

    def told_at(self) -> float:
        """When it is told of what is carried out now."""
        stands_until = self._stands_until if self._when_done else 0.0
        return max(asyncio.get_running_loop().time(), stands_until) + self._pause()

    def _pause(self) -> float:
        return self._rng.uniform(0.0002, 0.006)


class _PacedWriter:
    """A group writer that takes changes when their turn comes."""

    def __init__(self, writer: GroupWriter, submit_to: Callable[[GroupWriter, Sequence[Change], Settle], None]) -> None:
        self._writer = writer
        self._submit_to = submit_to

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)

    def submit(self, changes: Sequence[Change], settle: Settle) -> None:
        self._submit_to(self._writer, changes, settle)


class PacedDatabase(Database):
    """As ``Database``; ``trouble`` makes its transactions fail for a while, two more make it stand still."""

    def __init__(self, data_dir: Path, *, rng: Random) -> None:
        super().__init__(data_dir, readers=1, fault_point=self._point)
        self._rng = rng
        self._writes = _Queue(rng)
        self._reads = _Queue(rng)
        self._trouble_until = 0.0
        self._chance = 0.0
        self.refusals = 0

    @property
    def _virtual(self) -> VirtualLoop:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        return loop

    def trouble(self, seconds: float, chance: float) -> None:
        """For so long, each transaction is refused by the disk with this probability."""
        self._trouble_until = self._virtual.time() + seconds
        self._chance = chance

    def writer_stands(self, seconds: float, *, when_done: bool) -> None:
        """For so long nothing is written (``when_done``: it is written, and reported as failed)."""
        self._writes.stand(seconds, when_done=when_done)

    def readers_stand(self, seconds: float) -> None:
        """For so long nothing is read."""
        self._reads.stand(seconds, when_done=False)

    def _point(self, name: str) -> None:
        """Called on the writing thread, while the loop waits for it."""
        if name == "statement" and self._in_trouble and self._rng.random() < self._chance:
            self.refusals += 1
            raise sqlite3.OperationalError("disk I/O error")

    _in_trouble = False

    async def open(self) -> Self:
        with self._virtual.foreign_work():
            return await super().open()

    async def close(self) -> None:
        with self._virtual.foreign_work():
            await super().close()

    async def read(self, job: Callable[[Connection], T]) -> T:
        threads, context = self._threads, copy_context()
        if threads is None:
            return await super().read(job)
        return await self._reads.in_turn(lambda: threads.submit(context.run, self._read, job).result(REAL_WAIT_SECONDS))

    async def write(self, job: Callable[[Connection], T], *, on_commit: Callable[[T], object] | None = None) -> T:
        context = copy_context()
        # a fresh copy for each call: a job may run twice
        own = lambda connection: context.copy().run(job, connection)  # noqa: E731
        return await self._writes.in_turn(
            lambda: self._at_once(super(PacedDatabase, self).write(own, on_commit=on_commit))
        )

    async def settled(self) -> None:
        await self._writes.in_turn(lambda: self._at_once(super(PacedDatabase, self).settled()))

    @property
    def group_writer(self) -> GroupWriter:
        return cast("GroupWriter", _PacedWriter(super().group_writer, self.submit_to))

    def submit_to(self, writer: GroupWriter, changes: Sequence[Change], settle: Settle) -> None:
        """Let the writer take the changes when their turn comes."""
        context = copy_context()

        def carry_out() -> None:
            settled: list[Settlement] = []
            writer.submit(changes, settled.append)
            self._until(lambda: bool(settled))
            for settlement in settled:
                self._virtual.call_at(self._writes.told_at(), settle, settlement, context=context)

        self._writes.add(carry_out, context)

    def _at_once(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine that waits for the writing thread only, while the loop stands still."""
        try:
            future = work.send(None)
            self._until(future.done)
            work.send(None)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        raise AssertionError("it waited for something else")

    def _until(self, done: Callable[[], bool]) -> None:
        self._in_trouble = self._virtual.time() < self._trouble_until
        super().group_writer._gathered()  # the loop, which tells the writer that a turn has ended, stands still
        while not done():
            self._virtual._arrivals.get(timeout=REAL_WAIT_SECONDS)._run()
