"""Opens what keeps several nodes on one PostgreSQL in step: the follower, and hints that wake it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shoal.accounts.follower import Follower
from shoal.accounts.published import PublishedAccounts
from shoal.server.closing import Closing
from shoal.storage.commit_hints import CommitHints
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager


@asynccontextmanager
async def following(database: Database, store: DBManager, published: PublishedAccounts) -> AsyncIterator[Follower]:
    """Follow the stream, after the accounts were loaded."""
    async with Closing() as closing:
        follower = Follower(store.stream, published)
        closing.later("follower", follower.close)
        hints = CommitHints(database.url, follower.wake)
        closing.later("commit hints", hints.close)

        def committed() -> None:
            follower.wake()
            hints.committed()

        store.on_commit = committed
        follower.start(published.stream_start)
        hints.start()
        yield follower
