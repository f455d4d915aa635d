"""Before its schema is upgraded, a PostgreSQL database is copied into the data directory, and the copy leads back."""

from __future__ import annotations

import resource
import secrets
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, text

from shoal.config import Settings
from shoal.errors import ConfigError
from shoal.maintenance.backup.before_upgrade import tables_of
from shoal.maintenance.backup.loading import TableFiller, load
from shoal.maintenance.backup.making import Secret, opened
from shoal.maintenance.backup.records import Rows, read_records
from shoal.maintenance.backup.server_key import passphrase_by_server_key
from shoal.maintenance.backup.snapshot import LEFT_OUT, is_of_the_place
from shoal.pictures.picture_rows import read_picture
from shoal.server.open_storage import open_storage
from shoal.storage import migrations
from shoal.storage.data_directory import DATABASE_FILE
from shoal.storage.migrations.marks import stored_revision
from shoal.storage.migrations.steps import build_schema
from support.databases.postgres_server import Postgres
from support.runs.warm_start import ran
from support.site.standins import quick_settings
from upgrades.make_fixture import KEY
from upgrades.test_upgrades import MIGRATIONS, THE_SITE, lay

Content = dict[str, list[tuple[Any, ...]]]
schema_of = cache(tables_of)
"""The tables of a revision, which do not change while the tests run: to make them takes 0.2 s."""
PICTURE = "uploads/images/0123456789abcdef0123456789abcdef.png"


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def rows_of(url: str, revision: str) -> Content:
    """What a copy of a database of that revision must hold."""
    found: Content = {}
    with connected(url) as connection:
        for table in schema_of(revision):
            if table.name not in LEFT_OUT:
                names = ", ".join(f'"{name}"' for name in table.columns.keys())  # noqa: SIM118
                rows = connection.exec_driver_sql(f'SELECT {names} FROM "{table.name}"').all()  # noqa: S608
                kept = (tuple(row) for row in rows if table.name != "store_meta" or not is_of_the_place(row[0]))
                found[table.name] = sorted(kept, key=repr)
    return found


def all_of(url: str, name: str) -> list[dict[str, Any]]:
    """All rows of one table, with whichever columns it has."""
    with connected(url) as connection:
        rows = connection.exec_driver_sql(f'SELECT * FROM "{name}"').mappings()  # noqa: S608
        return sorted((dict(row) for row in rows), key=repr)


def lay_in_postgresql(revision: str, url: str, tmp_path: Path) -> None:
    """Put the data of that version into a PostgreSQL database of its schema."""
    lay(revision, tmp_path / revision)
    with closing(sqlite3.connect(tmp_path / revision / DATABASE_FILE)) as old, connected(url) as connection:
        build_schema(connection, revision)
        for table in schema_of(revision):
            names = table.columns.keys()
            connection.exec_driver_sql(f'DELETE FROM "{table.name}"')  # noqa: S608
            quoted = ", ".join(f'"{name}"' for name in names)
            rows = old.execute(f'SELECT {quoted} FROM "{table.name}"').fetchall()  # noqa: S608
            TableFiller(connection, table.name, names).add(rows)


def settings_of(url: str, data_dir: Path, key: str | None = KEY) -> Settings:
    return quick_settings(data_dir=data_dir, database_url=url, secret_key=key, **THE_SITE)


def revision_of(url: str) -> str | None:
    with connected(url) as connection:
        return stored_revision(connection)


def copies_in(data_dir: Path) -> list[Path]:
    return sorted(path for path in data_dir.iterdir() if ".before-" in path.name)


def some_data_dir(tmp_path: Path) -> Path:
    picture = tmp_path / "data" / PICTURE
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"\x89PNG" + secrets.token_bytes(100_000))
    return tmp_path / "data"


@pytest.mark.parametrize("revision", [MIGRATIONS[0], pytest.param(MIGRATIONS[-2], marks=pytest.mark.long)])
async def test_the_copy_is_the_older_database_row_by_row_and_the_command_restores_it(
    postgres: Postgres, revision: str, tmp_path: Path
) -> None:
    data_dir = some_data_dir(tmp_path)
    (data_dir / "shoal.before-0001-20000101-000000.shoalbackup.partial").write_bytes(b"of a start that was killed")
    with postgres.database() as url, postgres.database() as older, postgres.database() as goal:
        lay_in_postgresql(revision, url, tmp_path)
        before = rows_of(url, revision)
        assert before["accounts"]
        async with open_storage(settings_of(url, data_dir)):
            pass
        assert revision_of(url) == migrations.newest()
        (copy,) = copies_in(data_dir)
        assert copy.name.startswith(f"shoal.before-{revision}-")
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600

        with opened(copy) as sealed:
            header = sealed.header
            assert (header.schema, header.database) == (revision, "postgresql")
            assert passphrase_by_server_key(header, data_dir, "6b" * 32) is None
            file_key = Secret(passphrase=KEY).file_key(header)  # what an older version is told
            with connected(older) as connection:
                load(read_records(sealed.chunks(file_key)), connection, header.schema, tmp_path / "files")
        assert rows_of(older, revision) == before
        assert (tmp_path / "files" / PICTURE).read_bytes() == (data_dir / PICTURE).read_bytes()

        (data_dir / PICTURE).unlink()
        place = {"SHOAL_DATA_DIR": str(data_dir), "SHOAL_DATABASE_URL": goal, "SHOAL_SECRET_KEY": KEY}
        done = await ran(("-m", "shoal", "restore", str(copy), "--yes"), place)
        assert done.returncode == 0, done.stderr
        with connected(goal) as connection:
            assert len(read_picture(connection, PICTURE.rpartition("/")[2]) or b"") == 100_004
        for name in ("users", "messages", "rules", "orders", "item_settings"):
            upgraded, restored = (all_of(place, name) for place in (url, goal))
            assert restored == upgraded, name
            assert upgraded, name
        async with open_storage(settings_of(goal, data_dir)):
            pass
        assert copies_in(data_dir) == [copy], "a database of this schema is not copied"


async def test_without_room_for_the_copy_nothing_is_migrated(postgres: Postgres, tmp_path: Path) -> None:
    data_dir = some_data_dir(tmp_path)
    with postgres.database() as url:
        lay_in_postgresql(MIGRATIONS[0], url, tmp_path)
        before = rows_of(url, MIGRATIONS[0])
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
        try:
            with pytest.raises(ConfigError) as refused:
                async with open_storage(settings_of(url, data_dir)):
                    pass
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert refused.value.code == "no_copy_before_upgrade"
        assert str(data_dir) in str(refused.value)
        assert revision_of(url) == MIGRATIONS[0]
        assert rows_of(url, MIGRATIONS[0]) == before
        assert copies_in(data_dir) == []
        async with open_storage(settings_of(url, data_dir)):
            pass
        assert len(copies_in(data_dir)) == 1


async def test_what_cannot_be_read_stops_the_upgrade_too(postgres: Postgres, tmp_path: Path) -> None:
    data_dir = some_data_dir(tmp_path)
    with postgres.database() as url:
        lay_in_postgresql(MIGRATIONS[0], url, tmp_path)
        with pytest.raises(ConfigError) as refused:
            async with open_storage(settings_of(url, data_dir, key=None)):
                pass
        assert refused.value.code == "key_file_missing"
        assert (revision_of(url), copies_in(data_dir)) == (MIGRATIONS[0], [])


async def test_a_database_that_never_had_a_secret_is_copied_under_a_new_key(postgres: Postgres, tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with postgres.database() as url:
        with connected(url) as connection:
            build_schema(connection, MIGRATIONS[-2])
            connection.execute(text("INSERT INTO store_meta (key, value) VALUES ('told', '在吗 ''\\ x')"))
        async with open_storage(settings_of(url, data_dir, key=None)):
            pass
        (copy,) = copies_in(data_dir)
        with opened(copy) as sealed:
            header = sealed.header
            passphrase = passphrase_by_server_key(header, data_dir, None)
            assert passphrase is not None
            assert passphrase in (data_dir / "secret.key").read_text().splitlines()
            file_key = Secret(passphrase=passphrase).file_key(header)
            records = list(read_records(sealed.chunks(file_key)))
        rows = [row[:2] for record in records if isinstance(record, Rows) for row in record.rows]
        assert ["told", "在吗 '\\ x"] in rows
