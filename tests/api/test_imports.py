"""The routes of moving in: a file is looked at, carried out as a plan, reported row by row, and turned on."""

from __future__ import annotations

import asyncio
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from api.test_moving import ended
from shoal.auth.users import Role
from shoal.maintenance.moving import kept_plans
from support.moving.old_database import an_old_shop, write_sqlite
from support.servers.doors import Door, another_person, open_door
from support.site.standins import cookie_of, until

ENV = f"COOKIES_STR={cookie_of(7)}\nMODEL_NAME=qwen-max\nTOGGLE_KEYWORDS=。\n"


@pytest.fixture
async def empty(tmp_path: Path) -> AsyncIterator[Door]:
    async with open_door(tmp_path / "data") as opened:
        yield opened


def _left(door: Door) -> list[Path]:
    """Return the files that are left of uploads."""
    home = door.server.settings.data_dir / "imports"
    return list(home.rglob("*")) if home.exists() else []


async def _planned(door: Door, data: bytes, status: int = 200, **query: str) -> Any:
    return await door.call("POST", "/imports/plans", status, params={"name": "old.db", **query}, content=data)


async def test_an_old_database_is_looked_at_taken_in_reported_and_turned_on(empty: Door, tmp_path: Path) -> None:
    plan = await _planned(empty, write_sqlite(tmp_path / "old.db", an_old_shop()).read_bytes())
    assert (plan["source"], plan["file_name"]) == ("legacy", "old.db")
    assert empty.server.manager.accounts == {}  # nothing was stored
    assert _left(empty) == []  # and no file stays
    assert await empty.call("GET", f"/imports/plans/{plan['plan_id']}") == plan
    rows = await _rows(empty, f"/imports/plans/{plan['plan_id']}/rows")
    assert len(rows) == plan["oddities"]
    assert all(row["detail"] for row in rows)

    run = await empty.call("POST", "/imports", json={"plan_id": plan["plan_id"]})
    await ended(empty.server.moving)
    run = await empty.call("GET", f"/imports/{run['id']}")
    assert (run["state"], run["done"], run["problem"], run["counts"]) == ("done", run["total"], None, plan["counts"])
    assert await _rows(empty, f"/imports/{run['id']}/rows") == rows
    skipped = [row for row in rows if row["fate"] == "skipped"]
    assert await _rows(empty, f"/imports/{run['id']}/rows", fate="skipped") == skipped
    assert (await empty.call("GET", "/imports"))["items"] == [run]
    gone = await empty.call("GET", f"/imports/plans/{plan['plan_id']}", 404)
    assert gone["code"] == "unknown_import_plan"

    names = [one["id"] for one in run["was_on"] if one["kind"] == "accounts"]
    assert names
    assert not any(empty.server.manager.accounts[name].enabled for name in names)
    refused = await empty.call("POST", f"/imports/{run['id']}/start", 409, json={"old_system_stopped": False})
    assert refused["code"] == "old_system_runs"
    assert not any(empty.server.manager.accounts[name].enabled for name in names)
    started = await empty.call("POST", f"/imports/{run['id']}/start", json={"old_system_stopped": True})
    assert {(one["outcome"], one["problem"]) for one in started["items"]} == {("on", None)}
    assert all(empty.server.manager.accounts[name].enabled for name in names)
    assert (await empty.call("GET", f"/imports/{run['id']}"))["turned_on_at"] is not None


async def _rows(door: Door, path: str, **query: str) -> list[Any]:
    found: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await door.call("GET", path, params={"limit": 7, **query, **({"cursor": cursor} if cursor else {})})
        found += page["items"]
        cursor = page["next"]
    return found


async def test_settings_of_xianyu_auto_agent_give_one_shop_that_is_off(empty: Door) -> None:
    plan = await _planned(empty, ENV.encode(), name=".env")
    assert plan["source"] == "autoagent"
    rows = await _rows(empty, f"/imports/plans/{plan['plan_id']}/rows")
    assert {row["code"] for row in rows} >= {"env_toggle", "history_stays", "prompts_absent"}
    await empty.call("POST", "/imports", json={"plan_id": plan["plan_id"]})
    await ended(empty.server.moving)
    (account,) = empty.server.manager.accounts.values()
    assert (account.enabled, account.pause_duration, account.cookie) == (False, 60, cookie_of(7))


async def test_a_plan_is_its_users_own_is_kept_for_an_hour_and_can_be_forgotten(
    empty: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await _planned(empty, ENV.encode())
    async with another_person(empty) as bob:
        for path in (f"/imports/plans/{first['plan_id']}", f"/imports/plans/{first['plan_id']}/rows"):
            assert (await bob.call("GET", path, 404))["code"] == "unknown_import_plan"
        refused = await bob.call("POST", "/imports", 404, json={"plan_id": first["plan_id"]})
        assert refused["code"] == "unknown_import_plan"
    second = await _planned(empty, ENV.encode())
    await empty.call("GET", f"/imports/plans/{first['plan_id']}", 404)  # the newest one counts
    await empty.call("DELETE", f"/imports/plans/{second['plan_id']}")
    await empty.call("DELETE", f"/imports/plans/{second['plan_id']}", 404)
    third = await _planned(empty, ENV.encode())
    monkeypatch.setattr(empty.server.moving_plans, "_now", lambda: 1e12)
    await empty.call("GET", f"/imports/plans/{third['plan_id']}", 404)
    monkeypatch.setattr(kept_plans, "MOST", 1)
    kept = empty.server.moving_plans
    plan = kept.keep(1, "a", first and kept.keep(2, "b", None).plan)  # type: ignore[arg-type]
    assert set(kept._plans) == {1}
    assert kept.get(1, plan.id) is plan


async def test_staff_and_tokens_move_nothing_in_and_others_bring_no_users(empty: Door, tmp_path: Path) -> None:
    database = write_sqlite(tmp_path / "old.db", an_old_shop()).read_bytes()
    async with another_person(empty, "zoe", role=Role.STAFF) as staff:
        assert (await _planned(staff, ENV.encode(), 403))["code"] == "staff_owns_none"
    async with another_person(empty) as owner:
        refused = await _planned(owner, database, 422)
        assert refused["code"] == "moving_choose_user"
        plan = await _planned(owner, database, only_user="admin")
        assert "users" not in {one["kind"] for one in plan["counts"] if one["taken"]}
        run = await owner.call("POST", "/imports", json={"plan_id": plan["plan_id"]})
        await ended(empty.server.moving)
        bob = await empty.server.users.by_name("bob")
        assert bob is not None
        assert {one.owner_id for one in empty.server.manager.accounts.values()} == {bob.id}
    assert (await empty.call("GET", f"/imports/{run['id']}", 404))["code"] == "unknown_import"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "moving_empty_file"),
        (b"x" * 1024**2 + b"x", "moving_too_large"),
        (b"hello", "moving_unknown_file"),
        (b"\x00" * 100, "moving_unknown_file"),
    ],
)
async def test_a_file_that_cannot_be_used_is_refused_with_what_to_do_and_leaves_nothing(
    empty: Door, data: bytes, code: str
) -> None:
    empty.server.moving_uploads._most_bytes = 1024**2
    refused = await _planned(empty, data, 413 if code == "moving_too_large" else 422)
    assert (refused["code"], "{" in refused["detail"]) == (code, False)
    assert _left(empty) == []


async def test_a_user_sends_one_file_at_a_time_and_one_who_leaves_leaves_nothing(empty: Door) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield ENV.encode()
        begun.set()
        await go_on.wait()
        yield b"\n"

    sending = asyncio.create_task(empty.client.post("/imports/plans", content=slow()))
    await begun.wait()
    assert (await _planned(empty, ENV.encode(), 409))["code"] == "moving_sends_already"
    await until(lambda: any(one.is_file() for one in _left(empty)))  # a thread writes it
    (path,) = (one for one in _left(empty) if one.is_file())
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    go_on.set()
    assert (await sending).status_code == 200
    assert _left(empty) == []


async def test_what_a_crash_left_of_an_upload_is_swept_at_the_start(tmp_path: Path) -> None:
    left = tmp_path / "data" / "imports" / "0123"
    left.mkdir(parents=True)
    (left / "file").write_text("COOKIES_STR=unb=1")
    async with open_door(tmp_path / "data"):
        assert not left.parent.exists()


async def test_an_archive_of_the_folder_brings_prompts(empty: Door, tmp_path: Path) -> None:
    file = tmp_path / "agent.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("agent/.env", ENV)
        archive.writestr("agent/prompts/price_prompt.txt", "便宜一点")
    plan = await _planned(empty, file.read_bytes())
    rows = await _rows(empty, f"/imports/plans/{plan['plan_id']}/rows", fate="taken")
    assert "price_prompt.txt" in {row["row"] for row in rows}
    assert "qwen" not in str(rows)
