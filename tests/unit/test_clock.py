import asyncio
import time

from shoal.clock import now_ms, reading


def test_it_is_the_machines_clock_unless_another_is_given() -> None:
    assert abs(now_ms() - time.time() * 1000) < 1000


async def test_another_clock_is_read_by_what_is_started_from_there_and_by_nobody_else() -> None:
    async def ask() -> int:
        await asyncio.sleep(0)
        return now_ms()

    with reading(lambda: 7):
        inside = asyncio.create_task(ask())
    outside = asyncio.create_task(ask())
    assert await inside == 7
    assert await outside > 7
