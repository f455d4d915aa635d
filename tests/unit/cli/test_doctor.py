"""``shoal doctor``: what it finds in a directory, in a database, at the address and on the way to the site."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, insert
from typer.testing import CliRunner

from shoal.accounts.ownership import shard_of
from shoal.cli.app import app
from shoal.cli.doctor.machine import holder_of
from shoal.cli.doctor.servers import examine_servers
from shoal.sandbox import Clock
from shoal.storage.data_directory import LOCK_FILE, lock_directory
from shoal.storage.schema import accounts
from shoal.storage.vault import Vault, write_key_file
from support.network.certificates import untrusted_server
from support.network.proxies import small_proxy
from support.runs.quick_start import blank_database
from support.servers.doors import open_door, served
from support.site.sandbox_driver import sandbox

CANARY = "CANARY0doctor"


class Doctor:
    """The command in a data directory, and what it found."""

    def __init__(self, directory: Path, **settings: str) -> None:
        self.directory = directory
        self.settings = settings

    async def finds(self, *words: str, code: int | None = None) -> dict[str, tuple[str, str]]:
        """Look, and return the level and what was said of each thing; of several that which is worst."""
        environment = {"SHOAL_DATA_DIR": str(self.directory), "SHOAL_PORT": "0", "LC_ALL": "C", **self.settings}
        done = await asyncio.to_thread(CliRunner().invoke, app, ["doctor", "--json", *words], env=environment)
        assert CANARY not in done.output
        answer: dict[str, Any] = json.loads(done.output)
        assert done.exit_code == (0 if answer["ok"] else 1), done.output
        assert code is None or done.exit_code == code, done.output
        assert all(row["do"] for row in answer["findings"] if row["level"] != "ok"), done.output
        found: dict[str, tuple[str, str]] = {}
        for row in sorted(answer["findings"], key=lambda row: ["ok", "warn", "fail"].index(row["level"])):
            found[row["name"]] = (row["level"], f"{row['detail']} {row['do']}")
        return found


@pytest.fixture
async def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a database and its key."""
    for name in list(os.environ):
        if name.startswith("SHOAL_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    directory = tmp_path / "data"
    await blank_database(directory)
    write_key_file(directory / "secret.key", [b"k" * 32])
    return directory


def _write(directory: Path, statement: str, *values: Any) -> None:
    with sqlite3.connect(directory / "shoal.db") as connection:
        connection.execute(statement, values)
    connection.close()


def _names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def _files(directory: Path) -> dict[str, bytes]:
    """The files but those that SQLite lays beside a file that is being read."""
    return {path.name: path.read_bytes() for path in directory.iterdir() if "-" not in path.name}


def _add_account(directory: Path, account_id: str, column: str, sealed: bytes) -> None:
    row = {
        "id": account_id,
        "unb": account_id,
        "owner_id": 1,
        "generation": 1,
        "rev": 1,
        "created_at_ms": 0,
        column: sealed,
    }
    engine = create_engine(f"sqlite:///{directory}/shoal.db")
    with engine.begin() as connection:
        connection.execute(insert(accounts).values(shard=shard_of(account_id), **row))
    engine.dispose()


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


async def test_a_directory_that_is_right_is_found_so_and_left_as_it_is(data: Path) -> None:
    before = _files(data)
    found = await Doctor(data).finds("--offline", code=0)
    assert {level for level, _ in found.values()} <= {"ok", "warn"}
    assert found["key"] == ("ok", "1 key; every secret can be opened. ")
    assert _files(data) == before


async def test_a_directory_that_is_not_there_yet_is_no_trouble(data: Path) -> None:
    found = await Doctor(data.parent / "new").finds("--offline", code=0)
    assert "first start makes it" in found["data_dir"][1]
    assert found["database"][0] == "ok"
    assert "new" not in _names(data.parent)


@pytest.mark.slow
async def test_what_keeps_a_server_from_starting_is_named(data: Path, taken: int) -> None:
    await asyncio.to_thread(data.chmod, 0o755)
    await asyncio.to_thread((data / "secret.key").chmod, 0o644)
    found = await Doctor(data, SHOAL_PORT=str(taken)).finds("--offline", code=1)
    assert found["data_dir"][0] == "warn"
    assert f"chmod 700 {data}" in found["data_dir"][1]
    assert found["key"][0] == "fail"
    assert "chmod 600" in found["key"][1]
    assert found["server"][0] == "fail"
    assert f"port {taken} on 127.0.0.1 is in use" in found["server"][1]


async def test_a_setting_that_is_none_ends_the_look(data: Path) -> None:
    found = await Doctor(data, SHOAL_NOPE="1").finds("--offline", code=1)
    assert list(found) == ["settings"]
    assert "SHOAL_NOPE is not a setting" in found["settings"][1]


async def test_a_key_that_does_not_fit_the_secrets_is_found(data: Path) -> None:
    sealed = Vault([b"o" * 32]).seal(CANARY, column="accounts.cookie", account_id="shop")
    _add_account(data, "shop", "cookie_sealed", sealed)
    found = await Doctor(data).finds("--offline", code=1)
    assert found["key"][0] == "fail"
    assert "1 secret needs a key that is not here" in found["key"][1]
    write_key_file(data / "secret.key", [b"k" * 32, b"o" * 32])
    assert (await Doctor(data).finds("--offline", code=0))["key"][0] == "ok"
    (data / "secret.key").unlink()
    assert "is missing" in (await Doctor(data).finds("--offline", code=1))["key"][1]
    damaged = sealed[:-1] + bytes([sealed[-1] ^ 1])
    write_key_file(data / "secret.key", [b"o" * 32])
    _write(data, "UPDATE accounts SET cookie_sealed = ?", damaged)
    assert "1 secret cannot be opened" in (await Doctor(data).finds("--offline", code=1))["key"][1]


async def test_another_schema_is_told_apart_from_a_newer_one(data: Path) -> None:
    _write(data, "UPDATE alembic_version SET version_num = '0001'")
    found = await Doctor(data).finds("--offline", code=0)
    assert found["schema"][0] == "warn"
    assert "The next start upgrades it" in found["schema"][1]
    _write(data, "UPDATE alembic_version SET version_num = '9999'")
    assert (await Doctor(data).finds("--offline", code=1))["schema"][0] == "fail"


async def test_data_of_another_site_is_told(data: Path) -> None:
    _write(data, "INSERT INTO store_meta (key, value) VALUES ('site', 'http://elsewhere/')")
    found = await Doctor(data).finds("--offline", code=1)
    assert "belongs to the site http://elsewhere/" in found["bound_site"][1]
    assert found["schema"][0] == "ok"


async def test_a_damaged_file_and_a_missing_one_are_found(data: Path) -> None:
    file = data / "shoal.db"
    whole = file.read_bytes()
    page = 4096
    file.write_bytes(whole[: 2 * page] + os.urandom(20 * page) + whole[22 * page :])
    assert (await Doctor(data).finds("--offline", code=1))["database"][0] == "fail"
    file.unlink()
    (data / "shoal.marker").write_text("0123\n")
    assert "is missing or empty" in (await Doctor(data).finds("--offline", code=1))["database"][1]


async def test_a_database_that_does_not_answer_is_told_without_its_password(data: Path, taken: int) -> None:
    url = f"postgresql+psycopg://shoal:{CANARY}@127.0.0.1:1/shoal"
    found = await Doctor(data, SHOAL_DATABASE_URL=url).finds("--offline", code=1)
    assert found["database"][0] == "fail"


async def test_a_process_that_has_the_directory_is_seen_without_taking_its_lock(data: Path) -> None:
    assert holder_of(data / LOCK_FILE) is None
    handle = lock_directory(data)
    try:
        found = await Doctor(data, SHOAL_PORT="1").finds("--offline", code=0)
        assert found["server"][0] == "warn"
        assert f"Process {os.getpid()} uses the data directory" in found["server"][1]
    finally:
        os.close(handle)
    assert holder_of(data / LOCK_FILE) is None


@pytest.mark.slow
async def test_it_looks_beside_a_server_that_runs(data: Path) -> None:
    async with open_door(data) as door, served(door) as url:
        await door.add()
        found = await Doctor(data, SHOAL_PORT=url.rpartition(":")[2], **_nowhere()).finds("--offline", code=0)
        assert f"answers at {url}" in found["server"][1]
        assert found["database"][0] == "ok"
        port = url.rpartition(":")[2]
        for words, settings in (((), {"SHOAL_URL": url}), (("--url", url), {}), (("--port", port), {})):
            found = await Doctor(data, **settings, **_nowhere()).finds("--offline", *words, code=0)
            assert f"answers at {url}" in found["server"][1], words


@pytest.mark.slow
async def test_an_address_where_no_server_is_and_one_of_another_are_told(
    data: Path, taken: int, tmp_path: Path
) -> None:
    nowhere = f"http://127.0.0.1:{taken}"
    found = await Doctor(data, SHOAL_URL=nowhere).finds("--offline", code=0)
    assert found["server"][0] == "warn"
    assert f"No Shoal answers at {nowhere}, where commands look for it. Look at --url" in found["server"][1]
    assert (await Doctor(data, SHOAL_URL="nonsense").finds("--offline", code=1))["server"][0] == "fail"
    async with open_door(tmp_path / "other") as door, served(door) as url:
        found = await Doctor(data, **_nowhere()).finds("--offline", "--url", url, code=0)
        assert found["server"][0] == "warn"
        assert "uses another data directory" in found["server"][1]


async def test_each_other_server_is_tried_as_servers_call_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    async with untrusted_server(tmp_path) as untrusted, sandbox() as box:
        nowhere, unknown = "http://127.0.0.1:1", "http://no.such.host.invalid"
        found = await examine_servers([*zip("abcde", (box.url, untrusted, nowhere, unknown, ""), strict=True)])
    assert [(one.level.value, one.do != "") for one in found] == [("ok", False)] + [("fail", True)] * 4
    for one, words in zip(found, ("1 other", "not trusted", "cannot be", "not known", "says no"), strict=True):
        assert words in one.detail
    assert await examine_servers([]) == []


def _nowhere() -> dict[str, str]:
    return {"SHOAL_SITE_PASSPORT_URL": "http://127.0.0.1:9"}


async def test_the_way_to_the_site_is_tried_directly_and_through_each_proxy(data: Path) -> None:
    async with sandbox(clock=Clock()) as box, small_proxy("http", f"user:{CANARY}") as proxy:
        urls = {f"SHOAL_SITE_{name}_URL": box.url for name in ("MTOP", "PASSPORT", "UPLOAD")}
        urls["SHOAL_SITE_WS_URL"] = box.url.replace("http", "ws", 1) + "/"
        doctor = Doctor(data, SHOAL_ALLOW_PRIVATE_TARGETS="127.0.0.1", **urls)
        found = await doctor.finds(code=0)
        assert found["site"] == ("ok", "127.0.0.1 can be reached. ")
        assert found["clock"][0] in {"ok", "warn"}
        good = f"http://user:{CANARY}@127.0.0.1:{proxy.port}"
        for number, address in enumerate([good, good.replace("user", "other")]):
            sealed = Vault([b"k" * 32]).seal(address, column="accounts.proxy", account_id=f"shop{number}")
            _add_account(data, f"shop{number}", "proxy_sealed", sealed)
        found = await doctor.finds(code=1)
        assert found["proxies"][0] == "fail"
        assert f"http://***@127.0.0.1:{proxy.port} (1 shop): it refuses the connection" in found["proxies"][1]
        assert "site" not in found
    gone = await doctor.finds(code=1)
    assert gone["proxies"][0] == "fail"
