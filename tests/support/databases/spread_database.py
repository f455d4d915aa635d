"""A PostgreSQL database as two servers use it: each write and each read is made by one of them, by chance."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, TypeVar

from sqlalchemy import Connection

from shoal.storage.database import Database
from shoal.storage.group_work import ChangeWriter
from shoal.storage.group_writer import GroupWriter

T = TypeVar("T")


class SpreadDatabase(Database):
    """Two open databases at one place, in the place of one.

    Work that follows other work before that is settled is given to the same writer: that is one server's to order.
    """

    def __init__(self, data_dir: Path, *, url: str, seed: str) -> None:
        super().__init__(data_dir, url=url)
        self._other = Database(data_dir.with_name(f"{data_dir.name}-two"), url=url)
        self._chance = random.Random(seed)
        self._last: Database | None = None
        self.asked = [0, 0]

    async def open(self) -> Self:
        """Open both."""
        await super().open()
        try:
            await self._other.open()
        except BaseException:
            await self.close()
            raise
        self._other.touched = self.touched
        return self

    async def close(self) -> None:
        """Close both."""
        await self._other.close()
        await super().close()

    @property
    def group_writer(self) -> GroupWriter:
        """The writer of one of them: the last one's while it is at work."""
        mine = super().group_writer
        if self._last is not None:
            last = mine if self._last is self else self._other.group_writer
            if last.waiting or last._busy or last._drafting:
                return last
        self._last = self._one()
        return mine if self._last is self else self._other.group_writer

    async def read(self, job: Callable[[Connection], T]) -> T:
        """Read at one of them."""
        return await (super().read(job) if (one := self._one()) is self else one.read(job))

    async def search(self, job: Callable[[Connection], T]) -> T:
        """Search at one of them."""
        return await (super().search(job) if (one := self._one()) is self else one.search(job))

    def write_apart(self, job: Callable[[Connection], T]) -> T:
        """Write beside the writer of one of them."""
        return super().write_apart(job) if (one := self._one()) is self else one.write_apart(job)

    async def settled(self) -> None:
        """Wait for the writers of both."""
        await super().group_writer.settled()
        await self._other.settled()

    def write_changes_with(self, change_writer: ChangeWriter) -> None:
        """Tell both."""
        super().write_changes_with(change_writer)
        self._other.write_changes_with(change_writer)

    def on_degraded(self, listener: Callable[[bool], Any]) -> None:
        """Tell both."""
        super().on_degraded(listener)
        self._other.on_degraded(listener)

    def _one(self) -> Database:
        number = self._chance.randrange(2)
        self.asked[number] += 1
        return (self, self._other)[number]


def groups_committed(database: Database) -> int:
    """How many groups its writer has committed; of two servers, both together."""
    both = (database, database._other) if isinstance(database, SpreadDatabase) else (database,)
    return sum(one._group_writer.groups_committed for one in both if one._group_writer is not None)
