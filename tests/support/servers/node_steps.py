"""Several nodes on one PostgreSQL: writers that hold their transactions open, and readers of the journal."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import psycopg

from shoal.accounts.journal_stream import StreamPage, StreamPlace
from shoal.storage.db_manager import DBManager

ALONE_LOCK = 0x53686F616C
"""What a node that writes alone locks in each transaction."""
_INSERT = """
    INSERT INTO journal (account_id, owner_id, generation, changes, actor, op_id, at_ms)
    VALUES (%s, 1, %s, '{}', 'user:ann', 'op', %s) RETURNING rev
"""


class OpenWriter:
    """Writes entries in a transaction that it ends when it is told to."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self.connection = connection
        self.commit = connection.commit
        self.rollback = connection.rollback

    async def begin(self) -> None:
        """Begin a transaction, with its id."""
        await self.connection.execute("SELECT pg_current_xact_id()")

    async def insert(self, name: str, generation: int = 1, at_ms: int = 1) -> int:
        """Write an entry. Return its rev."""
        found = await (await self.connection.execute(_INSERT, (name, generation, at_ms))).fetchone()
        assert found is not None
        return int(found[0])


@contextlib.asynccontextmanager
async def open_writers(url: str, count: int) -> AsyncIterator[list[OpenWriter]]:
    """So many writers, each with a connection of its own."""
    address = url.replace("postgresql+psycopg", "postgresql")
    async with contextlib.AsyncExitStack() as stack:
        connections = [await psycopg.AsyncConnection.connect(address) for _ in range(count)]
        yield [OpenWriter(await stack.enter_async_context(connection)) for connection in connections]


def revs(page: StreamPage) -> list[int]:
    """The revs of a page."""
    return [entry.rev for entry in page.entries]


class ByRev:
    """The reader that the stream replaces: it remembers the largest rev that it has seen."""

    def __init__(self, store: DBManager) -> None:
        self._store = store
        self.seen: list[int] = []

    async def take(self) -> None:
        """Read what is there beyond that."""
        last = max(self.seen, default=0)
        self.seen += [entry.rev for entry in await self._store.journal(after_rev=last)]


class ByPlace:
    """A reader of the stream."""

    def __init__(self, store: DBManager, place: StreamPlace | None = None) -> None:
        self._store = store
        self.place = place or StreamPlace()
        self.seen: list[int] = []

    async def take(self) -> StreamPage:
        """Read what follows."""
        page = await self._store.stream.entries(self.place, limit=1_000)
        self.seen += revs(page)
        self.place = page.places[-1] if page.places else self.place
        return page

    async def saw(self, *wanted: int) -> None:
        """Read until it has seen exactly these, in this order; other tests' transactions may delay them."""
        await told(self.take, lambda: len(self.seen) >= len(wanted))
        assert self.seen == list(wanted)


async def told(ask: Callable[[], Awaitable[object]], enough: Callable[[], bool]) -> None:
    """Ask until it is enough."""
    async with asyncio.timeout(60):
        await ask()
        while not enough():
            await asyncio.sleep(0.01)
            await ask()
