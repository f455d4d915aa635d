"""Tasks of a connection that get time to finish when the connection ends."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, NoReturn


def begin(tasks: asyncio.TaskGroup, work: Coroutine[Any, Any, None], *, name: str) -> bool:
    """Start work in a task group. Return ``False`` if the group is already ending."""
    try:
        tasks.create_task(work, name=name)
    except RuntimeError:  # the group has ended, but a task of a ``TaskDrain`` is still finishing
        work.close()
        return False
    return True


class TaskDrain:
    """Owns tasks. Unlike a task group, it lets them finish for a limited time before it cancels them."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: asyncio.Future[NoReturn] = asyncio.get_running_loop().create_future()
        self._closed = False

    def start(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None] | None:
        """Start work; return ``None`` after ``finish``.

        The caller may await the task, but need not handle its error: ``failure`` reports it.
        """
        if self._closed:
            work.close()
            return None
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not self._failure.done():
            self._failure.set_exception(error)

    async def failure(self) -> NoReturn:
        """Wait for the first task that fails, and raise its error."""
        await asyncio.shield(self._failure)
        raise AssertionError("a failure has no result")

    async def finish(self, grace_seconds: float) -> bool:
        """Wait up to ``grace_seconds`` for the tasks, cancel the rest, and wait until they end.

        Return whether a task was cancelled or failed: its work may be incomplete.
        """
        self._closed = True
        try:
            if self._tasks:
                await asyncio.wait(set(self._tasks), timeout=grace_seconds)
        finally:
            rest = set(self._tasks)
            for task in rest:
                task.cancel()
            if rest:
                await asyncio.wait(rest)
            self._failure.cancel()
            failed = self._failure.done() and not self._failure.cancelled()
            if failed:
                self._failure.exception()  # retrieved here; callers that need it have awaited it
        return bool(rest) or failed
