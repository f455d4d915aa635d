"""Who looks for shards without an owner is woken when a node leaves, or is declared dead by who saw its end."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url

from shoal.cluster.last_life import LifeFile
from shoal.cluster.node_rows import NodeRows, join
from shoal.config import Settings
from shoal.server.workers import end_worker
from shoal.storage.commit_hints import CommitHints
from shoal.storage.data_directory import LOCK_FILE
from support.databases.postgres_server import Postgres
from support.site.standins import quick_settings

FACTS = {"host": "machine", "address": "", "version": "1", "schema": "1"}


def joined(engine: Engine, name: str) -> NodeRows:
    with engine.connect() as connection, connection.begin():
        rows = join(connection, name, 300_000, FACTS)
    assert rows is not None
    return rows


async def test_a_node_that_leaves_and_a_worker_whose_end_was_seen_wake_the_others(
    postgres: Postgres, tmp_path: Path
) -> None:
    heard, freed = asyncio.Queue[str](), asyncio.Queue[str]()
    with postgres.database(migrated=True) as url:
        engine = create_engine(url)
        hints = CommitHints(make_url(url), lambda: heard.put_nowait("commit"), lambda: freed.put_nowait("freed"))
        hints.start()
        async with asyncio.timeout(60):
            await freed.get()  # it listens
            await heard.get()
            rows = joined(engine, "two")
            with engine.connect() as connection, connection.begin():
                rows.leave(connection)
            await freed.get()

            settings: Settings = quick_settings(data_dir=tmp_path, database_url=url, node="one", workers=2)
            assert not end_worker(settings, "one/1"), "it never lived"
            (tmp_path / LOCK_FILE).touch()
            life = joined(engine, "one/1").life
            LifeFile(tmp_path, "one/1").write(life)
            assert end_worker(settings, "one/1")
            await freed.get()
            assert not end_worker(settings, "one/1"), "it is dead already"
            newer = joined(engine, "one/1").life
            assert not end_worker(settings, "one/1"), "its next life has not been written down, and may live"
        with engine.connect() as connection:
            dead = connection.scalar(text("SELECT dead FROM nodes WHERE name = 'one/1'"))
        assert (newer.inc, dead) == (life.inc + 1, False)
        assert (freed.empty(), heard.empty()) == (True, True)
        await hints.close()
        engine.dispose()
