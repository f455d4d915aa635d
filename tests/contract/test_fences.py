"""The fence of an owner's writes, between two real transactions of one PostgreSQL (G17)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, create_engine, text

from shoal.accounts.ownership import SHARDS, Fence
from shoal.cluster.node_rows import NodeRows, join
from shoal.errors import NotApplied
from shoal.storage.group_work import hold_fences
from support.databases.postgres_server import Postgres

LONG_MS = 3_600_000
FACTS = {"host": "here", "address": "", "version": "", "schema": ""}
WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")


@pytest.fixture
def engine(postgres: Postgres) -> Iterator[Engine]:
    with postgres.database(migrated=True) as url:
        engine = create_engine(url)
        yield engine
        engine.dispose()


@pytest.fixture
def fences(engine: Engine) -> list[Fence]:
    """The shards that a node holds that has just ended, with their epochs."""
    with engine.begin() as connection:
        ended = joined(connection, "ended")
        held = ended.claim(connection).held
        ended.leave(connection)
    assert len(held) == SHARDS
    return [Fence(shard, epoch) for shard, epoch in sorted(held.items())]


def joined(connection: Connection, name: str) -> NodeRows:
    node = join(connection, name, LONG_MS, FACTS)
    assert node is not None
    return node


def test_g17_what_a_fence_holds_is_claimed_by_nobody_before_its_transaction_ends(
    engine: Engine, fences: list[Fence]
) -> None:
    kept = fences[3:5]
    with engine.begin() as connection:
        other = joined(connection, "other")
    with engine.connect() as writing, writing.begin():
        hold_fences(writing, kept)
        with engine.begin() as connection:
            claimed = other.claim(connection).held
        assert claimed.keys() == {fence.shard for fence in fences} - {fence.shard for fence in kept}
        with engine.connect() as second, second.begin():
            second.execute(text("SET LOCAL lock_timeout = '60s'"))
            hold_fences(second, kept)  # another write of the same owner waits for nobody
    with engine.begin() as connection:
        claimed = other.claim(connection).held
    assert [claimed[fence.shard] for fence in kept] == [fence.epoch + 1 for fence in kept]
    with engine.begin() as connection, pytest.raises(NotApplied) as refused:
        hold_fences(connection, kept[:1])
    assert refused.value.code == "not_owner"


def test_g17_a_fence_waits_for_a_claim_in_flight_and_is_refused_after_it(engine: Engine, fences: list[Fence]) -> None:
    with engine.begin() as connection:
        other = joined(connection, "other")
    outcome: list[object] = []

    def write() -> None:
        try:
            with engine.begin() as connection:
                hold_fences(connection, fences[:1])
                outcome.append("written")
        except NotApplied as error:
            outcome.append(error.code)

    writer = threading.Thread(target=write)
    with engine.connect() as claiming:
        with claiming.begin():
            other.claim(claiming)
            writer.start()
            with engine.connect() as looking:
                while not outcome and not looking.scalar(WAITING):
                    looking.rollback()  # what it sees is of one moment
                    time.sleep(0.01)
            assert outcome == [], "it wrote beside a claim of its shard"
        writer.join()
    assert outcome == ["not_owner"]
