"""An older backup put in place of the database, as the help says: what left since never leaves again."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from api.test_goods import some_goods
from api.test_order_delivery import got
from api.test_orders import PATH, paid
from benchmarks.processes import clean_environment
from shoal.maintenance.backup.locks import lock_with_passphrase
from shoal.maintenance.backup.making import make_backup
from shoal.maintenance.backup.signing import own_fingerprint
from support.runs.warm_start import ran
from support.servers.doors import Door, open_door

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


async def restored_by_command(data: Path, backup: Path, passphrase: Path, *options: str) -> str:
    environment = clean_environment(SHOAL_DATA_DIR=str(data), LC_ALL="C.UTF-8")
    signer = own_fingerprint(backup.with_name("data"))
    command = ("restore", str(backup), "--yes", "--signed-by", signer, "--passphrase-file", str(passphrase), *options)
    done = await ran(("-m", "shoal", *command), environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
async def test_g12_a_restore_without_the_file_of_units_says_what_the_next_start_switches_off(tmp_path: Path) -> None:
    data, new, passphrase = tmp_path / "data", tmp_path / "new", tmp_path / "passphrase"
    passphrase.write_text("correct horse battery staple")
    goods_id = await before_the_sale(data, tmp_path / "copy.db")
    backup = make_backup(
        data, tmp_path / "b.shoalbackup", lock=lambda key: lock_with_passphrase(key, passphrase.read_text())
    ).path
    assert "units.log" not in await restored_by_command(data, backup, passphrase), "it is where it was"

    said = await restored_by_command(new, backup, passphrase)
    assert "units.log is not in" in said
    assert str(new) in said
    assert "1 product with free units" in said
    shutil.copy(data / "units.log", new / "units.log")
    assert json.loads(await restored_by_command(new, backup, passphrase, "--json"))["goods_to_switch_off"] == 0
    (new / "units.log").unlink()
    assert json.loads(await restored_by_command(new, backup, passphrase, "--json"))["goods_to_switch_off"] == 1
    async with open_door(new) as door:
        assert (await door.call("GET", f"/goods/{goods_id}"))["active"] is False, "as it was told"


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
