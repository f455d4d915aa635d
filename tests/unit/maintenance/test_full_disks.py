"""Backups and restores on disks without room: which disk is named, and what was there is as it was."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from shoal.config import Settings
from shoal.errors import ConfigError
from shoal.maintenance.backup.locks import PRIVATE, PUBLIC, lock_to_key, new_key_pair, read_key
from shoal.maintenance.backup.making import Made, Secret, check_whole, make_backup, opened
from shoal.maintenance.backup.place import Place
from shoal.maintenance.backup.restoring import restore_backup
from shoal.maintenance.backup.schedule import BackupSchedule
from shoal.storage.database import Database
from shoal.storage.db_manager import open_vault
from shoal.storage.notice_tables import incidents
from support.databases.small_disks import mount_again, small_disk
from support.runs.quick_start import blank_database

PRIVATE_KEY, PUBLIC_KEY = new_key_pair()
OPENS = Secret(private_key=read_key(PRIVATE_KEY, PRIVATE))
NOTE = "note"
Disk = Callable[[int], Path]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """Mounts a disk with so many bytes."""
    with ExitStack() as mounted:
        yield lambda size: mounted.enter_context(small_disk(tmp_path / f"disk-{size}", str(size)))


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    """A database with something that no compression makes small."""
    await blank_database(tmp_path / "data")
    await noted(tmp_path / "data", secrets.token_hex(150_000))
    return tmp_path / "data"


async def noted(data: Path, value: str) -> None:
    async with Database(data) as database:
        await open_vault(database, data / "secret.key")
        await database.replace_fact(NOTE, value)


async def note_in(data: Path) -> str | None:
    async with Database(data) as database:
        assert await database.read(lambda connection: connection.scalar(text("PRAGMA integrity_check"))) == "ok"
        return await database.fact(NOTE)


def size_of(data: Path) -> int:
    return (data / "shoal.db").stat().st_size


def made(data: Path, target: Path, scratch: Path | None = None) -> Made:
    lock = lambda file_key: lock_to_key(file_key, read_key(PUBLIC_KEY, PUBLIC))  # noqa: E731
    return make_backup(data, target, lock=lock, scratch=scratch)


async def test_a_full_target_is_named_and_keeps_no_part_of_a_backup(data: Path, disk: Disk) -> None:
    full = disk(100_000)
    with pytest.raises(ConfigError, match=f"no backup was made: the disk of {full} is full") as refused:
        made(data, full)
    assert refused.value.code == "backup_not_written"
    assert list(full.iterdir()) == []
    mount_again(full, "size=9m")
    assert made(data, full).path.parent == full


@pytest.mark.slow
async def test_a_full_scratch_disk_is_named_and_no_unchecked_backup_stays(
    data: Path, disk: Disk, tmp_path: Path
) -> None:
    full, target = disk(size_of(data) // 2), tmp_path / "backups"
    target.mkdir()
    with pytest.raises(ConfigError, match=f"no backup was made: .*the disk of {full} .* --scratch") as refused:
        made(data, target, full)
    assert refused.value.code == "no_scratch"
    assert list(target.iterdir()) == []
    one = made(data, target)
    with opened(one.path) as sealed:
        file_key = OPENS.file_key(sealed.header)
    with pytest.raises(ConfigError, match=f"could not be checked: the disk of {full} .* --scratch"):
        check_whole(one.path, file_key, scratch=full)
    assert list(full.iterdir()) == []
    assert check_whole(one.path, file_key).rows == one.rows, "it is the disk, and not the backup"


@pytest.mark.slow
async def test_a_restore_without_room_changes_nothing_and_the_old_database_still_opens(
    data: Path, disk: Disk, tmp_path: Path
) -> None:
    one = made(data, tmp_path / "one")
    full = disk(size_of(data) * 8 // 5)
    shutil.copytree(data, full / "data")
    await noted(full / "data", "later")
    before = sorted((full / "data").iterdir())
    with pytest.raises(ConfigError, match=f"nothing was restored, .* the disk of {full / 'data'} is full") as refused:
        await asyncio.to_thread(restore_backup, one.path, Place(data_dir=full / "data"), OPENS)
    assert refused.value.code == "not_restored"
    assert sorted((full / "data").iterdir()) == before
    assert await note_in(full / "data") == "later"
    mount_again(full, f"size={size_of(data) * 4}")
    done = await asyncio.to_thread(restore_backup, one.path, Place(data_dir=full / "data"), OPENS)
    assert await note_in(full / "data") == await note_in(data)
    assert (full / "data" / done.kept).stat().st_size


@pytest.mark.slow
async def test_a_scheduled_backup_leaves_the_server_its_room_and_tells(data: Path, disk: Disk, tmp_path: Path) -> None:
    place = disk(60 << 20)
    shutil.copytree(data, place / "data")
    chosen: dict[str, Any] = {"data_dir": place / "data", "backup_dir": tmp_path / "backups", "backup_key": PUBLIC_KEY}
    (tmp_path / "backups").mkdir()
    async with Database(place / "data") as database:
        schedule = BackupSchedule(database, Settings(**chosen))
        failed = await schedule.make_now()
        assert (failed.code, failed.at_ms) == ("no_scratch", 0)
        assert f"the disk of {place / 'data'}" in failed.why
        assert list((tmp_path / "backups").iterdir()) == []
        assert not list((place / "data").glob(".shoal-*"))
        await database.replace_fact(NOTE, "changes go on")
        opened_at = select(incidents.c.closed_at_ms).where(incidents.c.kind == "backup_failed")
        assert await database.read(lambda connection: connection.scalars(opened_at).all()) == [None]
        mount_again(place, "size=200m")
        assert (await schedule.make_now()).path
