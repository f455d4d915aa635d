"""The open components of a server, closed in reverse order and each within a bounded time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import structlog

log = structlog.get_logger("shoal.server")

CLOSE_SECONDS = 15.0
"""The longest that any one component may take to close."""


class Closing(AsyncExitStack):
    """Closes what was opened in its block, also when a later component fails to open."""

    def later(self, name: str, close: Callable[[], Awaitable[object]]) -> None:
        """Call ``close`` at the end of the block, for at most ``CLOSE_SECONDS``."""
        self.push_async_callback(_bounded, name, close)


async def _bounded(name: str, close: Callable[[], Awaitable[object]]) -> None:
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await close()
    except TimeoutError:
        log.warning("did not close in time", part=name, seconds=CLOSE_SECONDS)
