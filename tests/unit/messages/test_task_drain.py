"""Work of a connection: what may begin, and what becomes of it when the connection ends."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from shoal.messages.task_drain import TaskDrain, begin


async def _work() -> None:
    await asyncio.sleep(0)


async def test_what_would_begin_in_a_group_that_is_ending_is_left_and_nothing_fails() -> None:
    begun: list[bool] = []
    late = _work()

    async def failing() -> None:
        raise OSError("the line is gone")

    async def lingering(tasks: asyncio.TaskGroup) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            begun.append(begin(tasks, late, name="late"))

    async def connection() -> None:
        async with asyncio.TaskGroup() as tasks:
            begun.append(begin(tasks, _work(), name="in time"))
            tasks.create_task(lingering(tasks))
            await asyncio.sleep(0)
            tasks.create_task(failing())

    with pytest.raises(ExceptionGroup) as failed:
        await connection()
    assert [type(one) for one in failed.value.exceptions] == [OSError], "what came too late is no failure of its own"
    assert begun == [True, False]
    assert inspect.getcoroutinestate(late) == inspect.CORO_CLOSED


async def test_the_end_waits_for_what_a_cancelled_task_still_has_to_do() -> None:
    ended: list[str] = []

    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            ended.append("slow")

    work = TaskDrain()
    work.start(slow(), name="slow")
    await asyncio.sleep(0)
    assert await work.finish(0.0)
    assert ended == ["slow"]
