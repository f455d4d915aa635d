"""Work that runs once at a time."""

from __future__ import annotations

import asyncio

import pytest

from shoal.concurrency.single_flight import SingleFlight


async def test_a_close_ends_the_run_and_waits_for_its_end() -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.set()

    flight = SingleFlight(work, name="work")
    caller = asyncio.create_task(flight.result())
    async with asyncio.timeout(60):
        await began.wait()
        await flight.close()
    assert ended.is_set()
    with pytest.raises(asyncio.CancelledError):
        await caller
