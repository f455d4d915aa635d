"""Daily backups over the API: off without settings, one made at once with them; and the older system's paths."""

from __future__ import annotations

from pathlib import Path

from doors import Door, another_person, open_door
from shoal.maintenance.backup.locks import new_key_pair


async def test_without_the_settings_they_are_off(door: Door) -> None:
    seen = await door.call("GET", "/system/backups")
    assert (seen["on"], seen["last_at"], seen["next_at"]) == (False, None, None)
    assert (await door.call("POST", "/system/backups/make", 409))["code"] == "backups_off"
    assert await door.call("GET", "/admin/backup/list") == {"backups": [], "total": 0}


async def test_one_is_made_at_once_and_listed(tmp_path: Path) -> None:
    _, public = new_key_pair()
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
