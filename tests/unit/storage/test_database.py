"""Opening a database: what is private, what is refused, and with which sentence."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.pool import Pool
from structlog.testing import capture_logs

from shoal.accounts.account import AccountState, Observation
from shoal.errors import ConfigError, NotApplied, ShoalError, StoreError
from shoal.storage.credentials import Credentials
from shoal.storage.data_directory import DATABASE_FILE, LOCK_FILE, MARKER_FILE
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager, open_vault
from shoal.storage.engines import open_engine
from support.databases.store_steps import an_account, committed, created, edit
from support.runs.quick_start import blank_database


async def refused(path: Path) -> ShoalError:
    with pytest.raises((ConfigError, StoreError)) as caught:
        await Database(path).open()
    return caught.value


async def populate(path: Path) -> None:
    await blank_database(path)
    async with Database(path) as database:
        await created(DBManager(database, await open_vault(database, path / "secret.key")), an_account())


@contextlib.contextmanager
def listening(target: object, name: str, listener: Callable[..., None]) -> Iterator[None]:
    event.listen(target, name, listener)
    yield
    event.remove(target, name, listener)


@contextlib.contextmanager
def raw(path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(path / DATABASE_FILE)) as connection, connection:
        yield connection


async def test_a_directory_that_does_not_take_its_mark_is_refused(tmp_path: Path) -> None:
    (tmp_path / MARKER_FILE).symlink_to(tmp_path / "disk" / "that-is-away")
    failure = await refused(tmp_path)
    assert (failure.code, MARKER_FILE in str(failure)) == ("data_dir_unusable", True)


async def test_the_directory_and_every_file_are_private(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "data"
    before = os.umask(0)
    try:
        async with Database(path) as database:
            await created(DBManager(database, await open_vault(database, path / "secret.key")), an_account())
            assert stat.S_IMODE(path.stat().st_mode) == 0o700
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.iterdir()}
    finally:
        os.umask(before)
    assert {DATABASE_FILE, f"{DATABASE_FILE}-wal", LOCK_FILE, MARKER_FILE, "secret.key"} <= set(modes)
    assert set(modes.values()) == {0o600}
    (path / DATABASE_FILE).chmod(0o644)  # as a copy may be that was laid back
    async with Database(path):
        assert stat.S_IMODE((path / DATABASE_FILE).stat().st_mode) == 0o600


async def test_d11_the_durable_settings_are_on_for_writer_and_readers(tmp_path: Path) -> None:
    await blank_database(tmp_path)
    async with Database(tmp_path) as database:

        def pragmas(connection: object) -> dict[str, object]:
            names = ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
            return {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names}  # type: ignore[attr-defined]  # a Connection

        expected = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}
        assert await database.write(pragmas) == expected
        assert await database.read(pragmas) == expected


async def test_readers_cannot_write(tmp_path: Path) -> None:
    await blank_database(tmp_path)
    async with Database(tmp_path) as database:
        with pytest.raises(StoreError) as caught:
            await database.read(lambda connection: connection.execute(text("DELETE FROM store_meta")))
        assert not isinstance(caught.value, NotApplied)
        assert caught.value.params["reason"] == "SQLITE_READONLY"


async def test_readers_that_begin_at_the_same_time_share_one_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two engines only one would be closed: the other's connection stays open until it is collected."""
    engines: list[Engine] = []

    def slowly(*values: Any, **named: Any) -> Engine:
        time.sleep(0.2)  # all of them look before one is made
        engines.append(open_engine(*values, **named))
        return engines[-1]

    await blank_database(tmp_path / "data")
    monkeypatch.setattr("shoal.storage.database_engines.open_engine", slowly)
    async with Database(tmp_path / "data") as database:
        await asyncio.gather(*(database.fact("marker") for _ in range(4)))
        assert len(engines) == 3, "one to prepare, one to write, one to read"


async def test_one_connection_prepares_a_database_and_is_closed(tmp_path: Path) -> None:
    """Each new one reads the whole schema."""
    await blank_database(tmp_path)
    opened: list[object] = []
    closed: list[object] = []
    with (
        listening(Pool, "connect", lambda raw, _: opened.append(raw)),
        listening(Pool, "close", lambda raw, _: closed.append(raw)),
    ):
        async with Database(tmp_path):
            assert len(opened) == 1
            assert closed == opened


async def test_a_second_server_is_refused_by_name(tmp_path: Path) -> None:
    await blank_database(tmp_path)
    async with Database(tmp_path):
        error = await refused(tmp_path)
        assert error.code == "data_dir_taken"
        assert str(os.getpid()) in str(error)
    await populate(tmp_path)  # the lock went with its holder


@pytest.mark.slow
async def test_the_lock_ends_with_its_process(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys, os, pathlib\n"
        "from shoal.storage.database import Database\n"
        "async def main():\n"
        "    await Database(pathlib.Path(sys.argv[1])).open()\n"
        "    print('open', flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(tmp_path), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"open\n"
    assert f"process {process.pid}" in str(await refused(tmp_path))
    process.kill()
    await process.communicate()
    await populate(tmp_path)


async def test_a_file_in_the_place_of_the_directory_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    assert "data directory" in str(await refused(tmp_path / "data"))
    assert (await refused(tmp_path / "data" / "below")).code == "data_dir_unusable"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere; the case above needs no permission")
async def test_a_directory_without_write_permission_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    assert (await refused(tmp_path / "closed" / "data")).code == "data_dir_unusable"


async def test_a_database_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    await populate(tmp_path)
    with raw(tmp_path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    error = await refused(tmp_path)
    assert error.code == "database_too_new"
    assert "newer Shoal" in str(error)


async def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    with raw(tmp_path) as connection:
        connection.execute("CREATE TABLE foreign_thing (x)")
    assert (await refused(tmp_path)).code == "foreign_database"


async def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / DATABASE_FILE).write_bytes(b"no database at all" * 1000)
    assert (await refused(tmp_path)).code == "database_damaged"
    assert (tmp_path / DATABASE_FILE).read_bytes().startswith(b"no database")


async def test_a_damaged_page_is_found_at_the_start(tmp_path: Path) -> None:
    await populate(tmp_path)
    with (tmp_path / DATABASE_FILE).open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)
    error = await refused(tmp_path)
    assert error.code == "database_damaged"
    assert "restore" in str(error)


@pytest.mark.parametrize("how", ["gone", "emptied"])
async def test_a_lost_database_is_not_replaced_by_an_empty_one(tmp_path: Path, how: str) -> None:
    await populate(tmp_path)
    if how == "gone":
        (tmp_path / DATABASE_FILE).unlink()
    else:
        (tmp_path / DATABASE_FILE).write_bytes(b"")
    assert (await refused(tmp_path)).code == "database_missing"
    (tmp_path / MARKER_FILE).unlink()
    async with Database(tmp_path):
        pass


async def test_the_data_remembers_its_site(tmp_path: Path) -> None:
    await blank_database(tmp_path)
    async with Database(tmp_path) as database:
        await database.remember_site("https://one.example")
        await database.remember_site("https://one.example")
        with pytest.raises(ConfigError, match=r"one\.example"):
            await database.remember_site("https://two.example")
    async with Database(tmp_path) as database:
        with pytest.raises(ConfigError):
            await database.remember_site("https://two.example")


@pytest.mark.parametrize("url", ["mysql://x", "nonsense", "sqlite://", "postgresql"])
def test_a_url_that_cannot_be_served_is_a_sentence(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="database URL"):
        Database(tmp_path, url=url)


async def test_an_unreachable_postgresql_is_a_sentence_without_its_password(tmp_path: Path) -> None:
    database = Database(tmp_path, url="postgresql://me:canary@127.0.0.1:1/x")
    with pytest.raises(StoreError) as caught:
        await database.open()
    assert "canary" not in str(caught.value) + repr(database)
    assert caught.value.code == "database_unusable"


async def test_a_lost_key_stops_the_start_and_a_wrong_one_too(tmp_path: Path) -> None:
    await populate(tmp_path)
    key = tmp_path / "secret.key"
    kept = key.read_bytes()
    key.unlink()
    async with Database(tmp_path) as database:
        with pytest.raises(ConfigError) as caught:
            await open_vault(database, key)
        assert caught.value.code == "key_file_missing"
        with pytest.raises(ConfigError) as caught:
            await open_vault(database, key, "ab" * 32)
        assert caught.value.code == "wrong_secret_key"
        key.write_bytes(kept)
        key.chmod(0o600)
        await open_vault(database, key)
        with pytest.raises(ConfigError, match="unset SHOAL_SECRET_KEY") as caught:
            await open_vault(database, key, "ab" * 32)
        assert caught.value.code == "wrong_secret_key", (
            "a mistaken key takes nothing over, though the file has the right"
        )
        assert (await DBManager(database, await open_vault(database, key)).load()).accounts["shop"].cookie
        old = kept.decode().split()[-1]
        with capture_logs() as logs:
            rotated = await open_vault(database, key, f"{'ab' * 32},{old}")
        assert [line["log_level"] for line in logs] == ["warning"], "from now on the old key alone opens nothing"
        assert (await DBManager(database, rotated).load()).accounts["shop"].cookie
        assert (await DBManager(database, await open_vault(database, key, "ab" * 32)).load()).accounts


async def test_no_secret_is_in_any_raw_byte(tmp_path: Path) -> None:
    await blank_database(tmp_path)
    canaries = [f"canary{number}".encode() for number in range(5)]

    def assert_silent() -> None:
        for file in tmp_path.iterdir():
            content = file.read_bytes()
            assert not [canary for canary in canaries if canary in content], file

    async with Database(tmp_path) as database:
        vault = await open_vault(database, tmp_path / "secret.key")
        store, credentials = DBManager(database, vault), Credentials(database, vault)
        (account,) = await created(store, an_account(cookie="cookie2=canary0"))
        await committed(store, edit(account, cookie="cookie2=canary1", cookie_version=2))
        await credentials.save_jar("shop", {"cookie2": "canary2"}, 2)
        await credentials.save_token("shop", device_id="d", access_token="canary3", expires_at_ms=2**52, based_on=2)
        await store.observe({"shop": Observation(state=AccountState.RUNNING)})
        assert_silent()
    assert_silent()
