"""Ends a running server when PostgreSQL does not have what the server had committed or shown."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from shoal.errors import StoreError

log = structlog.get_logger("shoal.server")

_LOST: Final = (
    "PostgreSQL does not have the last changes of this server any more: a standby without them was promoted, or an "
    "earlier copy restored. This server ends, so that it shows and does nothing that is not stored. Start it again (a "
    "service manager does): it reads everything again. With a synchronous standby no change is lost"
)


class LostCommits:
    """``failed`` never ends while all is well, and fails when the server must end. Made on the running loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.failed: asyncio.Future[None] = self._loop.create_future()
        self.failed.add_done_callback(lambda failed: failed.cancelled() or failed.exception())

    def commits_lost(self) -> None:
        """Let the server end, since commits are lost. May be called on any thread, and again."""
        self._loop.call_soon_threadsafe(self._fail)

    def _fail(self) -> None:
        if not self.failed.done():
            log.critical("commits are lost: this server ends")
            self.failed.set_exception(StoreError(_LOST, code="commits_lost"))
