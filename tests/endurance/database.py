"""The real database on a real file, in step with virtual time: what it does takes as long as a seed says.

Every job is carried out at a moment of virtual time while the loop stands still, and is told some virtual milliseconds
later. So threads never decide what comes first, and a run is the same each time.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine, Sequence
from contextvars import copy_context
from pathlib import Path
from random import Random
from typing import Any, Self, TypeVar

from sqlalchemy import Connection

from shoal.database import Database
from shoal.store import Change, Settle, Settlement
from state.virtual_loop import REAL_WAIT_SECONDS, VirtualLoop

T = TypeVar("T")


class PacedDatabase(Database):
    """As ``Database``; ``trouble`` makes its transactions fail for a while."""

    def __init__(self, data_dir: Path, *, rng: Random) -> None:
        super().__init__(data_dir, readers=1, fault_point=self._point)
        self._rng = rng
        self._latest = 0.0
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
        return await self._in_turn(lambda: threads.submit(context.run, self._read, job).result(REAL_WAIT_SECONDS))

    async def write(self, job: Callable[[Connection], T]) -> T:
        context = copy_context()
        # a fresh copy for each call: a job may run twice
        own = lambda connection: context.copy().run(job, connection)  # noqa: E731
        return await self._in_turn(lambda: self._at_once(super(PacedDatabase, self).write(own)))

    def submit(self, changes: Sequence[Change], settle: Settle) -> None:
        context = copy_context()

        def carry_out() -> None:
            settled: list[Settlement] = []
            super(PacedDatabase, self).submit(changes, settled.append)
            self._until(lambda: bool(settled))
            for settlement in settled:
                self._virtual.call_later(self._pause(), settle, settlement, context=context)

        self._virtual.call_at(self._moment(), carry_out, context=context)

    async def _in_turn(self, carry_out: Callable[[], T]) -> T:
        """Carry something out when its turn comes, also if the caller has left, and tell him a little later."""
        loop = self._virtual
        told: asyncio.Future[T] = loop.create_future()

        def tell(outcome: Callable[[], None]) -> None:
            if not told.done():
                outcome()

        def act() -> None:
            try:
                value = carry_out()
            except Exception as error:  # noqa: BLE001 - it is the caller's
                loop.call_later(self._pause(), tell, lambda error=error: told.set_exception(error))
            else:
                loop.call_later(self._pause(), tell, lambda: told.set_result(value))

        loop.call_at(self._moment(), act)
        return await told

    def _moment(self) -> float:
        """When the next job is carried out: in the order in which they came."""
        self._latest = max(self._latest + 1e-6, self._virtual.time() + self._pause())
        return self._latest

    def _pause(self) -> float:
        return self._rng.uniform(0.0002, 0.006)

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
        while not done():
            self._virtual._arrivals.get(timeout=REAL_WAIT_SECONDS)._run()
