"""Daily backups over the API: off without settings, one made at once with them; and the older system's paths."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from shoal.maintenance.backup.locks import new_key_pair
from support.servers.doors import Door, another_person, in_shell, open_door, served


async def test_without_the_settings_they_are_off(door: Door) -> None:
    seen = await door.call("GET", "/system/backups")
    assert (seen["on"], seen["last_at"], seen["next_at"]) == (False, None, None)
    assert (await door.call("POST", "/system/backups/make", 409))["code"] == "backups_off"
    assert await door.call("GET", "/admin/backup/list") == {"backups": [], "total": 0}


async def test_one_is_made_at_once_and_listed(tmp_path: Path) -> None:
    _, public = new_key_pair()
    (tmp_path / "backups").mkdir()
    async with open_door(tmp_path / "data", backup_dir=tmp_path / "backups", backup_key=public) as door:
        assert (await door.call("GET", "/system/backups"))["on"] is True
        made = await door.call("POST", "/system/backups/make")
        assert (made["failed_at"], made["why"], made["running"]) == (None, "", False)
        assert made["rows"] > 0
        assert made["next_at"] > made["last_at"]
        (path,) = (tmp_path / "backups").iterdir()
        assert (path.name, path.stat().st_size) == (made["file"], made["bytes"])
        listed = await door.call("GET", "/admin/backup/list")
        assert (listed["total"], listed["backups"][0]["filename"]) == (1, path.name)
        async with another_person(door) as bob:
            await bob.call("POST", "/system/backups/make", 403)


async def test_those_in_the_directory_are_listed_with_what_opens_each_and_how_long_each_stays(tmp_path: Path) -> None:
    directory = tmp_path / "backups"
    directory.mkdir()
    _, public = new_key_pair()
    async with open_door(tmp_path / "data", backup_dir=directory, backup_key=public) as door:
        begun = await door.call("POST", "/system/backups/make?wait=false")
        assert (begun["running"], begun["backups"], begun["last_at"]) == (True, [], None)
        assert begun["began_at"]
        assert (await door.call("POST", "/system/backups/make?wait=false", 409))["code"] == "backup_running"
        seen = await door.call("GET", "/system/backups")
        while seen["running"]:
            await asyncio.sleep(0.05)
            seen = await door.call("GET", "/system/backups")
        (made,) = seen["backups"]
        assert (made["name"], made["bytes"], made["made_at"]) == (
            seen["file"],
            seen["bytes"],
            seen["last_at"][:19] + ".000Z",
        )
        assert (made["verified"], made["sealed_to"], made["is_present_key"]) == (True, public, True)
        assert (seen["began_at"], seen["written"], seen["why"], seen["unreadable"]) == (None, 0, "", "")
        # of the last days, weeks and months it is the only one, until the next one is made, perhaps on the same day
        assert made["kept_until"] >= seen["next_at"]
        (directory / "shoal-00000000-20200101-000000.shoalbackup").write_bytes(b"nonsense")
        (directory / "shoal-00000000-20200102-000000.shoalbackup").symlink_to(directory / "gone")
        (directory / "notes.txt").write_text("mine")
        listed = (await door.call("GET", "/system/backups"))["backups"]
        assert [one["name"] for one in listed] == [made["name"], "shoal-00000000-20200101-000000.shoalbackup"]
        assert (listed[1]["verified"], listed[1]["sealed_to"], listed[1]["kept_until"]) == (False, "", None)


async def test_in_the_shell_they_are_listed_and_one_is_made_now(tmp_path: Path) -> None:
    _, public = new_key_pair()
    async with open_door(tmp_path / "off") as door, served(door) as url:
        token = await door.server.sessions.open(1, 3600)
        code, said = await in_shell(url, token, "backup", "list")
        assert (code, "SHOAL_BACKUP_DIR" in said) == (0, True), said
        code, said = await in_shell(url, token, "backup", "now")
        assert code == 1, said
    (tmp_path / "backups").mkdir()
    settings: dict[str, Any] = {"backup_dir": tmp_path / "backups", "backup_key": public}
    async with open_door(tmp_path / "data", **settings) as door, served(door) as url:
        token = await door.server.sessions.open(1, 3600)
        code, said = await in_shell(url, token, "backup", "now")
        (made,) = (tmp_path / "backups").iterdir()
        assert (code, made.name in said) == (0, True), said
        code, said = await in_shell(url, token, "backup", "list")
        assert (code, "the private key" in said, "whole when made" in said) == (0, True, True), said
        (tmp_path / "data" / "secret.key").rename(tmp_path / "secret.key")
        code, said = await in_shell(url, token, "backup", "now", "--json")
        found = json.loads(said)
        assert (code, found["file"], bool(found["failed_at"])) == (1, made.name, True), said
        code, said = await in_shell(url, token, "backup", "list")
        assert (code, "failed" in said) == (0, True), said


async def test_a_server_that_ends_gives_up_the_backup_that_was_asked_for(tmp_path: Path) -> None:
    _, public = new_key_pair()
    directory = tmp_path / "backups"
    directory.mkdir()
    async with open_door(tmp_path / "data", backup_dir=directory, backup_key=public) as door:
        await door.call("POST", "/system/backups/make?wait=false")
    assert not list(directory.glob("*.shoalbackup"))


async def test_ones_own_settings_are_exported_in_the_older_form_without_a_cookie(door: Door) -> None:
    await door.add("shop", 1)
    await door.call("POST", "/keywords/shop", json={"keywords": {"在吗": "在的"}})
    async with another_person(door) as bob:
        await bob.add("theirs", 2)
        answer = await door.client.get("/backup/export")
        assert answer.status_code == 200
        assert "xianyu_backup_admin_" in answer.headers["content-disposition"]
        assert "cookie2" not in answer.text
        data = answer.json()["data"]
        assert [row[:2] for row in data["cookies"]["rows"]] == [["shop", ""]]
        (rule,) = data["keywords"]["rows"]
        named = dict(zip(data["keywords"]["columns"], rule, strict=True))
        assert (named["cookie_id"], named["keyword"], named["reply"], named["type"]) == ("shop", "在吗", "在的", "text")
        assert data["cookie_status"]["rows"] == [["shop", 1]]
        assert (await bob.call("GET", "/backup/export"))["data"]["cookies"]["rows"][0][0] == "theirs"
