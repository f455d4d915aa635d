"""Work that a connection has begun and that deserves to be ended properly when the connection goes."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, NoReturn


def begin(tasks: asyncio.TaskGroup, work: Coroutine[Any, Any, None], *, name: str) -> bool:
    """Begin a piece of work in a task group, unless the group is ending already (False)."""
    try:
        tasks.create_task(work, name=name)
    except RuntimeError:  # what had its moment to end, in a ``TaskDrain`` beside it, came upon something new
        work.close()
        return False
    return True


class TaskDrain:
    """Owns tasks. Unlike a task group it gives them a moment to end before it cancels them."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: asyncio.Future[NoReturn] = asyncio.get_running_loop().create_future()
        self._closed = False

    def start(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None] | None:
        """Begin a piece of work; after ``finish`` nothing begins any more (``None``).

        Whoever awaits the task need not see to its failure: the group does.
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
        """Wait for the first piece of work that fails, and raise what it raised."""
        await asyncio.shield(self._failure)
        raise AssertionError("a failure has no result")

    async def finish(self, grace_seconds: float) -> bool:
        """Let what is under way end, at most so long; cancel the rest and wait until it is gone.

        Returns whether something was cancelled, or has failed: what it had begun may be left open.
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
                self._failure.exception()  # seen: whoever cared has awaited it
        return bool(rest) or failed
