"""Imports on several servers: one runs at a time, and a server that starts stops none that another one runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import insert, select

from shoal.cluster.cluster_ownership import ClusterOwnership
from shoal.cluster.lease_watchdog import NodeTimes
from shoal.cluster.turns import Turn
from shoal.errors import Conflict
from shoal.maintenance.moving.moving import Moving
from shoal.maintenance.moving.run_store import RunStore
from shoal.storage.database import Database
from shoal.storage.moving_tables import import_runs
from shoal.storage.vault import Vault
from support.databases.postgres_server import Postgres
from support.databases.store_steps import add_user

LONG = NodeTimes(lease_seconds=3600.0, renew_seconds=0.5, look_seconds=0.1)


@pytest.fixture
def url(postgres: Postgres) -> Iterator[str]:
    with postgres.database(migrated=True) as fresh:
        add_user(fresh, 1)
        yield fresh


@asynccontextmanager
async def importing(name: str, url: str) -> AsyncIterator[tuple[Database, Turn, Moving]]:
    """A server with its imports, as it begins."""
    ownership = ClusterOwnership(name, LONG, end=lambda: None)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(ownership.close)
        database = await stack.enter_async_context(Database(url=url, guard=ownership.take))
        ownership.start()
        turn = Turn(database, ownership, "import")
        tools: Any = SimpleNamespace(runs=RunStore(database, Vault([b"k" * 32])))
        moving = Moving(tools, shops_per_owner=0, turn=turn)
        await moving.open()
        yield database, turn, moving


async def test_a_run_goes_on_when_another_server_starts_and_is_marked_after_its_server_has_died(url: str) -> None:
    running = insert(import_runs).values(
        user_id=1, source="xianyu-auto-reply", version="", file_name="", state="running", total=1, counts="{}",
        was_on="[]", created_at_ms=1,
    )  # fmt: skip

    async def states(database: Database) -> list[str]:
        return list(await database.read(lambda connection: connection.scalars(select(import_runs.c.state)).all()))

    plan: Any = None
    me: Any = SimpleNamespace(id=1)
    async with AsyncExitStack() as dying:
        database, turn, _ = await dying.enter_async_context(importing("a", url))
        held = turn.taken()  # it dies in the middle of it
        assert await held.__aenter__()
        await database.write(lambda connection: connection.execute(running).rowcount)
        async with importing("b", url) as (there, _, other):
            assert await states(there) == ["running"]
            with pytest.raises(Conflict, match="another server runs an import"):
                await other.begin(plan, me)
    async with importing("b", url) as (there, _, _):
        assert await states(there) == ["stopped"]
