"""A server whose clock is far from the database's does not join, and gives up its shops to servers that are right."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from shoal.accounts.ownership import SHARDS
from shoal.clock import now_ms
from shoal.cluster.clock_offset import ClockOffset
from shoal.cluster.cluster_ownership import ClusterOwnership
from shoal.cluster.lease_watchdog import NodeTimes
from shoal.cluster.nodes import Nodes
from shoal.errors import ConfigError
from shoal.storage.database import Database
from support.site.standins import until

LONG = NodeTimes(lease_seconds=3600.0, renew_seconds=0.1, look_seconds=0.05)


class Runs:
    """Runs nothing."""

    async def claimed(self, shards: Collection[int]) -> None:
        """Nothing."""

    async def losing(self, shards: Collection[int]) -> None:
        """Nothing."""

    async def lost(self, shards: Collection[int]) -> None:
        """Nothing."""

    def lapsed(self) -> None:
        """Nothing."""


class Clock:
    """A machine's clock that is set wrong."""

    def __init__(self, ahead_ms: int = 0) -> None:
        self.ahead_ms = ahead_ms

    def __call__(self) -> int:
        return now_ms() + self.ahead_ms


@asynccontextmanager
async def node(name: str, url: str, clock: Clock) -> AsyncIterator[tuple[ClusterOwnership, Nodes]]:
    ownership = ClusterOwnership(name, LONG, end=lambda: None)
    ownership.clock = ClockOffset(clock)
    try:
        async with Database(url=url, guard=ownership.take) as database:
            ownership.start()
            ownership.keep(Runs())
            yield ownership, Nodes(database, ownership)
            await ownership.hold_still()
    finally:
        await ownership.close()


@pytest.mark.parametrize("ahead_ms", [-20_000, 20_000])
async def test_a_server_whose_clock_is_far_off_does_not_join_and_is_told_why(url: str, ahead_ms: int) -> None:
    with pytest.raises(ConfigError, match=r"the clock of this machine is [+-](19|20)\.\d s ahead of the database's"):
        async with node("a", url, Clock(ahead_ms)):
            pass
    async with node("a", url, Clock()) as (one, _):  # nothing stayed of the one that was refused
        await until(lambda: len(one.shards) == SHARDS)
        assert one.life is not None
        assert one.life.inc == one.life.started_at_ms // 1000, "the first life is numbered by its start"


async def test_a_server_whose_clock_is_set_wrong_gives_up_its_shops_unless_all_clocks_are_wrong(url: str) -> None:
    here, there = Clock(), Clock()
    async with node("a", url, here) as (first, nodes), node("b", url, there) as (second, _):
        await until(lambda: len(first.shards) == len(second.shards) == SHARDS // 2)
        here.ahead_ms = 30_000
        await until(lambda: not first.shards and len(second.shards) == SHARDS)
        offsets = {one.name: one.clock_offset_ms for one in await nodes.all()}
        assert offsets["a"] > 25_000
        assert abs(offsets["b"]) < 10_000
        there.ahead_ms = 30_000  # that is the database's clock then, and shops go on
        await until(lambda: len(first.shards) == len(second.shards) == SHARDS // 2)
        here.ahead_ms = there.ahead_ms = 0


def test_what_the_way_may_explain_is_no_offset_and_a_difference_is_told_once() -> None:
    offset = ClockOffset(lambda: 0)
    with capture_logs() as logs:
        for asked_ms, took_seconds, ms in [
            (100_000, 0.0, 0), (100_500, 0.0, 500), (97_000, 4.0, 0), (97_000, 1.0, -2_000), (96_000, 1.0, -3_000),
            (103_000, 1.0, 3_000), (100_000, 0.1, 0),
        ]:  # fmt: skip
            offset.note(asked_ms, 100_000, took_seconds)
            assert offset.ms == ms
    assert [entry["log_level"] for entry in logs] == ["warning", "info"]
