"""How late the event loop is: all requests, connections and answers to buyers wait that long."""

from __future__ import annotations

import asyncio
from typing import Final

from shoal.measures import Histogram

EVERY_SECONDS: Final = 1.0


class LoopLag:
    """Owns one task, from ``start`` to ``close``: it sleeps, and looks how late it was woken."""

    def __init__(self, *, every_seconds: float = EVERY_SECONDS) -> None:
        self.seconds = Histogram(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
        self._every_seconds = every_seconds
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look, on the running loop."""
        self._task = asyncio.create_task(self._keep(), name="loop lag")

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + self._every_seconds
            await asyncio.sleep(self._every_seconds)
            self.seconds.add(max(0.0, loop.time() - due))
