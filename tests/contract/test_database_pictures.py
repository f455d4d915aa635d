"""Pictures on PostgreSQL: every server has them, those that were files go there, and what nothing names goes."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text, update

from shoal.errors import InvalidInput, NotApplied, TemporaryFailure
from shoal.pictures.database_pictures import DatabasePictures
from shoal.pictures.picture_rows import digests_of_pictures, picture_names
from shoal.pictures.pictures import UNUSED_DAYS, URL_PREFIX
from shoal.storage.database import Database
from shoal.storage.db_manager import open_vault
from shoal.storage.schema import metadata
from support.databases.filled_tables import fill_every_table
from support.files.picture_files import a_gif, a_png
from support.site.standins import until

DAY = 86_400.0
KEY = b"k" * 32
FULL = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = '53100'; END $$;
    CREATE TRIGGER full_disk BEFORE INSERT ON pictures FOR EACH ROW EXECUTE FUNCTION refuse()
"""
"""What PostgreSQL says when its disk is full."""
WAITING = """
    SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
    WHERE datname = current_database() AND NOT granted
"""
NAMING = (
    ("accounts", "picture"), ("accounts", "default_reply"), ("observed", "seller_picture"), ("rules", "parts"),
    ("item_settings", "reply"), ("delivery_rules", "parts"), ("goods", "image_url"), ("deliveries", "parts"),
    ("outbox", "image_url"),
)  # fmt: skip


@pytest.fixture
async def databases(url: str) -> AsyncIterator[list[Database]]:
    """Those of two servers."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Database(url=url)) for _ in range(2)]


def pictures_of(database: Database, directory: Path) -> DatabasePictures:
    return DatabasePictures(database, directory, name_key=lambda: KEY, again_seconds=0.05)


def files_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


async def names_of(database: Database) -> list[str]:
    return await database.read(picture_names)


async def write_everywhere(database: Database, table: str, column: str, value: str | int | None) -> None:
    await database.write(
        lambda connection: connection.execute(update(metadata.tables[table]).values({column: value})).rowcount
    )


async def run(database: Database, statement: str) -> None:
    await database.write(lambda connection: connection.exec_driver_sql(statement).rowcount)


async def test_what_one_server_takes_another_shows_and_the_same_at_both_at_once_is_one(
    databases: list[Database], tmp_path: Path
) -> None:
    one, two = (pictures_of(database, tmp_path / str(number)) for number, database in enumerate(databases))
    data = a_png(7, 5)
    urls = await asyncio.gather(*(pictures.keep(data) for pictures in (one, two, one, two)))
    assert len(set(urls)) == 1
    assert await names_of(databases[0]) == [urls[0].rpartition("/")[2]]
    assert hashlib.sha256(data).hexdigest()[:32] not in urls[0], "a name tells nothing about the picture"
    for pictures in (one, two):
        picture = await pictures.read(urls[0])
        assert (picture.data, picture.measured.width, picture.measured.height) == (data, 7, 5)
        assert picture.digest == hashlib.sha256(data).hexdigest()
    imported = f"{hashlib.sha256(data).hexdigest()[:32]}.png"
    await asyncio.gather(one.keep_as(imported, data), two.keep_as(imported, data))
    assert (await two.read(URL_PREFIX + imported)).data == data
    for wrong in ("", "https://img.example/x.jpg", URL_PREFIX + "0" * 32 + ".png", URL_PREFIX + "../../secret.key"):
        with pytest.raises(InvalidInput) as caught:
            await two.read(wrong)
        assert caught.value.code == "picture_missing"
    with pytest.raises(InvalidInput):
        await one.keep(b"no picture")
    assert not (tmp_path / "0").exists(), "nothing is a file"


async def test_a_link_that_breaks_is_made_anew_for_the_next_picture(databases: list[Database], tmp_path: Path) -> None:
    pictures = pictures_of(databases[0], tmp_path)
    url = await pictures.keep(a_gif())
    assert (await pictures.read(url)).data == a_gif()
    others = "pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    end = f"SELECT pg_terminate_backend(pid) FROM {others}"  # noqa: S608
    await databases[1].read(lambda connection: connection.exec_driver_sql(end).all())

    async def is_read() -> bool:
        try:
            return (await pictures.read(url)).data == a_gif()
        except TemporaryFailure:
            return False

    for _ in range(9):  # each reader has a link of its own
        if await is_read():
            break
    assert [await is_read() for _ in range(8)] == [True] * 8


async def test_a_picture_that_takes_long_to_store_holds_up_no_other_write(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.storage.database_engines.WRITER_BUSY_SECONDS", 600.0)  # however slow the machine is
    engine = create_engine(url)
    async with Database(url=url) as database:
        pictures = pictures_of(database, tmp_path)
        with engine.connect() as holding, holding.begin():
            holding.exec_driver_sql("LOCK TABLE pictures IN EXCLUSIVE MODE")
            storing = asyncio.create_task(pictures.keep(a_png()))
            async with asyncio.timeout(60):
                while not await database.read(lambda connection: connection.exec_driver_sql(WAITING).scalar()):
                    await asyncio.sleep(0.01)
            await database.replace_fact("beside", "x")
            assert not storing.done()
        assert (await pictures.read(await storing)).data == a_png()
    engine.dispose()


async def test_a_full_or_unreachable_database_refuses_plainly_and_keeps_nothing(
    databases: list[Database], tmp_path: Path
) -> None:
    pictures = pictures_of(databases[0], tmp_path)
    url = await pictures.keep(a_gif())
    await run(databases[0], FULL)
    with pytest.raises(NotApplied) as caught:
        await pictures.keep(a_png())
    assert caught.value.params["reason"] == "53100"
    assert len(await names_of(databases[0])) == 1
    assert (await pictures.read(url)).data == a_gif()
    await run(databases[0], "ALTER TABLE pictures RENAME TO away")
    with pytest.raises(TemporaryFailure) as failed:
        await pictures.read(url)
    assert failed.value.code == "picture_unreadable"


async def test_files_of_before_go_into_the_database_and_a_refusal_or_a_death_loses_none(
    databases: list[Database], tmp_path: Path
) -> None:
    database, names = databases[0], [f"{number:032x}.png" for number in range(5)]
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes(a_png(number + 1, 1))
        os.utime(tmp_path / name, (1000 + number, 1000 + number))
    (tmp_path / "notes.txt").write_text("somebody's")
    (tmp_path / f"{'e' * 32}.png").write_bytes(b"rubbish")
    await run(database, FULL)
    pictures = pictures_of(database, tmp_path)
    await pictures.open()
    assert (await pictures.read(URL_PREFIX + names[4])).data == a_png(5, 1), "until it is moved, its file is read"
    await pictures.close()
    await run(database, "ALTER TABLE pictures DISABLE TRIGGER full_disk")
    # what a death leaves between the commit and the removal of the file; the move's last try may have stored it too
    stored = "INSERT INTO pictures (name, data, seen_at_ms) VALUES (:name, :data, 5)"
    await database.write(
        lambda connection: (
            connection.execute(
                text(f"{stored} ON CONFLICT (name) DO UPDATE SET seen_at_ms = 5"),
                {"name": names[0], "data": a_png(1, 1)},
            ).rowcount
        )
    )
    again = pictures_of(database, tmp_path)
    await again.open()
    await until(lambda: again._moving is not None and again._moving.done())
    await again.close()
    assert files_in(tmp_path) == [f"{'e' * 32}.png", "notes.txt"]
    found = await database.read(digests_of_pictures)
    assert found == {name: hashlib.sha256(a_png(n + 1, 1)).hexdigest() for n, name in enumerate(names)}
    seen = await database.read(
        lambda connection: connection.scalars(text("SELECT seen_at_ms FROM pictures ORDER BY name")).all()
    )
    assert seen == [5, 1_001_000, 1_002_000, 1_003_000, 1_004_000], "since when nothing names it is not forgotten"


async def test_two_workers_of_one_directory_move_its_files_together(databases: list[Database], tmp_path: Path) -> None:
    names = [f"{number:032x}.png" for number in range(20)]
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes(a_png(number + 1, 1))
    workers = [pictures_of(database, tmp_path) for database in databases]
    await asyncio.gather(*(worker.open() for worker in workers))
    await until(lambda: all(worker._moving is not None and worker._moving.done() for worker in workers))
    assert (files_in(tmp_path), await names_of(databases[0])) == ([], names)


async def test_the_move_goes_on_by_itself_once_the_database_takes_pictures_again(
    databases: list[Database], tmp_path: Path
) -> None:
    (tmp_path / f"{'a' * 32}.png").write_bytes(a_png())
    await run(databases[0], FULL)
    pictures = pictures_of(databases[0], tmp_path)
    await pictures.open()
    await asyncio.sleep(0.1)
    assert await names_of(databases[0]) == []
    await run(databases[1], "ALTER TABLE pictures DISABLE TRIGGER full_disk")
    await until(lambda: not files_in(tmp_path))
    assert await names_of(databases[1]) == [f"{'a' * 32}.png"]
    await pictures.close()


async def test_what_anything_names_stays_and_the_rest_goes_after_a_week(
    databases: list[Database], tmp_path: Path
) -> None:
    database = databases[0]
    vault = await open_vault(database, tmp_path / "secret.key")
    await database.write(lambda connection: fill_every_table(connection, vault))
    pictures, now, named = pictures_of(database, tmp_path / "images"), time.time(), set[str]()
    for table, column in NAMING:
        url = await pictures.keep(a_png(len(named) + 1, 9))
        named.add(url.rpartition("/")[2])
        await write_everywhere(database, table, column, f'[{{"text":"见 {url}?"}},{{"text":"{url}"}}]')
    await write_everywhere(database, "deliveries", "settled_at_ms", None)
    await write_everywhere(database, "outbox", "outcome", "waiting")
    orphan, young = [(await pictures.keep(a_gif(side, side))).rpartition("/")[2] for side in (1, 2)]
    await write_everywhere(database, "pictures", "seen_at_ms", 0)
    await pictures.keep(a_gif(2, 2))  # uploaded again
    assert orphan in await names_of(database)
    assert await pictures.sweep(now) == 1
    assert {*await names_of(database)} == named | {young}
    for table, column in NAMING:
        await write_everywhere(database, table, column, "")
    assert await pictures.sweep(now + (UNUSED_DAYS - 1) * DAY) == 0, "they were in use a moment ago"
    assert await pictures.sweep(now + (UNUSED_DAYS + 1) * DAY) == len(named) + 1
