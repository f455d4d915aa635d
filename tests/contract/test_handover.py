"""Shards pass to others a few at a time; a server that crashes again and again takes none from those that run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import Engine, create_engine, text

from shoal.accounts.ownership import SHARDS
from shoal.cluster.cluster_ownership import ClusterOwnership
from shoal.cluster.handover import GIVEN_UP_AT_ONCE
from shoal.cluster.lease_watchdog import NodeTimes
from shoal.cluster.node_rows import NodeRows, Share, join
from shoal.storage.database import Database
from support.databases.postgres_server import Postgres
from support.site.standins import until

FACTS = {"host": "here", "address": "", "version": "", "schema": ""}
PATIENT = NodeTimes(lease_seconds=3600.0, renew_seconds=0.5, look_seconds=0.02)


class Impatient(NodeTimes):
    """Those of a node that takes shards back at once, and keeps them for an hour."""

    patience_seconds = 0.0


@pytest.fixture
def engine(postgres: Postgres) -> Iterator[Engine]:
    with postgres.database(migrated=True) as url:
        engine = create_engine(url)
        yield engine
        engine.dispose()


class Runs:
    """What a node runs, how many shards it gave up in all, and how often it looked."""

    def __init__(self) -> None:
        self.shards: set[int] = set()
        self.given_up = self.looks = 0

    async def claimed(self, shards: Collection[int]) -> None:
        self.shards |= set(shards)

    async def losing(self, shards: Collection[int]) -> None:
        self.given_up += len(shards)
        self.shards -= set(shards)

    lost = losing

    def lapsed(self) -> None:
        pass


@asynccontextmanager
async def node(engine: Engine, times: NodeTimes) -> AsyncIterator[Runs]:
    ownership, runs = ClusterOwnership("a", times, end=lambda: None), Runs()
    note = ownership._handover.note

    def counted(share: Share) -> None:
        runs.looks += 1
        note(share)

    ownership._handover.note = counted  # type: ignore[method-assign]
    try:
        async with Database(url=engine.url.render_as_string(hide_password=False), guard=ownership.take):
            ownership.start()
            ownership.keep(runs)
            await until(lambda: len(runs.shards) == SHARDS)
            yield runs
            await ownership.hold_still()
    finally:
        await ownership.close()


def a_life(engine: Engine) -> NodeRows:
    """Another server joins, and crashes before it takes anything."""
    with engine.begin() as connection:
        connection.execute(text("UPDATE nodes SET dead = true WHERE name = 'b'"))
        rows = join(connection, "b", 3_600_000, FACTS)
    assert rows is not None
    return rows


async def looks(runs: Runs, count: int) -> None:
    """Let the node look so often."""
    seen = runs.looks
    await until(lambda: runs.looks > seen + count)


async def test_no_more_is_given_up_than_somebody_takes(engine: Engine) -> None:
    async with node(engine, PATIENT) as runs:
        other = a_life(engine)
        await until(lambda: runs.given_up > 0)
        await looks(runs, 10)
        assert runs.given_up == GIVEN_UP_AT_ONCE, "nobody has taken those"
        with engine.begin() as connection:
            assert len(other.claim(connection).held) == GIVEN_UP_AT_ONCE
        await until(lambda: runs.given_up == 2 * GIVEN_UP_AT_ONCE)


async def test_what_nobody_takes_is_taken_back_and_kept_however_often_the_other_crashes(engine: Engine) -> None:
    times = Impatient(lease_seconds=3600.0, renew_seconds=0.5, look_seconds=0.02)
    async with node(engine, times) as runs:
        a_life(engine)
        await until(lambda: runs.given_up == GIVEN_UP_AT_ONCE)
        await until(lambda: len(runs.shards) == SHARDS)
        for _ in range(3):
            other = a_life(engine)
            await looks(runs, 3)
            with engine.begin() as connection:
                assert not other.claim(connection).held, "there is nothing that it could drop again"
        assert (runs.given_up, len(runs.shards)) == (GIVEN_UP_AT_ONCE, SHARDS)
