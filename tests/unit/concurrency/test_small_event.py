"""The small event: all that wait are woken, also after ``clear``; one that leaves takes no other along."""

from __future__ import annotations

import asyncio
import sys

import pytest

from shoal.concurrency.small_event import SmallEvent


async def test_all_that_wait_are_woken_and_later_ones_wait_again() -> None:
    event = SmallEvent()
    waiting = [asyncio.create_task(event.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    assert not any(one.done() for one in waiting[1:])
    event.set()
    event.clear()
    async with asyncio.timeout(10):
        await asyncio.gather(*waiting[1:])
        with pytest.raises(asyncio.CancelledError):
            await waiting[0]
    later = asyncio.create_task(event.wait())
    await asyncio.sleep(0)
    assert not later.done()
    event.set()
    async with asyncio.timeout(10):
        await later
        await event.wait()
    event.set()  # once more, while nothing waits


def test_it_is_small() -> None:
    assert sys.getsizeof(SmallEvent()) < 100
