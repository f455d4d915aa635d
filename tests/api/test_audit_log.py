"""The security log over the API: what is noted of the doors, and who may read it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shoal.auth.audit_entries import AuditEvent
from shoal.errors import ConfigError
from shoal.storage.data_directory import KEY_FILE
from support.servers.doors import Door, another_person, client_of, open_door

PASSWORD = "a good password 1"


async def noted(door: Door, **sought: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (await door.call("GET", "/security-log", params=sought))["items"]
    return rows


async def test_signing_in_and_out_and_a_new_password_are_noted(tmp_path: Path) -> None:
    async with open_door(tmp_path / "data", admin_password=PASSWORD) as door, client_of(door.app) as somebody:
        for name in ("admin", "nobody at all", "admin"):
            await somebody.post("/login", json={"username": name, "password": "wrong"})
        token = (await somebody.post("/login", json={"username": "admin", "password": PASSWORD})).json()["token"]
        headers = {"Authorization": f"Bearer {token}"}
        for old in ("wrong", PASSWORD):
            words = {"current_password": old, "new_password": "another good one 2"}
            await somebody.post("/change-admin-password", json=words, headers=headers)
        await somebody.post("/logout", headers=headers)
        again = await door.server.sessions.open(1, 3600)  # the new password ended the first one
        door.client.headers["Authorization"] = f"Bearer {again}"
        rows = [(row["kind"], row["outcome"], row["username"], row["times"]) for row in reversed(await noted(door))]
        assert rows == [
            ("person_made", "ok", None, 1),
            ("sign_in", "wrong_login", "admin", 2),
            ("sign_in", "wrong_login", None, 1),
            ("sign_in", "ok", "admin", 1),
            ("password_changed", "wrong_password", "admin", 1),
            ("password_changed", "ok", "admin", 1),
            ("sign_out", "ok", "admin", 1),
        ]
        assert "nobody at all" not in (await door.client.get("/security-log")).text
        [row] = await noted(door, kind="sign_in", outcome="ok", user="admin")
        assert (row["actor"], row["origin"], row["account"]) == ("user:admin", "api 127.0.0.1", None)


async def test_the_consoles_door_notes_its_visitors_and_pages_of_others(tmp_path: Path) -> None:
    async with open_door(tmp_path / "data", admin_password=PASSWORD) as door, client_of(door.app) as browser:
        ours, theirs = {"Origin": "http://shoal.test"}, {"Origin": "http://evil.example"}
        said = {"name": "admin", "password": PASSWORD}
        assert (await browser.post("/console/session", json=said, headers=theirs)).status_code == 403
        await browser.post("/console/session", json={**said, "password": "wrong"}, headers=ours)
        assert (await browser.post("/console/session", json=said, headers=ours)).status_code == 200
        await browser.delete("/console/session", headers=ours)
        rows = [(row["kind"], row["outcome"], row["origin"]) for row in reversed(await noted(door))][1:]
        assert rows == [
            ("refused_origin", "foreign_origin", "console 127.0.0.1"),
            ("sign_in", "wrong_login", "console 127.0.0.1"),
            ("sign_in", "ok", "console 127.0.0.1"),
            ("sign_out", "ok", "console 127.0.0.1"),
        ]
        [refused] = await noted(door, kind="refused_origin")
        assert refused["facts"] == {"page": "http://evil.example", "path": "/console/session"}


async def test_an_administrator_reads_all_and_others_what_is_about_them(door: Door) -> None:
    notes = door.server.audit_log
    async with another_person(door) as bob:
        await bob.add("bobs", 2)
        person = await door.server.users.by_name("bob")
        assert person is not None
        await notes.record(AuditEvent.TOKEN_MADE, actor="user:bob", user_id=person.id)
        await notes.record(AuditEvent.PERMISSION_GIVEN, actor="user:bob", user_id=1, account="bobs")
        await notes.record(AuditEvent.PERMISSION_GIVEN, actor="user:admin", user_id=77, account="shop")
        assert [(row["kind"], row["account"]) for row in await noted(bob)] == [
            ("right_given", "bobs"), ("token_made", None),
        ]  # fmt: skip
        assert {row["account"] for row in await noted(door)} == {None, "bobs", "shop"}
    async with client_of(door.app) as nobody:
        assert (await nobody.get("/security-log")).status_code == 401


async def test_it_is_read_by_pages_and_taken_away_as_lines(door: Door) -> None:
    for number in range(7):
        await door.server.audit_log.record(AuditEvent.TOKEN_MADE, actor="user:admin", user_id=1, label=str(number))
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        asked = {"kind": "token_made", "limit": 3, **({"cursor": cursor} if cursor else {})}
        page = await door.call("GET", "/security-log", params=asked)
        seen += [row["facts"]["label"] for row in page["items"]]
        cursor = page["next"]
    assert seen == ["6", "5", "4", "3", "2", "1", "0"]
    answer = await door.client.get("/security-log", params={"format": "lines", "kind": "token_made"})
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert [json.loads(line)["facts"]["label"] for line in answer.text.splitlines()] == seen
    empty = await door.client.get("/security-log", params={"format": "lines", "user": "nobody"})
    assert (empty.status_code, empty.text) == (200, "")


async def test_a_start_that_its_key_prevented_is_noted(tmp_path: Path) -> None:
    async with open_door(tmp_path / "data"):
        pass
    key_file = tmp_path / "data" / KEY_FILE
    kept = key_file.read_text()
    key_file.chmod(0o644)
    with pytest.raises(ConfigError):
        async with open_door(tmp_path / "data"):
            pass
    key_file.chmod(0o600)
    assert key_file.read_text() == kept
    async with open_door(tmp_path / "data") as door:
        [row] = await noted(door, kind="key_trouble")
        assert (row["outcome"], row["actor"]) == ("key_file_open_to_others", "server")
