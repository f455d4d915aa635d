"""Daily backups: when one is due, which are kept, what a failure tells; made by the real process."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from shoal.clock import machine_ms, now_ms, present_clock
from shoal.config import Settings
from shoal.errors import ConfigError
from shoal.maintenance.backup.keeping import Keep, kept_until, superfluous
from shoal.maintenance.backup.locks import PRIVATE, new_key_pair, read_key
from shoal.maintenance.backup.making import Secret, check_whole, opened
from shoal.maintenance.backup.schedule import BackupSchedule, Last
from shoal.storage.database import Database
from shoal.storage.db_manager import open_vault
from shoal.storage.notice_tables import incidents
from support.databases.store_steps import Clock

PRIVATE_KEY, PUBLIC_KEY = new_key_pair()
DAY = timedelta(days=1)


def settings(tmp_path: Path, **named: object) -> Settings:
    chosen = {"data_dir": tmp_path / "data", "backup_dir": tmp_path / "backups", "backup_key": PUBLIC_KEY, **named}
    return Settings(**chosen)  # type: ignore[arg-type]  # each of its own type


def ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def test_the_newest_of_each_day_week_and_month_is_kept_and_nothing_else() -> None:
    noon = datetime(2026, 11, 28, 12, tzinfo=UTC)
    times = [ms(noon - number * DAY / 2) for number in range(2 * 400)]
    kept = set(times) - superfluous(times, Keep(days=7, weeks=4, months=6))
    days = {datetime.fromtimestamp(at_ms / 1000, UTC) for at_ms in kept}
    assert {noon - number * DAY for number in range(7)} <= days
    assert len({day.strftime("%G-%V") for day in days}) >= 4
    assert len({day.strftime("%Y-%m") for day in days}) == 6
    assert len(days) <= 7 + 4 + 6
    assert superfluous([times[-1]], Keep(days=1, weeks=0, months=0)) == set(), "the only one is kept, however old"
    assert superfluous([], Keep(days=1, weeks=0, months=0)) == set()


@pytest.mark.parametrize("keep", [(7, 4, 6), (1, 0, 0), (3, 2, 0), (2, 0, 3)])
def test_how_long_each_is_kept_is_told_as_it_then_happens(keep: tuple[int, int, int]) -> None:
    rule = Keep(days=keep[0], weeks=keep[1], months=keep[2])
    noon = datetime(2026, 11, 28, 12, tzinfo=UTC)
    there = [ms(noon - number * DAY - hours * DAY / 24) for number in range(90) for hours in (0, 5)]
    told, deleted = kept_until(there, rule, ms(noon + DAY)), dict[int, int]()
    left = list(there)
    for number in range(1, 400):
        left.append(ms(noon + number * DAY))
        for at_ms in superfluous(left, rule):
            left.remove(at_ms)
            deleted[at_ms] = ms(noon + number * DAY)
    assert told == {at_ms: deleted[at_ms] for at_ms in there}
    assert kept_until([], rule, ms(noon)) == {}


async def test_one_is_due_at_its_hour_after_the_last_and_soon_after_a_failure(tmp_path: Path) -> None:
    schedule = BackupSchedule(Database(tmp_path), settings(tmp_path, backup_hour=4))
    made = datetime(2026, 11, 27, 20, 30).astimezone()
    due = datetime.fromtimestamp(schedule.due_at_ms(Last(at_ms=ms(made))) / 1000).astimezone()
    assert (due.day, due.hour, due.minute) == (28, 4, 0)
    early = datetime(2026, 11, 27, 3, 59).astimezone()
    assert datetime.fromtimestamp(schedule.due_at_ms(Last(at_ms=ms(early))) / 1000).astimezone().day == 27
    assert schedule.due_at_ms(Last()) == 0, "the first at once"
    assert schedule.due_at_ms(Last(at_ms=ms(made), failed_at_ms=ms(made))) == ms(made) + 3_600_000


async def test_g22_what_a_clock_that_was_ahead_made_puts_no_backup_off(tmp_path: Path) -> None:
    schedule = BackupSchedule(Database(tmp_path), settings(tmp_path))
    ahead = now_ms() + 400 * 86_400_000
    for last in (Last(at_ms=ahead), Last(failed_at_ms=ahead), Last(at_ms=now_ms(), failed_at_ms=ahead)):
        assert schedule.due_at_ms(last) == 0


@pytest.mark.slow
async def test_g22_no_backup_is_deleted_while_the_clock_may_be_wrong(tmp_path: Path) -> None:
    directory = tmp_path / "backups"
    directory.mkdir()
    async with Database(tmp_path / "data") as database:
        await open_vault(database, tmp_path / "data" / "secret.key")
        chosen = settings(tmp_path, backup_keep_days=1, backup_keep_weeks=0, backup_keep_months=0)
        ahead = BackupSchedule(database, chosen, now_ms=lambda: machine_ms() + 400 * 86_400_000)
        present_clock().note_stored(machine_ms() - 400 * 86_400_000)
        dated_ahead = [Path((await ahead.make_now()).path)]
        old = directory / f"shoal-{dated_ahead[0].name.split('-')[1]}-20250101-040000.shoalbackup"
        old.write_bytes(b"old")
        dated_ahead.append(Path((await ahead.make_now()).path))
        assert set(directory.iterdir()) == {old, *dated_ahead}
        present_clock().note_site(machine_ms())
        right = await BackupSchedule(database, chosen).make_now()
        assert set(directory.iterdir()) == {*dated_ahead, Path(right.path)}, "which are not newer, whatever they say"
        assert (await ahead.last()).at_ms == right.at_ms, "the next one is due after this one"


@pytest.mark.slow
async def test_a_backup_is_made_beside_the_server_and_a_failure_is_told_until_one_goes_well(tmp_path: Path) -> None:
    async with Database(tmp_path / "data") as database:
        await open_vault(database, tmp_path / "data" / "secret.key")
        clock = Clock()
        (tmp_path / "backups").write_text("in the way")
        schedule = BackupSchedule(database, settings(tmp_path), now_ms=clock, look_seconds=0.01)
        failed = await schedule.make_now()
        assert (failed.code, failed.failed_at_ms, failed.at_ms) == ("backup_dir_missing", clock.now, 0)
        opened_incidents = select(incidents.c.closed_at_ms).where(incidents.c.kind == "backup_failed")
        assert await database.read(lambda connection: connection.scalars(opened_incidents).all()) == [None]

        (tmp_path / "backups").unlink()
        (tmp_path / "backups").mkdir()
        left = tmp_path / "data" / ".shoal-left"
        left.mkdir()
        clock.now += 3_600_001
        schedule.start()
        try:
            async with asyncio.timeout(60):
                while not (last := await schedule.last()).at_ms:
                    await asyncio.sleep(0.05)
        finally:
            await schedule.close()
        path = Path(last.path)
        with opened(path) as sealed:
            key = Secret(private_key=read_key(PRIVATE_KEY, PRIVATE)).file_key(sealed.header)
        assert check_whole(path, key).rows == last.rows
        assert [one.name for one in (tmp_path / "backups").iterdir()] == [path.name]
        assert not left.exists()
        assert last.failed_at_ms == 0
        assert None not in await database.read(lambda connection: connection.scalars(opened_incidents).all())


@pytest.mark.slow
async def test_g12_a_directory_that_is_missing_or_lost_its_disk_is_told_and_never_made(tmp_path: Path) -> None:
    directory = tmp_path / "backups"
    async with Database(tmp_path / "data") as database:
        await open_vault(database, tmp_path / "data" / "secret.key")
        schedule = BackupSchedule(database, settings(tmp_path))
        open_now = select(incidents.c.id).where(incidents.c.kind == "backup_failed", incidents.c.closed_at_ms.is_(None))

        async def told() -> list[int]:
            return list(await database.read(lambda connection: connection.scalars(open_now).all()))

        for is_asked in (True, False):
            failed = await schedule.make_now(is_asked=is_asked)
            assert (failed.code, str(directory) in failed.why) == ("backup_dir_missing", True)
            assert not directory.exists(), "nothing is made in the place of a disk"
        assert len(await told()) == 1

        directory.mkdir()
        first = await schedule.make_now(is_asked=False)
        assert (first.code, len(list(directory.iterdir()))) == ("", 1), "the first one needs nobody"
        assert await told() == []
        disk = directory.rename(tmp_path / "disk")
        directory.mkdir()  # where it is mounted
        lost = await schedule.make_now(is_asked=False)
        assert (lost.code, lost.at_ms, list(directory.iterdir())) == ("backup_dir_empty", first.at_ms, [])
        assert len(await told()) == 1
        asked = await schedule.make_now()
        assert (asked.code, Path(asked.path).parent) == ("", directory), "somebody who looks may begin a new one"
        assert len(list(disk.iterdir())) == 1


@pytest.mark.slow
async def test_g17_the_keeping_deletes_what_is_superfluous_and_never_the_newest_or_anothers(tmp_path: Path) -> None:
    directory = tmp_path / "backups"
    directory.mkdir()
    async with Database(tmp_path / "data") as database:
        await open_vault(database, tmp_path / "data" / "secret.key")
        chosen = settings(tmp_path, backup_keep_days=2, backup_keep_weeks=0, backup_keep_months=0)
        clock = Clock()
        clock.now = ms(datetime(2026, 1, 7, 23, 59, 57, tzinfo=UTC))
        schedule = BackupSchedule(database, chosen, now_ms=clock)
        first = Path((await schedule.make_now()).path)
        store = first.name.split("-")[1]
        days = {f"shoal-{store}-2026010{day}-0400{second:02}.shoalbackup" for day in range(1, 5) for second in (1, 2)}
        others = {"notes.txt", *(f"shoal-{name}.shoalbackup" for name in ("00000000-20260101-040001", f"{store}-2026"))}
        for name in days | others:
            (directory / name).write_bytes(b"old")
        clock.now += 3_600_000
        last = Path((await schedule.make_now()).path)
        assert last.name > first.name
        left = {path.name for path in directory.iterdir()}
        assert left == {first.name, last.name} | others, "of each of two days the newest"
        clock.now += 3_600_000
        newest = Path((await schedule.make_now()).path)
        assert {path.name for path in directory.iterdir()} == {first.name, newest.name} | others


def test_g17_the_newest_is_kept_by_whatever_rule() -> None:
    days = [ms(datetime(2026, 11, 28, 12, tzinfo=UTC) - number * DAY) for number in range(5)]
    assert superfluous(days, Keep(days=0, weeks=0, months=0)) == set(days[1:])
    assert superfluous(days, Keep(days=1, weeks=0, months=0)) == set(days[1:])
    assert superfluous(days, Keep(days=2, weeks=0, months=0)) == set(days[2:])


@pytest.mark.parametrize("named", [{"backup_key": ""}, {"backup_key": PRIVATE_KEY}, {"backup_dir": None}])
def test_half_of_the_settings_stops_the_start(tmp_path: Path, named: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        BackupSchedule(Database(tmp_path), settings(tmp_path, **named))
