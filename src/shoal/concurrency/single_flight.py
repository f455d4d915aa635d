"""Single flight: work that runs once at a time; all callers during the run share its result."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class SingleFlight(Generic[Result]):
    """Owns the current run. A cancelled caller does not end it: the run continues for the others, until ``close``."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, Result]], *, name: str) -> None:
        self._work = work
        self._name = name
        self._running: asyncio.Task[Result] | None = None

    async def result(self) -> Result:
        """Join the current run, or begin one. Raises what the work raises."""
        if self._running is None:
            self._running = asyncio.create_task(self._work(), name=self._name)
            self._running.add_done_callback(self._ended)
        return await asyncio.shield(self._running)

    async def next_result(self) -> Result:
        """Join a run that begins after this call: the current one may have read its data before the caller's change."""
        if self._running is not None:
            await asyncio.wait({self._running})
        return await self.result()

    async def close(self) -> None:
        """Cancel the current run and wait for its end."""
        running = self._running
        if running is not None:
            running.cancel()
            await asyncio.wait({running})

    def _ended(self, run: asyncio.Task[Result]) -> None:
        self._running = None
        if not run.cancelled():
            run.exception()  # marks the exception as retrieved: all callers may have left
