"""A store moves to the other kind of database as it is, and is never served twice: there and back."""

from __future__ import annotations

import asyncio
import json
import resource
import signal
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect, text

from benchmarks.processes import clean_environment
from contract.store_contents import MANY, content, many_messages
from shoal.cluster.server_lease import LeaseTimes, ServerLease
from shoal.errors import ConfigError, StoreError
from shoal.maintenance.backup.place import Place
from shoal.maintenance.backup.restoring import restore_copy
from shoal.maintenance.store_migration.migrating import Migrated, look_at_stores, migrate_store
from shoal.storage.data_directory import LOCK_FILE, PICTURE_DIRECTORY
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager, open_vault
from shoal.storage.history_rows import newest_rev
from support.databases.filled_tables import ROWS, fill_every_table
from support.databases.postgres_server import Postgres
from support.databases.store_steps import an_account, committed, created, edit
from support.files.picture_files import a_png
from support.runs.quick_start import blank_database
from support.runs.warm_start import ran


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    """A data directory with rows in every table, and numbers that were given and are free again."""
    directory = tmp_path / "data"
    await blank_database(directory)
    async with Database(directory) as database:
        vault = await open_vault(database, directory / "secret.key")
        await database.write(lambda connection: fill_every_table(connection, vault))
        await database.write(lambda connection: connection.execute(text("DELETE FROM journal WHERE rev = 4")).rowcount)
    return directory


@pytest.fixture
def url(postgres: Postgres) -> Iterator[str]:
    """An empty PostgreSQL database."""
    with postgres.database() as address:
        yield address


async def moved(old: Place, new: Place, **options: Any) -> Migrated:
    return await asyncio.to_thread(migrate_store, old, new, **options)


async def refused(place: Place) -> str:
    """Start on a database, and return the code of the refusal."""
    with pytest.raises(ConfigError) as why:
        await Database(place.data_dir, url=place.url).open()
    return why.value.code


async def test_a_round_trip_brings_everything_back_and_each_left_database_is_closed(
    data: Path, url: str, tmp_path: Path
) -> None:
    file, server = Place(data_dir=data), Place(data_dir=data, url=url)
    again = Place(data_dir=data, url=f"sqlite:///{tmp_path / 'again.db'}")
    before = content(file)
    assert all(before.values()), "rows in every table"
    images = data / PICTURE_DIRECTORY
    images.mkdir(parents=True)
    pictures = {f"{side:032x}.png": a_png(side, 1) for side in (1, 2)}
    for name, picture in pictures.items():
        (images / name).write_bytes(picture)
    assert look_at_stores(file, server)["pictures"] == 2
    there = await moved(file, server)
    assert there.pictures == 2
    assert there.rows == sum(map(len, before.values())) - len(before["heads"])
    assert content(server) == before
    assert await refused(file) == "store_moved"
    for name in pictures:
        (images / name).unlink()  # as the server does once they are in the database
    assert look_at_stores(server, again)["pictures"] == 2
    back = await moved(server, again)
    assert {path.name: path.read_bytes() for path in images.iterdir()} == pictures
    assert back.pictures == 2
    assert back.tables == there.tables, "the checksums are the same in both kinds of database"
    assert (back.kept, content(again)) == (0, before)
    assert await refused(server) == "store_moved"
    assert (tmp_path / "again.db").stat().st_mode & 0o077 == 0
    async with Database(data, url=again.url) as database:
        await open_vault(database, data / "secret.key")


async def test_a_shop_goes_on_with_the_next_generation_and_rev(data: Path, url: str, tmp_path: Path) -> None:
    directory = tmp_path / "shops"
    await blank_database(directory)
    async with Database(directory) as database:
        manager = DBManager(database, await open_vault(database, directory / "secret.key"))
        (shop,) = await created(manager, an_account("shop", proxy="http://u:p@192.0.2.1:8"))
        await committed(manager, edit(shop, remark="第一"))
        before = await manager.load()
    await moved(Place(data_dir=directory), Place(data_dir=directory, url=url))
    async with Database(directory, url=url) as database:
        manager = DBManager(database, await open_vault(database, directory / "secret.key"))
        after = await manager.load()
        assert (after.accounts, after.newest_rev) == (before.accounts, before.newest_rev)
        (later,) = await committed(manager, edit(after.accounts["shop"], remark="第二"))
        assert later.rev == before.newest_rev + 1


# ── a death ─────────────────────────────────────────────────────────────────────────────────────────────────────────

DYING = """
import os, signal, sys
from pathlib import Path
from shoal.maintenance.backup.place import Place
from shoal.maintenance.store_migration import migrating

moment, left = sys.argv[4], 9_000

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def told(phase, rows, total):
    global left
    left -= rows
    if moment == phase and (phase == "comparing" or left < 0):
        die()

if moment == "closed":
    migrating.mark = lambda connection, revision: revision == migrating.newest() and die() or real(connection, revision)
    from shoal.storage.migrations.marks import mark as real
data = Path(sys.argv[1])
migrating.migrate_store(Place(data_dir=data, url=sys.argv[2]), Place(data_dir=data, url=sys.argv[3]), progress=told)
"""


async def killed(old: Place, new: Place, moment: str) -> None:
    """Move in a process of its own, which is killed at that moment."""
    program = old.data_dir.with_name("dying.py")
    program.write_text(DYING)
    ended = await ran((str(program), str(old.data_dir), old.url, new.url, moment), clean_environment())
    assert ended.returncode == -signal.SIGKILL, ended.stderr


@pytest.fixture(params=["from sqlite", "from postgresql"])
async def ends(
    request: pytest.FixtureRequest, tmp_path: Path, postgres: Postgres
) -> AsyncIterator[tuple[Place, Place]]:
    """A store with many messages, and where it is moved to."""
    from_file, directory = request.param == "from sqlite", tmp_path / "data"
    with postgres.database(migrated=not from_file) as address:
        file, server = Place(data_dir=directory), Place(data_dir=directory, url=address)
        old, new = (file, server) if from_file else (server, file)
        if from_file:
            await blank_database(directory)
        async with Database(directory, url=old.url) as database:
            vault = await open_vault(database, directory / "secret.key")
            await database.write(lambda connection: fill_every_table(connection, vault))
            await database.write(many_messages)
        yield old, new


async def test_a_move_that_is_killed_goes_on_where_it_was_and_nothing_is_served_twice(
    ends: tuple[Place, Place],
) -> None:
    old, new = ends
    before = content(old)
    await killed(old, new, "copying")
    assert await refused(new) == "store_unfinished"
    async with Database(old.data_dir, url=old.url):
        """The old one may still be served."""
    await killed(old, new, "comparing")
    await killed(old, new, "closed")
    assert (await refused(old), await refused(new)) == ("store_moved", "store_unfinished")
    done = await moved(old, new)
    assert done.kept == done.rows > MANY
    assert content(new) == content(old) == before
    async with Database(new.data_dir, url=new.url):
        """The new one is a store now."""
    with pytest.raises(ConfigError) as again:
        await moved(old, new)
    assert again.value.code == "already_moved"


async def test_a_move_begins_anew_when_the_old_database_was_used_since_it_broke_off(data: Path, url: str) -> None:
    old, new = Place(data_dir=data), Place(data_dir=data, url=url)

    def broken_off(phase: str, rows: int, total: int) -> None:
        if phase == "comparing":
            raise LookupError

    with pytest.raises(LookupError):
        await moved(old, new, progress=broken_off)
    assert await refused(new) == "store_unfinished"
    statement = text("UPDATE messages SET text = '改了' WHERE id = 1")
    async with Database(data) as database:
        assert await database.write(lambda connection: connection.execute(statement).rowcount) == 1
    done = await moved(old, new)
    assert done.kept == 0
    assert content(new) == content(old)


# ── what is refused ─────────────────────────────────────────────────────────────────────────────────────────────────


async def not_moved(old: Place, new: Place) -> str:
    """Try to move, and return the code of the refusal; a dry run says the same, unless a server must stop first."""
    with pytest.raises(ConfigError) as why:
        await moved(old, new)
    if why.value.code not in {"data_dir_taken", "database_taken"}:
        with pytest.raises(ConfigError) as dry:
            await asyncio.to_thread(look_at_stores, old, new)
        assert dry.value.code == why.value.code
    return why.value.code


async def test_a_store_that_is_served_is_not_moved_and_a_dry_run_only_counts(
    data: Path, postgres: Postgres, url: str, tmp_path: Path
) -> None:
    file, server = Place(data_dir=data), Place(data_dir=data, url=url)
    async with Database(data):
        assert await not_moved(file, server) == "data_dir_taken"
        counted = await asyncio.to_thread(look_at_stores, file, server)
        assert counted == {name: len(rows) for name, rows in content(file).items() if name != "heads"} | {
            "store_meta": counted["store_meta"],
            "pictures": 0,
        }
    assert tables_of(server) == set()
    elsewhere = tmp_path / "elsewhere"
    with postgres.database(migrated=True) as taken:
        lease = ServerLease(make(elsewhere) / LOCK_FILE, LeaseTimes(renew_seconds=0.2))
        async with Database(elsewhere, url=taken, guard=lease.take):
            lease.keep(lambda: None)
            new = Place(data_dir=data, url=f"sqlite:///{tmp_path / 'new.db'}")
            assert await not_moved(Place(data_dir=data, url=taken), new) == "database_taken"
            await lease.close()
    assert not (tmp_path / "new.db").exists()


def make(directory: Path) -> Path:
    directory.mkdir()
    (directory / LOCK_FILE).touch()
    return directory


def tables_of(place: Place) -> set[str]:
    engine = create_engine(place.url)
    try:
        return set(inspect(engine).get_table_names())
    finally:
        engine.dispose()


async def test_a_target_with_anything_in_it_is_refused_and_stays_as_it_is(
    data: Path, url: str, tmp_path: Path, postgres: Postgres
) -> None:
    file = Place(data_dir=data)
    engine = create_engine(url)
    with engine.connect() as connection, connection.begin():
        connection.execute(text("CREATE TABLE theirs (id integer)"))
    engine.dispose()
    assert await not_moved(file, Place(data_dir=data, url=url)) == "store_not_empty"
    with postgres.database(migrated=True) as other:
        server = Place(data_dir=data, url=other)
        assert await not_moved(file, server) == "store_not_empty"
        for name in ("theirs.db", "note.txt"):
            path = tmp_path / name
            with closing(sqlite3.connect(path)) as theirs:
                theirs.execute("CREATE TABLE theirs (id integer)").close()
            if name == "note.txt":
                path.write_text("no database")
            before = path.read_bytes()
            assert await not_moved(server, Place(data_dir=data, url=f"sqlite:///{path}")) == "store_not_empty"
            assert path.read_bytes() == before
        assert await not_moved(server, server) == "same_kind"
    assert await refused_move_of_other_data(file, tmp_path) == "no_database"


async def refused_move_of_other_data(file: Place, tmp_path: Path) -> str:
    with pytest.raises(ConfigError) as why:
        await moved(replace(file, data_dir=tmp_path), replace(file, url="postgresql:///nowhere"))
    return why.value.code


async def test_a_move_without_the_keys_or_of_another_version_is_refused(data: Path, url: str) -> None:
    file, server = Place(data_dir=data), Place(data_dir=data, url=url)
    key = (data / "secret.key").read_bytes()
    (data / "secret.key").write_text("ab" * 32)
    assert await not_moved(file, server) == "missing_key"
    (data / "secret.key").write_bytes(key)
    with closing(sqlite3.connect(data / "shoal.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    assert await not_moved(file, server) == "other_schema"
    assert tables_of(server) == set()


async def test_a_full_disk_ends_the_move_and_more_room_lets_it_go_on(data: Path, postgres: Postgres) -> None:
    with postgres.database(migrated=True) as address:
        old, new = Place(data_dir=data, url=address), Place(data_dir=data, url=f"sqlite:///{data / 'new.db'}")
        async with Database(data, url=address) as database:
            vault = await open_vault(database, data / "secret.key")
            await database.write(lambda connection: fill_every_table(connection, vault))
            await database.write(many_messages)
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        was = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (3 << 20, limit[1]))
            with pytest.raises(StoreError, match="disk"):
                await moved(old, new)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
            signal.signal(signal.SIGXFSZ, was)
        assert await refused(new) == "store_unfinished"
        async with Database(data, url=address):
            """The old one may still be served."""
        done = await moved(old, new)
        assert 0 < done.kept < done.rows
        assert content(new) == content(old)


async def test_the_file_that_was_left_comes_back_by_a_restore_which_sends_nothing_again(data: Path, url: str) -> None:
    await moved(Place(data_dir=data), Place(data_dir=data, url=url))
    done = await asyncio.to_thread(restore_copy, data / "shoal.db", Place(data_dir=data))
    async with Database(data) as database:
        assert await database.read(newest_rev) == done.life.rev > 1_000_000
        assert await database.fact("moved") is None
    assert await refused(Place(data_dir=data, url=f"sqlite:///{data / done.kept}")) == "store_moved"


# ── the command ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def shoal(data: Path, *arguments: str, **environment: str) -> CompletedProcess[str]:
    own = clean_environment(SHOAL_DATA_DIR=str(data), LC_ALL="C.UTF-8", **environment)
    return await ran(("-m", "shoal", *arguments), own, typed="long enough, surely\n")


async def test_the_command_moves_and_says_what_to_set_and_what_was_left(data: Path, url: str) -> None:
    before = content(Place(data_dir=data))
    setting = {"SHOAL_DATABASE_URL": url.replace("postgres@", "postgres:s3cret@")}
    plan = await shoal(data, "migrate-store", "sqlite:", "postgresql:", "--dry-run", "--json", **setting)
    assert (plan.returncode, json.loads(plan.stdout)["tables"]["messages"]) == (0, ROWS), plan.stderr
    done = await shoal(data, "migrate-store", "sqlite:", "postgresql:", **setting)
    assert done.returncode == 0, done.stderr
    assert f"SHOAL_DATABASE_URL={url.partition('?')[0]}" in done.stdout
    assert str(data / "shoal.db") in done.stdout
    assert "s3cret" not in done.stdout + done.stderr
    assert content(Place(data_dir=data, url=url)) == before
    again = await shoal(data, "migrate-store", "sqlite:", "postgresql:", "--json", **setting)
    assert (again.returncode, json.loads(again.stdout)["already"]) == (0, True), again.stderr
    look = await shoal(data, "doctor", "--json")
    assert "postgres" in look.stdout
    assert "s3cret" not in look.stdout
    left = await shoal(data, "backup", "make", str(data / "b.shoalbackup"), "--passphrase-file", "-")
    assert (left.returncode, "were moved to" in left.stderr) == (2, True)
