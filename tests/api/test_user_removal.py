"""A person is removed: first the door is closed, then every shop ends, last the person goes (A22)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from shoal.accounts.account import Account
from shoal.accounts.account_task import Link
from shoal.accounts.change_path import Caller
from shoal.auth import user_removal
from shoal.errors import NotApplied, Unauthenticated
from shoal.storage.schema import accounts
from shoal.storage.user_tables import sessions, users
from support.servers.doors import Door, another_person, open_door
from support.site.standins import cookie_of, until


async def _owners(door: Door) -> list[tuple[str, int, bool]]:
    query = select(accounts.c.id, accounts.c.owner_id, accounts.c.deleted).order_by(accounts.c.id)
    rows = await door.server.database.read(lambda connection: connection.execute(query).all())
    return [(row.id, row.owner_id, row.deleted) for row in rows]


async def test_a22_who_is_removed_leaves_no_shop_that_answers(door: Door) -> None:
    async with another_person(door) as bob:
        for number in (2, 3, 4):
            await bob.add(f"bobs{number}", number)
        await bob.call("PUT", "/cookies/bobs4/status", json={"enabled": False})
        await bob.call("POST", "/keywords/bobs2", json={"keywords": {"在吗": "在的"}})
        assert bob.site.live["bobs2"] == 1
        preview = await door.call("DELETE", "/users/2?dry_run=1")
        shops = ["bobs2", "bobs3", "bobs4"]
        assert preview == {"id": 2, "username": "bob", "shops": shops, "removed": False, "leaving": False}
        await bob.call("GET", "/me")
        assert bob.site.live["bobs2"] == 1
        gone = await door.call("DELETE", "/users/2")
        assert gone == {"id": 2, "username": "bob", "shops": shops, "removed": True, "leaving": False}
        assert {name: bob.site.live[name] for name in ("bobs2", "bobs3", "bobs4", "shop")} == {
            "bobs2": 0, "bobs3": 0, "bobs4": 0, "shop": 1,
        }  # fmt: skip
        assert set(door.server.manager.tasks) == {"shop"}
        assert set(door.server.manager.accounts) == {"shop"}
        assert [row for row in await _owners(door) if not row[2]] == [("shop", 1, False)]
        await bob.call("GET", "/me", 401)
    assert (await door.call("DELETE", "/users/2", 404))["code"] == "unknown_person"
    assert (await door.call("DELETE", "/users/1", 409))["code"] == "last_admin"
    assert [one["username"] for one in (await door.call("GET", "/users"))["items"]] == ["admin"]
    again = await door.call("POST", "/users", json={"username": "bob", "password": "a password of theirs"})
    assert (again["id"], again["shops"]) == (3, 0)
    row = (await door.server.database.read(lambda connection: connection.execute(select(sessions)).all()))[0]
    assert row.user_id == 1


async def test_a22_a_removal_that_the_end_of_the_server_cut_in_two_goes_on_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_: object, **_more: object) -> None:
        raise NotApplied("the disk is full")

    data = tmp_path / "data"
    async with open_door(data) as door, another_person(door) as bob:
        await bob.add("bobs", 2)
        await bob.add("bobs2", 3)
        monkeypatch.setattr(door.server.manager, "remove_cookie", refused)
        await door.server.user_removal.begin(2, Caller(actor="user:admin"))
    async with open_door(data) as door:
        await until(lambda: "bobs" not in door.server.manager.tasks and "bobs2" not in door.server.manager.tasks)
        await door.server.user_removal.gone(2, within_seconds=60)
        assert await door.server.users.get(2) is None
        assert door.site.live.get("bobs", 0) == 0
        assert [name for name, _, deleted in await _owners(door) if not deleted] == []


async def test_a_shop_that_is_being_added_while_its_owner_goes_goes_too(door: Door) -> None:
    async with another_person(door):
        manager = door.server.manager
        caller = Caller(actor="user:bob", owner_id=2)
        hold = await manager._task_locks.acquire("late", "test")
        adding = [
            asyncio.create_task(manager.add_cookie(f"new{number}", cookie_of(number), owner_id=2, caller=caller))
            for number in (2, 3)
        ]
        late = asyncio.create_task(manager.add_cookie("late", cookie_of(4), owner_id=2, caller=caller))
        await until(lambda: {"new2", "new3"} <= {*manager.pending, *manager.accounts})  # committing, or just committed
        removing = asyncio.create_task(door.call("DELETE", "/users/2"))
        answer = await removing
        hold.release()
        assert answer["removed"]
        with pytest.raises(Unauthenticated):
            await late
        await asyncio.gather(*adding, return_exceptions=True)
        assert [name for name, _, deleted in await _owners(door) if not deleted] == ["shop"]
        assert set(manager.accounts) == {"shop"}


async def test_a_database_that_refuses_delays_a_removal_and_does_not_end_it(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_removal, "AGAIN_SECONDS", (0.01, 0.02))
    async with another_person(door) as bob:
        await bob.add("bobs", 2)
        real, refusals = door.server.manager.remove_cookie, iter(range(3))

        async def remove(account_id: str, **more: Any) -> Any:
            if next(refusals, None) is not None:
                raise NotApplied("the disk is full")
            return await real(account_id, **more)

        monkeypatch.setattr(door.server.manager, "remove_cookie", remove)
        assert (await door.call("DELETE", "/users/2"))["removed"]
        assert bob.site.live["bobs"] == 0
    rows = await door.server.database.read(lambda connection: connection.execute(select(users.c.id)).all())
    assert [row.id for row in rows] == [1]


async def test_a_shop_that_takes_its_time_to_end_is_waited_for_by_asking_again(tmp_path: Path) -> None:
    async with open_door(tmp_path / "data", stop_wait_seconds=0.05) as door, another_person(door) as bob:
        may_end = asyncio.Event()

        async def stubborn(_account: Account, link: Link) -> None:
            link.running()
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.shield(may_end.wait())

        door.site.behave = stubborn
        await bob.add("bobs", 2)
        first = await door.call("DELETE", "/users/2")
        assert (first["removed"], first["leaving"]) == (False, True)
        (row,) = [one for one in (await door.call("GET", "/users"))["items"] if one["id"] == 2]
        assert (row["leaving"], row["active"]) == (True, False)
        assert (await door.call("PATCH", "/users/2", 409, json={"active": True}))["code"] == "person_leaving"
        assert (await door.call("DELETE", "/users/2"))["leaving"]
        may_end.set()
        assert await door.server.user_removal.gone(2, within_seconds=60)
        assert await door.server.users.get(2) is None
        assert door.site.live["bobs"] == 0
