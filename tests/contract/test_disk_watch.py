"""Each of several servers notes its own disk, under its own name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from shoal.language.choice import Language
from shoal.notices.disk_watch import DISK_EVERY_MS, DiskWatch
from shoal.notices.incident_texts import part_title
from shoal.notices.machine_incidents import close_of_gone_servers
from shoal.notices.notice_rows import NoticePart
from shoal.notices.plans import Phase
from shoal.storage.database import Database
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.node_tables import nodes
from shoal.storage.notice_tables import incidents
from support.databases.postgres_server import Postgres
from support.databases.store_steps import Clock
from support.servers.doors import open_door
from support.site.standins import until_told


async def noted(database: Database) -> dict[str, bool]:
    """The subjects that were noted, and whether their disk is low."""
    query = select(incidents.c.subject, incidents.c.closed_at_ms).order_by(incidents.c.id)
    return {
        row.subject: row.closed_at_ms is None
        for row in await database.read(lambda connection: connection.execute(query).all())
    }


async def test_the_room_of_one_server_ends_nothing_of_another(database: Database, clock: Clock) -> None:
    free = {"one": 0.04, "two/1": 0.03}

    def watch(server: str, name: str) -> DiskWatch:
        return DiskWatch(database, Path(name), server=server, now_ms=clock, free=lambda place: free[str(place)])

    watches = [watch("one", "one"), watch("two", "two/1")]
    for one in watches:
        await one.look()
    assert await noted(database) == {"server:one": True, "server:two": True}
    free["one"], clock.now = 0.5, clock.now + DISK_EVERY_MS
    for one in watches:
        await one.look()
    assert await noted(database) == {"server:one": False, "server:two": True}
    values = {
        "name": "two/1", "inc": 1, "expires_at_ms": 1, "host": "", "address": "", "version": "", "schema": "",
        "started_at_ms": 1,
    }  # fmt: skip
    await database.write(lambda connection: connection.execute(insert(nodes).values(values)).rowcount)
    assert await database.write(lambda connection: close_of_gone_servers(connection, clock.now)) == 0
    await database.write(lambda connection: connection.execute(nodes.delete()).rowcount)
    assert await database.write(lambda connection: close_of_gone_servers(connection, clock.now)) == 1
    assert await noted(database) == {"server:one": False, "server:two": False}


@pytest.mark.parametrize(
    ("phase", "title"),
    [(Phase.BEGIN, "Server two: less than 5% of the disk is free"), (Phase.END, "Server two: the disk has room again")],
)
def test_the_server_is_named(phase: Phase, title: str) -> None:
    told = NoticePart(
        kind=IncidentKind.DISK_LOW, detail="", facts={"server": "two"}, account_id=None, shop="", phase=phase,
        opened_at_ms=1, closed_at_ms=None, count=1,
    )  # fmt: skip
    assert part_title(told, Language.EN) == title


async def test_a_server_whose_notices_another_may_send_watches_its_own_disk(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.notices.disk_watch.free_part", lambda _: 0.01)
    settings: dict[str, Any] = {"node": "a", "secret_key": "5a" * 32, "node_lease_seconds": 300.0}
    with postgres.database(migrated=True) as url:
        async with open_door(tmp_path, database_url=url, **settings) as door:

            async def titles() -> list[str]:
                return [one["detail"] for one in (await door.call("GET", "/incidents"))["items"]]

            await until_told(titles, ["服务器 a：磁盘剩余空间不足 5%"])
