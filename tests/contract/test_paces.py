"""The pace of what begins from one outgoing address: several nodes together keep the pace of one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url

from shoal.cluster import paces as module
from shoal.cluster.paces import NodeStarts, Paces, SharedPace
from shoal.cluster.short_writes import ShortWrites
from shoal.concurrency.fair_limiter import in_bursts
from support.databases.database_link import DatabaseLink
from support.site.standins import until


class Node(Paces):
    """The paces of one node, which notes the slots that it was given."""

    def __init__(self, writes: ShortWrites, address: str = "one") -> None:
        super().__init__(writes, address)
        self.writes = writes
        self.blocks: list[list[float]] = []

    async def reserve(self, name: str, kind: str, count: int, step_ms: float, slack_ms: int) -> tuple[int, int]:
        first, now = await super().reserve(name, kind, count, step_ms, slack_ms)
        self.blocks.append([first + number * step_ms for number in range(count)])
        return first, now


@asynccontextmanager
async def nodes(url: str, *addresses: str) -> AsyncIterator[list[Node]]:
    """One node for each name of an outgoing address."""
    made = [Node(ShortWrites(make_url(url)), address) for address in addresses]
    try:
        yield made
    finally:
        for node in made:
            await node.writes.close()


async def take(pace: SharedPace, count: int, address: str = "") -> None:
    """Take so many turns."""
    await asyncio.gather(*(pace.acquire(address=address) for _ in range(count)))


async def test_two_nodes_behind_one_address_have_the_slots_of_one_in_few_blocks(url: str) -> None:
    async with nodes(url, "one", "one", "other") as (here, there, apart):
        before = time.monotonic()
        await asyncio.gather(*(take(node.of("tokens", 50.0), 15) for node in (here, there, apart)))
        slots = sorted(slot for node in (here, there) for block in node.blocks for slot in block)
        assert len(slots) == 30
        assert all(later - sooner >= 20 for sooner, later in pairwise(slots)), slots
        assert time.monotonic() - before >= 0.5, "no turn comes before its slot"
        assert [len(node.blocks) for node in (here, there, apart)] == [1, 1, 1]
        kind = here.of("starts", 50.0)
        await kind.acquire()
        assert here.blocks[-1][0] < slots[-1] + 20 * 30, "another kind has a pace of its own"


async def test_a_burst_comes_at_once_and_a_proxy_has_its_own_pace_under_a_name_without_its_secret(url: str) -> None:
    proxy = "http://ann:secret@10.0.0.1:8080"
    async with nodes(url, "one", "one") as (here, there):
        slow = {node: node.of("starts", 0.001, burst=3.0) for node in (here, there)}
        await take(slow[here], 2)
        await take(slow[there], 1)
        await take(slow[there], 3, proxy)
        beyond = asyncio.create_task(slow[here].acquire(), name="beyond the burst")
        await until(lambda: len(here.blocks) == 3)
        assert not beyond.done()
        assert not slow[here].has_room()
        assert slow[here].has_room(proxy)
        beyond.cancel()
        await asyncio.gather(beyond, return_exceptions=True)
        await slow[here].close()

        def names(connection: Connection) -> list[str]:
            return list(connection.scalars(text("SELECT address FROM paces ORDER BY address")))

        name, own = await here.writes.run(names), here.name_of(proxy)
        assert name == ["one", own]
        assert "secret" not in own


async def test_a_caller_who_leaves_passes_the_turn_on_and_starts_keep_both_paces(url: str) -> None:
    async with nodes(url, "one") as (here,):
        starts = NodeStarts(in_bursts(1000.0), here.of("starts", 20.0))
        assert starts.has_room()
        waiting = [asyncio.create_task(starts.acquire(number)) for number in range(4)]
        await asyncio.sleep(0.01)
        assert not starts.has_room()
        waiting[0].cancel()
        await asyncio.gather(*waiting[1:])
        assert starts.has_room(), "nobody waits any more"


async def test_without_an_answer_of_the_database_no_turn_comes_until_it_answers(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.05)
    async with DatabaseLink(url).open() as link, nodes(link.url, "one") as (here,):
        pace = here.of("tokens", 100.0)
        await pace.acquire()
        link.die()
        waiting = asyncio.create_task(pace.acquire())
        await asyncio.sleep(0.2)
        assert not waiting.done()
        link.live()
        await waiting


async def test_a_process_that_stood_still_does_not_use_up_the_slots_that_it_missed(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LATE_SECONDS", 0.1)
    async with nodes(url, "one") as (here,):
        reserve, loop = here.reserve, asyncio.get_running_loop()

        async def reserve_and_stand_still(*values: Any) -> tuple[int, int]:
            given = await reserve(*values)
            if len(here.blocks) == 1:
                loop.call_soon(time.sleep, 0.5)  # once the first turns are given
            return given

        monkeypatch.setattr(here, "reserve", reserve_and_stand_still)
        pace = here.of("tokens", 100.0)
        await asyncio.gather(*(pace.acquire() for _ in range(10)))
        assert len(here.blocks) >= 2, "the rest of the block is lost"
