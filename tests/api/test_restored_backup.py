"""An older backup put in place of the database, as the help says: what left since never leaves again."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from api.test_goods import some_goods
from api.test_order_delivery import got
from api.test_orders import PATH, paid
from doors import Door, open_door

CODES = [f"CODE-000{number}" for number in range(4)]


async def sold(door: Door) -> int:
    """Goods whose first unit went to an order, as the sending notes it."""
    (one,) = (await door.call("GET", "/goods"))["items"]
    goods_id = int(one["id"])
    await paid(door)
    await got(door, goods_id, begun=False)
    await door.server.message_log.outbox.sealed.before_leaving()
    return goods_id


def backed_up(data: Path, to: Path) -> None:
    """Copy the database as the help says."""
    with closing(sqlite3.connect(data / "shoal.db")) as source, closing(sqlite3.connect(to)) as copy:
        source.backup(copy)


async def counts(door: Door, goods_id: int) -> dict[str, int]:
    units = (await door.call("GET", f"/goods/{goods_id}"))["units"]
    return {state: count for state, count in units.items() if count}


async def before_the_sale(data: Path, backup: Path) -> int:
    async with open_door(data) as door:
        await door.add()
        goods_id = await some_goods(door)
        await door.call("POST", f"/goods/{goods_id}/units", json={"lines": CODES})
        backed_up(data, backup)
        await sold(door)
        assert await counts(door, goods_id) == {"free": 3, "out": 1}
    return goods_id


async def test_a_backup_in_the_same_directory_doubts_the_units_that_left(tmp_path: Path) -> None:
    data, backup = tmp_path / "data", tmp_path / "backup.db"
    goods_id = await before_the_sale(data, backup)
    for old in data.glob("shoal.db*"):
        old.unlink()
    shutil.copy(backup, data / "shoal.db")
    async with open_door(data) as door:
        assert await counts(door, goods_id) == {"free": 3, "doubted": 1}
        assert (await door.call("GET", f"/goods/{goods_id}"))["active"] is True
        await paid(door)
        (unit,) = (await door.call("GET", PATH))["delivery"]["units"]
        assert (unit["state"], unit["masked"]) == ("doubted", "CO…00")
        (note, *_) = (await door.call("GET", f"/goods/{goods_id}/history"))["items"]
        assert (note["what"], note["reason"], note["actor"]) == ("doubted", "restored", "server")


async def test_a_backup_in_a_new_directory_switches_goods_off_until_their_owner_has_looked(tmp_path: Path) -> None:
    data, backup, new = tmp_path / "data", tmp_path / "backup.db", tmp_path / "new"
    goods_id = await before_the_sale(data, backup)
    new.mkdir(mode=0o700)
    shutil.copy(backup, new / "shoal.db")
    shutil.copy(data / "secret.key", new / "secret.key")
    async with open_door(new) as door:
        assert (await door.call("GET", f"/goods/{goods_id}"))["active"] is False
        await door.call("PATCH", f"/goods/{goods_id}", json={"active": True})
    async with open_door(new) as door:
        assert (await door.call("GET", f"/goods/{goods_id}"))["active"] is True


async def test_a_backup_in_a_new_directory_with_the_file_of_units_is_as_good(tmp_path: Path) -> None:
    data, backup, new = tmp_path / "data", tmp_path / "backup.db", tmp_path / "new"
    goods_id = await before_the_sale(data, backup)
    new.mkdir(mode=0o700)
    shutil.copy(backup, new / "shoal.db")
    for name in ("secret.key", "units.log"):
        shutil.copy(data / name, new / name)
    async with open_door(new) as door:
        assert await counts(door, goods_id) == {"free": 3, "doubted": 1}
        assert (await door.call("GET", f"/goods/{goods_id}"))["active"] is True
