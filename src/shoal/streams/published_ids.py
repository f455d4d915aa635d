"""Notes on the bus of events up to which id all events with rows were published, when several nodes add rows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final, Protocol

import structlog

from shoal.accounts.events import EventBus
from shoal.accounts.follower import Follower
from shoal.accounts.positions import Position, Stream
from shoal.accounts.published import PublishedAccounts
from shoal.errors import ShoalError
from shoal.storage.database import Database
from shoal.streams.stored_events import newest

log = structlog.get_logger("shoal.stream")

SOON_SECONDS: Final = 0.1
"""After a published event with a row, while there are readers, the database is asked so soon how far all is decided."""


class OtherNodes(Protocol):
    """What the other nodes have sent here."""

    async def refresh(self) -> None:
        """Learn which nodes there are now. Raises ``StoreError``."""

    def published(self) -> Collection[Position] | None:
        """Return up to where each of them has sent its events; ``None`` while those of one are not received."""


class PublishedIds:
    """Owns one task, from ``start`` to ``close``.

    An id is decided when no transaction can add a smaller one (``SettledIds``). It is complete when this node has
    published what it committed up to there itself, and each other living node has sent the same of its own.
    """

    def __init__(self, bus: EventBus, follower: Follower, published_all: Callable[[], Awaitable[None]]) -> None:
        """``published_all``: returns when every event of this node was published whose row can be read by now."""
        self._bus = bus
        self._follower = follower
        self._published_all = published_all
        self._due = asyncio.Event()
        self._is_asked = False
        self._task: asyncio.Task[None] | None = None
        self.is_known = asyncio.Event()
        """Set once a look into the database has shown how far all is decided."""
        self.mine = self._decided = bus.position
        """Up to where all events of this node were published."""
        self.others: OtherNodes | None = None
        self.listeners: set[Callable[[], object]] = set()
        """Called when ``mine`` moves."""

    def start(self) -> None:
        """Note it from now on."""
        self._follower.on_settled = self._due.set
        self._bus.on_newer = self._ask_soon
        self._task = asyncio.create_task(self._keep_advancing(), name="told rows")

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def passed(self, position: Position, *, within_seconds: float) -> bool:
        """Wait until all events with rows up to there were published here. Return whether they were."""
        self._follower.wake()
        return await self._bus.passed(position, within_seconds=within_seconds)

    def _ask_soon(self) -> None:
        if self._bus.readers and not self._is_asked:
            self._is_asked = True
            asyncio.get_running_loop().call_later(SOON_SECONDS, self._ask)

    def _ask(self) -> None:
        self._is_asked = False
        self._follower.wake()

    async def _keep_advancing(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            position = self._follower.settled.position
            try:
                await self._published_all()
            except ShoalError as error:  # the database is closed
                log.debug("what was published is not noted", why=error.code)
                continue
            self.mine = position
            for listener in self.listeners:
                listener()
            try:
                if self.others is not None:
                    await self.others.refresh()
            except ShoalError as error:  # a node may have come whose rows are among those
                log.debug("which nodes there are is not known", why=error.code)
                continue
            self._decided = position
            self.advance()
            self.is_known.set()

    def advance(self) -> None:
        """Let the bus note up to where the events of all nodes were published, if those of every node are received."""
        positions = () if self.others is None else self.others.published()
        if positions is not None:
            lowest = [min(last or 0 for last in those) for those in zip(self._decided, *positions, strict=True)]
            self._bus.note_published(Position._make(lowest))


async def follow_writes(database: Database, published: PublishedAccounts) -> None:
    """Let the bus of events follow the database, before anything is written. Raises ``StoreError``."""
    bus = published.events

    def reached(rows: Mapping[Stream, int]) -> None:
        for stream, row_id in rows.items():
            bus.reached(stream, row_id)

    bus.position = await database.read(newest)
    database.touched.events = reached
    database.touched.incidents = published.publish_incident
