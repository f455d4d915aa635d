"""Several nodes on one PostgreSQL database: each shard has one owner at a time, and a stale owner writes nothing."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from shoal.accounts.ownership import SHARDS, Fence, carrying
from shoal.cluster.cluster_ownership import ClusterOwnership
from shoal.cluster.lease_watchdog import LeaseWatchdog, NodeTimes, boot_clock
from shoal.cluster.node_rows import NOW, NodeRows, join
from shoal.cluster.server_lease import ServerLease
from shoal.errors import ConfigError, NotApplied
from shoal.storage.data_directory import LOCK_FILE
from shoal.storage.database import Database
from support.databases.postgres_server import Postgres
from support.site.standins import until

SHORT = NodeTimes(lease_seconds=4.0, renew_seconds=0.5, look_seconds=0.1)
LONG = NodeTimes(lease_seconds=3600.0, renew_seconds=0.5, look_seconds=0.1)
"""No machine is so slow that it runs out."""
FACTS = {"host": "here", "address": "", "version": "", "schema": ""}


@pytest.fixture
def url(postgres: Postgres) -> Iterator[str]:
    with postgres.database(migrated=True) as fresh:
        yield fresh


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = create_engine(url)
    yield engine
    engine.dispose()


class Runs:
    """What one node runs; ``all_runs`` shows whether two ever run the same shard."""

    def __init__(self, everybody: list[Runs]) -> None:
        self.shards: set[int] = set()
        self.lapses = 0
        self._everybody = everybody
        everybody.append(self)

    async def claimed(self, shards: Collection[int]) -> None:
        for other in self._everybody:
            assert other is self or other.shards.isdisjoint(shards), "two nodes run one shard"
        self.shards |= set(shards)

    async def losing(self, shards: Collection[int]) -> None:
        await asyncio.sleep(0.01)
        self.shards -= set(shards)

    async def lost(self, shards: Collection[int]) -> None:
        self.shards -= set(shards)

    def lapsed(self) -> None:
        self.lapses += 1


@asynccontextmanager
async def node(name: str, url: str, everybody: list[Runs], times: NodeTimes = LONG) -> AsyncIterator[ClusterOwnership]:
    """A node as the server opens it, with nothing but its shards."""
    ownership = ClusterOwnership(name, times, end=lambda: None)
    try:
        async with Database(url=url, guard=ownership.take):
            ownership.start()
            ownership.keep(Runs(everybody))
            yield ownership
            await ownership.hold_still()
            everybody[-1].shards.clear()
    finally:
        await ownership.close()


async def test_shards_move_to_a_node_that_joins_and_back_when_it_leaves_and_are_never_run_twice(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    everybody: list[Runs] = []
    async with node("a", url, everybody) as first:
        await until(lambda: len(first.shards) == SHARDS)
        before, give_up, fails = dict(first._mine), NodeRows.give_up, [SQLAlchemyError("gone")]

        def failing(*given: Any) -> None:
            if fails and given[-1]:  # the shards that leave
                raise fails.pop()
            give_up(*given)

        monkeypatch.setattr(NodeRows, "give_up", failing)
        async with node("b", url, everybody) as second:
            await until(lambda: len(first.shards) == len(second.shards) == SHARDS // 2)
            assert first.shards.isdisjoint(second.shards)
            given, looks = second.shards, list[str]()

            async def look() -> None:
                looks.append("a look")

            await second.hold_still()
            monkeypatch.setattr(second, "_look", look)
            second.look_now()
            await until(lambda: not second._look_soon.is_set())
            assert looks == [], "a node that ends claims nothing"
        await until(lambda: len(first.shards) == SHARDS)
        assert all(first._mine[shard] > before[shard] for shard in given), (
            "each change of hands has an epoch of its own"
        )


async def test_the_shards_of_a_node_that_stands_still_are_claimed_after_its_deadline(url: str) -> None:
    everybody: list[Runs] = []
    async with node("a", url, everybody) as first:
        await until(lambda: len(first.shards) == SHARDS)
        async with node("b", url, everybody) as second:
            await until(lambda: len(second.shards) == SHARDS // 2)
            first._times = SHORT  # only its last lease is short: no machine is so slow that an earlier one runs out
            await until(lambda: first._deadline < boot_clock() + SHORT.lease_seconds)
            for task in first._keeping:  # it stands still
                task.cancel()
            stale = [Fence(shard, epoch) for shard, epoch in first._mine.items()]
            shards = first.shards
            everybody[0].shards.clear()
            await until(lambda: len(second.shards) == SHARDS)
            assert boot_clock() > first._deadline, "it stopped before another began"
            assert not any(first.owns_shard(shard) for shard in shards)
            async with Database(url=url) as database:
                with carrying(stale[:3]), pytest.raises(NotApplied) as caught:
                    await database.write(lambda connection: connection.execute(text("SELECT 1")).scalar())
                assert caught.value.code == "not_owner"


async def test_a_stale_owner_writes_nothing_and_holds_up_nobody_in_its_group(url: str) -> None:
    everybody: list[Runs] = []
    row = text("INSERT INTO store_meta (key, value) VALUES (:key, 'x')")

    def put(key: str, database: Database, *fences: Fence) -> asyncio.Task[int]:
        async def write() -> int:
            with carrying(fences):
                return await database.write(lambda connection: connection.execute(row, {"key": key}).rowcount)

        return asyncio.create_task(write())

    async with node("a", url, everybody) as owner, Database(url=url) as database:
        await until(lambda: len(owner.shards) == SHARDS)
        mine = owner.fence("shop")
        assert mine is not None
        stale = Fence(mine.shard, mine.epoch - 1)
        answers = await asyncio.gather(
            put("mine", database, mine),
            put("stale", database, stale),
            put("both", database, mine, stale),
            put("nobody's", database),
            return_exceptions=True,
        )
        assert [answer if isinstance(answer, int) else getattr(answer, "code", answer) for answer in answers] == [
            1, "not_owner", "not_owner", 1,
        ]  # fmt: skip
        assert await database.fact("stale") is None
        assert await database.fact("mine") == "x"


def end_lease_in(connection: Connection, name: str, milliseconds: int) -> None:
    """Let the stored lease of a node end so much later than now."""
    ends = text(f"UPDATE nodes SET expires_at_ms = {NOW} + :left WHERE name = :name")  # noqa: S608
    assert connection.execute(ends, {"left": milliseconds, "name": name}).rowcount == 1


def test_a_node_whose_renewal_is_in_flight_is_not_declared_dead(engine: Engine) -> None:
    with engine.begin() as connection:
        slow, other = (join(connection, name, 3_600_000, FACTS) for name in ("slow", "other"))
    assert slow is not None
    assert other is not None
    with engine.begin() as connection:
        assert len(slow.claim(connection).held) == SHARDS // 2
    shares: list[int] = []

    def claim() -> None:
        with engine.begin() as connection:
            shares.append(len(other.claim(connection).held))

    with engine.connect() as connection:
        while True:  # on a slow machine the short lease may run out before it is renewed
            with connection.begin():
                end_lease_in(connection, "slow", 700)
            renewing = connection.begin()
            if slow.renew(connection, 3_600_000):
                break
            renewing.rollback()
        time.sleep(1.0)  # the stored lease has run out, and the renewal is not committed
        claiming = threading.Thread(target=claim)
        claiming.start()
        claiming.join(0.5)
        assert claiming.is_alive(), "it waits for the renewal"
        renewing.commit()
    claiming.join(60)
    assert shares == [SHARDS // 2], "its own half, and nothing of the one that renewed"
    with engine.begin() as connection:
        assert len(slow.claim(connection).held) == SHARDS // 2


def test_a_shard_that_a_transaction_of_its_dead_owner_holds_is_claimed_once_that_has_ended(engine: Engine) -> None:
    def begun(name: str) -> NodeRows:
        with engine.begin() as connection:
            rows = join(connection, name, 3_600_000, FACTS)
            assert rows is not None
            return rows

    dead = begun("dead")
    with engine.begin() as connection:
        assert len(dead.claim(connection).held) == SHARDS
    heir = begun("heir")

    def held(connection: Connection) -> int:
        return len(heir.claim(connection).held)

    with engine.connect() as standing, standing.begin():
        standing.execute(text("SELECT 1 FROM shards WHERE shard < 10 FOR SHARE"))
        with engine.begin() as connection:
            end_lease_in(connection, "dead", -1)
        with engine.begin() as connection:
            assert held(connection) == SHARDS - 10
    with engine.begin() as connection:
        assert held(connection) == SHARDS
        assert dead.renew(connection, 1000) is None


async def test_neither_a_single_server_nor_a_node_starts_beside_the_other_nor_two_of_one_name(
    tmp_path: Path, url: str
) -> None:
    everybody: list[Runs] = []
    lease = ServerLease(tmp_path / LOCK_FILE)
    async with node("a", url, everybody):
        with pytest.raises(ConfigError, match=r"other servers share this database now \(a\)"):
            await Database(tmp_path, url=url, guard=lease.take).open()
        await lease.close()
        with pytest.raises(ConfigError, match="a server called a shares this database already"):
            async with node("a", url, everybody):
                pass
    lease = ServerLease(tmp_path / LOCK_FILE)
    async with Database(tmp_path, url=url, guard=lease.take):
        pass  # it is killed: the lease stays
    with pytest.raises(ConfigError, match="a single server serves this database"):
        async with node("a", url, everybody):
            pass
    heir = ClusterOwnership("a", LONG, end=lambda: None, data_dir=tmp_path)  # on the same directory it has ended
    async with Database(tmp_path, url=url, guard=heir.take):
        assert heir.life is not None
    await heir.close()
    await lease.close()


async def test_a_node_that_was_declared_dead_joins_again_with_nothing_and_claims_anew(url: str) -> None:
    everybody: list[Runs] = []
    async with node("a", url, everybody) as one, Database(url=url) as database:
        await until(lambda: len(one.shards) == SHARDS)
        before = one.fence("shop")
        kill = text("UPDATE nodes SET dead = true WHERE name = 'a'")
        await database.write(lambda connection: connection.execute(kill).rowcount)
        await until(lambda: one.owns("shop") and one.fence("shop") != before)
        assert everybody[0].lapses >= 2, "its accounts were ended, and may act again"


def test_a_process_whose_loop_stands_still_beyond_its_lease_is_ended_and_no_other() -> None:
    ended = threading.Event()
    deadline = boot_clock() + 0.2
    stuck = LeaseWatchdog(lambda: deadline, grace_seconds=0.5, end=ended.set)
    stuck.start()
    lives = LeaseWatchdog(lambda: deadline, grace_seconds=0.5, end=lambda: pytest.fail("it lives"))
    lives.start()
    while not ended.wait(0.05):
        lives.alive()
    for watchdog in (stuck, lives):
        watchdog.close()


async def test_a_node_that_is_refused_at_its_first_start_is_not_listed_among_those_that_left(url: str) -> None:
    everybody: list[Runs] = []

    async def refused(name: str) -> None:
        """It joins, and ends before it claims, as with a key that cannot open what is stored."""
        ownership = ClusterOwnership(name, LONG, end=lambda: None)
        try:
            async with Database(url=url, guard=ownership.take):
                ownership.start()
        finally:
            await ownership.close()

    await refused("new")
    async with node("known", url, everybody):
        pass
    await refused("known")
    async with Database(url=url) as database:
        names = text("SELECT name FROM nodes WHERE dead")
        assert await database.read(lambda connection: list(connection.scalars(names))) == ["known"]
