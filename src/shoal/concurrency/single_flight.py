"""Single flight: one run of a piece of work at a time, whose result everybody gets who asks for it meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class SingleFlight(Generic[Result]):
    """Owns the run under way. Who asks may leave: the run goes on for the others, until ``close``."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, Result]], *, name: str) -> None:
        self._work = work
        self._name = name
        self._running: asyncio.Task[Result] | None = None

    async def result(self) -> Result:
        """Join the run under way, or begin one. Raises what the work raises."""
        if self._running is None:
            self._running = asyncio.create_task(self._work(), name=self._name)
            self._running.add_done_callback(self._ended)
        return await asyncio.shield(self._running)

    async def next_result(self) -> Result:
        """Join a run that begins after this call: one under way may have looked before what the caller means."""
        if self._running is not None:
            await asyncio.wait({self._running})
        return await self.result()

    async def close(self) -> None:
        """End the run under way."""
        running = self._running
        if running is not None:
            running.cancel()
            await asyncio.wait({running})

    def _ended(self, run: asyncio.Task[Result]) -> None:
        self._running = None
        if not run.cancelled():
            run.exception()  # who asked may have left: it was not overlooked
