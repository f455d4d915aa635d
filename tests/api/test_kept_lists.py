"""The list of accounts is made anew exactly when something in it, or who may see it, differs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from shoal.accounts.account import AccountState
from shoal.api.schemas import kept_accounts
from shoal.api.schemas.kept_accounts import KeptAccounts
from shoal.auth.permission import Permission
from support.servers.doors import Door, another_person, open_door
from support.site.standins import until


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with open_door(tmp_path) as opened:
        await opened.add()
        await until(lambda: opened.server.manager.observation("shop").state is AccountState.RUNNING)
        yield opened


async def rows(door: Door) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await door.call("GET", "/cookies/details")
    return found


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows were joined, for each list that was made."""
    lists: list[int] = []
    join = KeptAccounts.rows

    def counted(self: KeptAccounts, accounts: Any) -> list[bytes]:
        found = join(self, accounts)
        lists.append(len(found))
        return found

    monkeypatch.setattr(KeptAccounts, "rows", counted)
    return lists


async def test_the_list_is_made_once_while_nothing_differs(door: Door, made: list[int]) -> None:
    before = await rows(door)
    for _ in range(5):
        assert await rows(door) == before
    assert made == [1]


async def test_each_change_and_each_move_is_in_the_next_list(door: Door, made: list[int]) -> None:
    await rows(door)
    await door.call("PUT", "/cookies/shop/remark", json={"remark": "new"})
    assert (await rows(door))[0]["remark"] == "new"
    await door.call("PUT", "/cookies/shop/status", json={"enabled": False})
    await until(lambda: door.server.manager.observation("shop").state is AccountState.STOPPED)
    [row] = await rows(door)
    assert (row["enabled"], row["state"]) == (False, "stopped")
    await door.add("second", 2)
    assert [row["id"] for row in await rows(door)] == ["shop", "second"]
    await door.call("DELETE", "/cookies/shop")
    assert door.server.kept_accounts._lists == {}
    assert [row["id"] for row in await rows(door)] == ["second"]
    assert made == [1, 1, 1, 2, 1]


async def test_a_grant_is_in_the_next_list_and_its_end_too(door: Door) -> None:
    async with another_person(door) as bob:
        authorization, who = door.server.authorization, await door.principal(2)
        assert await rows(bob) == []
        await authorization.give(door.account(), who.id, Permission.READ, given_by="admin")
        assert [(row["id"], row["permission"]) for row in await rows(bob)] == [("shop", "read")]
        await authorization.give(door.account(), who.id, Permission.OPERATE, given_by="admin")
        assert [row["permission"] for row in await rows(bob)] == ["operate"]
        await authorization.take("shop", who.id)
        assert await rows(bob) == []
        await authorization.give(door.account(), who.id, Permission.READ, given_by="admin")
        assert len(await rows(bob)) == 1
        authorization.forget_user(who.id)
        assert await rows(bob) == []
        assert len(await rows(door)) == 1


async def test_each_scope_of_a_token_has_its_own_list(door: Door) -> None:
    await door.add("second", 2)
    tokens = door.server.api_tokens
    every, _ = await tokens.make(1, "every", Permission.READ, days=1)
    one, _ = await tokens.make(1, "one", Permission.OWN, days=1, only_accounts=["second"])
    for _ in range(2):
        assert [row["permission"] for row in await rows(door)] == ["own", "own"]
        for token, expected in ((every, [("shop", "read"), ("second", "read")]), (one, [("second", "own")])):
            found = await door.call("GET", "/cookies/details", headers={"Authorization": f"Bearer {token}"})
            assert [(row["id"], row["permission"]) for row in found] == expected


async def test_lists_of_many_users_are_not_kept_for_ever(door: Door) -> None:
    kept, who = door.server.kept_accounts, await door.principal()
    for scope in range(40):
        token, _ = await door.server.api_tokens.make(1, str(scope), Permission.READ, days=1, only_accounts=[str(scope)])
        await door.call("GET", "/cookies/details", headers={"Authorization": f"Bearer {token}"})
    assert len(kept._lists) <= 16
    assert await kept.details(door.server.authorization, who)


async def test_a_list_that_is_made_while_an_account_changes_is_not_kept(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_accounts, "_SLICE", 1)
    for number in range(2, 5):
        await door.add(f"shop{number}", number)
    kept, who = door.server.kept_accounts, await door.principal()
    making = asyncio.create_task(kept.details(door.server.authorization, who))
    await asyncio.sleep(0)
    assert not making.done(), "the loop has turns between the rows"
    await door.call("DELETE", "/cookies/shop4")
    assert [row["id"] for row in json.loads(await making)] == ["shop", "shop2", "shop3", "shop4"]
    assert [row["id"] for row in await rows(door)] == ["shop", "shop2", "shop3"]
