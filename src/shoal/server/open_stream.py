"""Opens what keeps several nodes on one PostgreSQL in step: the follower, and hints that wake it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import msgspec
import structlog

from shoal.accounts.follower import Follower
from shoal.accounts.published import PublishedAccounts
from shoal.server.closing import Closing
from shoal.storage.commit_hints import CommitHints
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.streams.published_ids import PublishedIds

log = structlog.get_logger("shoal.stream")

KNOWN_SECONDS: Final = 5.0
"""How long the start waits for a transaction that another program left open."""


class Following(msgspec.Struct, frozen=True):
    """What follows the other nodes."""

    follower: Follower
    published_ids: PublishedIds


@asynccontextmanager
async def following(
    database: Database,
    store: DBManager,
    published: PublishedAccounts,
    freed: Callable[[], None] | None = None,
    lost: Callable[[], None] | None = None,
) -> AsyncIterator[Following]:
    """Follow the stream, after the accounts were loaded. ``freed``: see ``CommitHints``; ``lost``: ``Follower``."""

    async def published_all() -> None:
        await database.group_writer.settled()
        await asyncio.sleep(0)  # what the writing thread has handed over is published before this goes on

    async with Closing() as closing:
        follower = Follower(store.stream, published, lost=lost)
        closing.later("follower", follower.close)
        hints = CommitHints(database.url, follower.wake, freed)
        closing.later("commit hints", hints.close)
        published_ids = PublishedIds(published.events, follower, published_all)
        closing.later("told rows", published_ids.close)

        def committed() -> None:
            follower.wake()
            hints.committed()

        store.on_commit = committed
        published_ids.start()
        follower.start(published.stream_start)
        hints.start()
        try:
            async with asyncio.timeout(KNOWN_SECONDS):
                await published_ids.is_known.wait()
        except TimeoutError:
            log.warning("a transaction that was open before the start holds up the events", seconds=KNOWN_SECONDS)
        yield Following(follower, published_ids)
