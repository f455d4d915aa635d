"""The short memory of the login tables."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from shoal.auth.recent_reads import SECONDS, RecentReads


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
    await asyncio.sleep(0)
    rows.value = "second"
    rows.store.version += 1
    rows.gate.set()
    assert await early == "first"
    assert await rows.get() == "second"


async def test_a_slow_read_does_not_count_beyond_the_time() -> None:
    rows = _Rows()
    rows.gate.clear()
    slow = asyncio.create_task(rows.get())
    await asyncio.sleep(0)
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
