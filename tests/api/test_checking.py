"""A large database is checked beside the first reads: nothing connects and nothing changes before it has passed."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from shoal.errors import StoreError
from shoal.server.reply_server import build_app
from shoal.storage import integrity_check
from shoal.storage.data_directory import DATABASE_FILE
from support.servers.doors import Door, client_of, living, open_door
from support.site.standins import ANN, FakeSite, quick_settings, until_told


class HeldCheck:
    """The check of every file, which ends when it is told to."""

    def __init__(self) -> None:
        self.begun, self.may_end = threading.Event(), threading.Event()
        self.is_sound = integrity_check.is_sound

    def __call__(self, connection: Connection) -> bool:
        self.begun.set()
        assert self.may_end.wait(60)
        return self.is_sound(connection)


@pytest.fixture
async def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[HeldCheck]:
    """A closed server's data in ``tmp_path``; the check of the next start is held."""
    await _fill(tmp_path)
    check = HeldCheck()
    monkeypatch.setattr("shoal.storage.database_preparation.SMALL_BYTES", 0)
    monkeypatch.setattr("shoal.storage.integrity_check.is_sound", check)
    yield check
    check.may_end.set()


@asynccontextmanager
async def _opened_again(data_dir: Path) -> AsyncIterator[Door]:
    """The server on data that it has, with a session from before."""
    site = FakeSite()
    settings = quick_settings(data_dir=data_dir, site_passport_url="http://127.0.0.1:9")
    app = build_app(settings, connect=site.connect)
    async with living(app):
        token = (data_dir / "token").read_text()
        async with client_of(app, token) as client:
            yield Door(app, client, site)


async def _fill(data_dir: Path) -> None:
    async with open_door(data_dir) as door:
        for number, name in enumerate(("shop", "other"), start=1):
            await door.add(name, number)
        await door.call("PUT", "/cookies/shop/remark", json={"remark": "before"})
        (data_dir / "token").write_text(await door.server.sessions.open(1, 3600))


async def test_reads_are_served_at_once_and_changes_and_connections_wait_for_the_check(
    tmp_path: Path, held: HeldCheck
) -> None:
    async with _opened_again(tmp_path) as door:
        assert held.begun.wait(60)
        assert (await door.call("GET", "/cookies/shop"))["desired"]["remark"] == "before"
        assert await door.call("GET", "/cookies") == ["shop", "other"]
        assert await door.call("GET", "/cookies/shop/history")
        for change in (
            ("PUT", "/cookies/shop/remark", {"remark": "now"}),
            ("PUT", "/cookies/shop/status", {"enabled": False}),
            ("POST", "/login", {"username": "admin", "password": "x"}),
            ("DELETE", "/cookies/shop", None),
        ):
            answer = await door.client.request(*change[:2], json=change[2])
            assert (answer.status_code, answer.json()["code"]) == (503, "store_checking"), change
            assert int(answer.headers["retry-after"]) > 0
        ready = await door.call("GET", "/health/ready", 503)
        assert (ready["ready"], ready["services"]) == (False, {"cookie_manager": "ok", "database": "checking"})
        assert (await door.call("GET", "/health"))["services"]["database"] == "checking"
        assert (await door.call("GET", "/system/status"))["store"]["checking"] is True
        with pytest.raises(StoreError, match="being checked"):  # what no request asked for is refused too
            await door.server.database.write(lambda _: None)
        with pytest.raises(StoreError, match="being checked"):
            await door.server.manager.update_settings("shop", {"paid_message": "of no request"}, caller=ANN)
        assert (await door.call("GET", "/cookies/shop"))["state"] == "stopped"
        assert door.site.ever == {}
        held.may_end.set()
        await until_told(lambda: _state(door), "running")
        assert door.site.ever == {"shop": 1, "other": 1}
        await door.call("PUT", "/cookies/shop/remark", json={"remark": "now"})
        history = (await door.call("GET", "/cookies/shop/history"))["items"]
        assert not any("paid_message" in entry["changes"] for entry in history[:-1]), "what was refused is not written"
        assert (await door.call("GET", "/health/ready"))["services"]["database"] == "ok"
        assert (await door.call("GET", "/system/status"))["store"]["checking"] is False


async def _state(door: Door) -> Any:
    return (await door.call("GET", "/cookies/shop"))["state"]


async def test_a_server_that_is_stopped_during_the_check_does_not_wait_for_its_end(
    tmp_path: Path, held: HeldCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(connection: Connection) -> bool:
        held.begun.set()
        count = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
        return bool(connection.exec_driver_sql(count).scalar())

    monkeypatch.setattr("shoal.storage.integrity_check.is_sound", endless)
    async with _opened_again(tmp_path) as door:
        assert held.begun.wait(60)
        await door.call("GET", "/cookies/shop")
    assert door.site.ever == {}


async def test_a18_damage_that_is_found_late_ends_the_start_with_the_same_sentence(
    tmp_path: Path, held: HeldCheck
) -> None:
    _spoil(tmp_path / DATABASE_FILE, "ix_ops_at_ms")  # no start reads it: only a check finds that
    async with _opened_again(tmp_path) as door:
        assert held.begun.wait(60)
        assert await door.call("GET", "/cookies") == ["shop", "other"]
        held.may_end.set()
        with pytest.raises(StoreError, match="is damaged; keep it, and restore your newest backup") as found:
            await asyncio.wait_for(asyncio.shield(door.app.state.started), 60)
        assert found.value.code == "database_damaged"
        answer = await door.client.put("/cookies/shop/remark", json={"remark": "now"})
        assert (answer.status_code, answer.json()["code"]) == (503, "store_checking")
        assert door.site.ever == {}


async def test_a18_damage_that_prevents_the_opening_is_told_as_damage(tmp_path: Path, held: HeldCheck) -> None:
    _spoil(tmp_path / DATABASE_FILE, "accounts")
    held.may_end.set()
    with pytest.raises(StoreError, match="is damaged; keep it, and restore your newest backup") as found:
        async with _opened_again(tmp_path):
            pass
    assert found.value.code == "database_damaged"


def _spoil(file: Path, name: str) -> None:
    """Overwrite the first page of a table or an index."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        root = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,)).fetchone()[0]
    with file.open("r+b") as raw:
        raw.seek((root - 1) * size)
        raw.write(b"\x7f" * size)
