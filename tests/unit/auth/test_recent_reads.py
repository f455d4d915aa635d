"""The short memory of the login tables."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from shoal.auth.recent_reads import RENEWED_AFTER, SECONDS, RecentReads


@dataclass
class _Store:
    version: int = 0


class _Rows:
    """Counts the reads, and answers with the value of the moment."""

    def __init__(self) -> None:
        self.store = _Store()
        self.now = 100.0
        self.value: str | None = "first"
        self.reads = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.recent: RecentReads[str] = RecentReads(self.store, clock=lambda: self.now)

    async def read(self) -> str | None:
        self.reads += 1
        value = self.value
        await self.gate.wait()
        return value

    async def begun(self, reads: int) -> None:
        """Wait until so many reads have begun."""
        async with asyncio.timeout(60):
            while self.reads < reads:
                await asyncio.sleep(0)

    async def get(self) -> str | None:
        return await self.recent.get("key", self.read)


async def test_a_busy_caller_is_read_once_a_second() -> None:
    rows = _Rows()
    for _ in range(100):
        assert await rows.get() == "first"
    assert rows.reads == 1
    rows.now += SECONDS
    rows.value = "second"
    assert await rows.get() == "second"
    assert rows.reads == 2


async def test_a_write_is_seen_by_the_next_call() -> None:
    rows = _Rows()
    assert await rows.get() == "first"
    rows.value = "second"
    rows.store.version += 1
    assert await rows.get() == "second"


async def test_what_was_read_before_a_write_ended_is_not_kept() -> None:
    rows = _Rows()
    rows.gate.clear()
    early = asyncio.create_task(rows.get())
    await rows.begun(1)
    rows.value = "second"
    rows.store.version += 1
    rows.gate.set()
    assert await early == "first"
    assert await rows.get() == "second"


async def test_a_slow_read_does_not_count_beyond_the_time() -> None:
    rows = _Rows()
    rows.gate.clear()
    slow = asyncio.create_task(rows.get())
    await rows.begun(1)
    rows.now += SECONDS
    rows.value = "second"
    rows.gate.set()
    assert await rows.get() == "second"
    assert await slow == "first"
    assert await rows.get() == "second"


async def test_an_unknown_key_is_asked_again_each_time() -> None:
    rows = _Rows()
    rows.value = None
    assert await rows.get() is None
    rows.value = "made"
    assert await rows.get() == "made"


async def test_callers_at_the_same_time_share_one_read() -> None:
    rows = _Rows()
    rows.gate.clear()
    callers = [asyncio.create_task(rows.get()) for _ in range(64)]
    await rows.begun(1)
    callers[0].cancel()  # one that leaves ends the read of no other
    await asyncio.wait(callers[:1], timeout=60)
    rows.gate.set()
    assert await asyncio.gather(*callers[1:]) == ["first"] * 63
    assert rows.reads == 1


async def test_who_comes_after_a_write_does_not_share_the_read_before_it() -> None:
    rows = _Rows()
    rows.gate.clear()
    early = asyncio.create_task(rows.get())
    await rows.begun(1)
    rows.value = "second"
    rows.store.version += 1
    late = asyncio.create_task(rows.get())
    await rows.begun(2)
    rows.gate.set()
    assert list(await asyncio.gather(early, late)) == ["first", "second"]


async def test_what_ages_is_read_again_beside_the_answer() -> None:
    rows = _Rows()
    await rows.get()
    rows.now += RENEWED_AFTER
    rows.value = "second"
    rows.gate.clear()
    assert await rows.get() == "first"
    assert await rows.get() == "first"
    rows.gate.set()
    await rows.recent.close()
    assert rows.reads == 2
    rows.now += RENEWED_AFTER  # the first value would be too old now
    rows.gate.clear()
    assert rows.recent.kept("key", rows.read) == "second"
    rows.gate.set()
    await rows.recent.close()


async def test_what_is_gone_when_it_is_read_again_is_not_kept() -> None:
    rows = _Rows()
    await rows.get()
    rows.now += RENEWED_AFTER
    rows.value = None
    assert await rows.get() == "first"
    await rows.recent.close()
    assert rows.recent.kept("key", rows.read) is None


async def test_a_failed_read_fails_all_who_share_it_and_nobody_later() -> None:
    rows = _Rows()

    async def failing() -> str | None:
        await asyncio.sleep(0)
        raise OSError("away")

    found = await asyncio.gather(*(rows.recent.get("key", failing) for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in found] == [OSError] * 3
    assert await rows.get() == "first"
