"""Work that several servers could do is done by one of them at a time: the daily backup."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from shoal.cluster.cluster_ownership import ClusterOwnership
from shoal.cluster.lease_watchdog import NodeTimes
from shoal.cluster.turns import Turn
from shoal.maintenance.backup.locks import new_key_pair
from shoal.maintenance.backup.schedule import BackupSchedule
from shoal.storage.database import Database
from shoal.storage.db_manager import open_vault
from support.servers.door_pairs import open_door_pair
from support.servers.doors import open_door
from support.site.standins import quick_settings

LONG = NodeTimes(lease_seconds=3600.0, renew_seconds=0.5, look_seconds=0.1)


@asynccontextmanager
async def node(name: str, url: str) -> AsyncIterator[tuple[Database, ClusterOwnership]]:
    ownership = ClusterOwnership(name, LONG, end=lambda: None)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(ownership.close)
        database = await stack.enter_async_context(Database(url=url, guard=ownership.take))
        ownership.start()
        yield database, ownership


async def test_a_turn_is_taken_by_one_and_free_again_after_the_block_and_after_a_death(url: str) -> None:
    async with AsyncExitStack() as stack:
        mine = Turn(*await stack.enter_async_context(node("a", url)), "work")
        async with node("b", url) as parts, mine.taken() as is_mine:
            other = Turn(*parts, "work")
            assert is_mine
            async with other.taken() as is_theirs, Turn(*parts, "other work").taken() as is_free:
                assert (is_theirs, is_free) == (False, True)
        async with AsyncExitStack() as dying:
            parts = await dying.enter_async_context(node("b", url))
            held = Turn(*parts, "work").taken()
            assert await held.__aenter__()
            async with mine.taken() as is_mine:
                assert not is_mine
        async with mine.taken() as is_mine:
            assert is_mine, "who held it is dead"


@pytest.mark.slow
async def test_servers_that_are_all_set_up_for_backups_make_one(tmp_path: Path, url: str) -> None:
    _, public_key = new_key_pair()
    backups = tmp_path / "backups"
    backups.mkdir()

    def schedule(database: Database, ownership: ClusterOwnership) -> BackupSchedule:
        settings = quick_settings(
            data_dir=tmp_path / "data", database_url=url, backup_dir=backups, backup_key=public_key,
            secret_key="5a" * 32,
        )  # fmt: skip
        return BackupSchedule(database, settings, turn=Turn(database, ownership, "backup"))

    (tmp_path / "data").mkdir()
    async with node("a", url) as one, node("b", url) as two:
        await open_vault(one[0], tmp_path / "data" / "secret.key", "5a" * 32, several_nodes=True)
        schedules = [schedule(*parts) for parts in (one, two)]
        async with Turn(*two, "backup").taken():
            await schedules[0]._make_in_turn()
            assert list(backups.iterdir()) == [], "the other one makes it"
        await asyncio.gather(*(each._make_in_turn() for each in schedules))
        last = await schedules[0].last()
        assert (last.code, last.why) == ("", "")
        await asyncio.gather(*(each._make_in_turn() for each in schedules))
        assert [one.name for one in backups.iterdir()] == [Path(last.path).name], "it was not due again"


@pytest.mark.slow
async def test_a_server_among_others_asks_whose_turn_the_backup_is_and_a_single_one_does_not(
    tmp_path: Path, url: str
) -> None:
    async with open_door_pair(tmp_path, url) as pair, open_door(tmp_path / "single") as single:
        async with AsyncExitStack() as stack:
            turns = [door.server.backups._turn_of_all for door in (pair.owner, pair.other)]
            taken = [await stack.enter_async_context(turn.taken()) for turn in turns if turn is not None]
        assert taken == [True, False]
        assert single.server.backups._turn_of_all is None
