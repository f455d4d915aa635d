"""Many shops shared with one colleague in one request, and shops that an invitation brings with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from shoal.auth.permission import Permission
from shoal.auth.users import Role
from support.servers.doors import Door, another_person, client_of

PASSWORD = "zebra orbit lantern 7"


@pytest.fixture
async def bob(door: Door) -> AsyncIterator[Door]:
    await door.add("two", 2)
    async with another_person(door, role=Role.STAFF) as other:
        yield other


def _shares(permission: str | None, *names: str) -> dict[str, Any]:
    return {"username": "bob", "shops": [{"account": name, "permission": permission} for name in names]}


async def test_shops_are_shared_in_one_request_and_it_is_undone_by_what_was_before(door: Door, bob: Door) -> None:
    await door.server.authorization.give(door.account("two"), 2, Permission.READ, given_by="user:admin")
    sent = _shares("reply", "shop", "two", "nobodys")
    looked = (await door.call("PUT", "/staff?dry_run=1", 207, json=sent))["results"]
    assert [row["outcome"] for row in looked] == ["would_change", "would_change", "failed"]
    assert await bob.call("GET", "/cookies") == ["two"]
    made = (await door.call("PUT", "/staff", 207, json=sent))["results"]
    assert [(row["id"], row["outcome"], row["before"], row["permission"]) for row in made] == [
        ("shop", "changed", None, "reply"),
        ("two", "changed", "read", "reply"),
        ("nobodys", "failed", None, None),
    ]
    assert [row["permission"] for row in await bob.call("GET", "/cookies/details")] == ["reply", "reply"]
    assert (await door.call("GET", "/staff"))["items"] == [{"username": "bob", "active": True, "shops": 2}]
    again = await door.call("PUT", "/staff", json=_shares("reply", "shop", "two"))
    assert {row["outcome"] for row in again["results"]} == {"unchanged"}
    back = {"username": "bob", "shops": [{"account": row["id"], "permission": row["before"]} for row in made[:2]]}
    await door.call("PUT", "/staff", json=back)
    assert [(row["id"], row["permission"]) for row in await bob.call("GET", "/cookies/details")] == [("two", "read")]


async def test_a_colleague_shares_nothing_and_learns_of_no_user(door: Door, bob: Door) -> None:
    await door.server.authorization.give(door.account(), 2, Permission.OPERATE, given_by="user:admin")
    for username in ("admin", "nobody at all"):
        sent = {"username": username, "shops": [{"account": "shop", "permission": "read"}]}
        (row,) = (await bob.call("PUT", "/staff", 207, json=sent))["results"]
        assert (row["outcome"], row["code"]) == ("failed", "right_missing")
    assert (await door.call("PUT", "/staff", 404, json=_shares("read", "shop") | {"username": "x"}))["code"]
    for query in ("", "?dry_run=1"):
        sent = {"username": "admin", "shops": [{"account": "shop", "permission": "read"}]}
        (row,) = (await door.call("PUT", f"/staff{query}", 207, json=sent))["results"]
        assert row["code"] == "own_shop"


async def test_the_log_names_all_shops_in_few_entries(door: Door, bob: Door) -> None:
    for number in range(3, 25):
        await door.add(f"shop{number}", number)
    names = ["shop", "two", *(f"shop{number}" for number in range(3, 25))]
    await door.call("PUT", "/staff", json=_shares("operate", *names))
    found = (await door.call("GET", "/security-log?kind=right_given"))["items"]
    assert len(found) == 2
    assert sorted(name for row in found for name in row["facts"]["accounts"]) == sorted(names)


async def _invited(door: Door, **body: Any) -> dict[str, Any]:
    link: dict[str, Any] = await door.call("POST", "/invitations", json={"role": "staff", **body})
    return link


async def test_an_invitation_names_shops_which_are_shared_when_it_is_used(door: Door, bob: Door) -> None:
    await door.add("gone", 3)
    shops = [{"account": name, "permission": "reply"} for name in ("shop", "two", "gone")]
    link = await _invited(door, shops=shops)
    assert [shop["account"] for shop in link["shops"]] == ["shop", "two", "gone"]
    await door.call("DELETE", "/cookies/gone?wait=20")
    await door.add("gone", 4)  # another shop with the same id
    async with client_of(door.app) as nobody:
        look = (await nobody.post("/join/look", json={"token": link["token"]})).json()
        assert [(shop["account"], shop["permission"]) for shop in look["shops"]] == [
            ("shop", "reply"),
            ("two", "reply"),
        ]
        joined = await nobody.post("/join", json={"token": link["token"], "username": "lina", "password": PASSWORD})
    assert joined.status_code == 200, joined.text
    assert (joined.json()["shared"], joined.json()["skipped"]) == (["shop", "two"], ["gone"])
    lina = await door.server.users.by_name("lina")
    assert lina is not None
    async with client_of(door.app, await door.server.sessions.open(lina.id, 3600)) as client:
        rows = (await client.get("/cookies/details")).json()
    assert [(row["id"], row["permission"]) for row in rows] == [("shop", "reply"), ("two", "reply")]
    (used,) = [one for one in (await door.call("GET", "/invitations"))["items"] if one["used_by"] == "lina"]
    assert [shop["account"] for shop in used["shops"]] == ["shop", "two"]
    assert await bob.call("GET", "/cookies") == []


async def test_only_own_shops_are_named_and_only_the_maker_reads_them(door: Door, bob: Door) -> None:
    async with another_person(door, "carl", Role.ADMIN) as carl:
        refused = {"shops": [{"account": "shop"}]}
        assert (await carl.call("POST", "/invitations", 404, json=refused))["code"] == "unknown_account"
        await _invited(door, shops=[{"account": "shop"}])
        (seen,) = (await carl.call("GET", "/invitations"))["items"]
        assert seen["shops"] == []


async def test_a_caller_who_leaves_while_joining_is_no_reason_that_the_shops_are_not_seen(door: Door) -> None:
    link = await _invited(door, shops=[{"account": "shop", "permission": "operate"}])
    use = door.server.invitations.use
    seen = asyncio.Event()

    def shared() -> None:
        door.server.authorization.look_again()
        seen.set()

    task = asyncio.create_task(use(link["token"], username="lina", password=PASSWORD, shared=shared))
    while await door.server.users.by_name("lina") is None and not task.done():
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert seen.is_set()
    lina = await door.server.users.by_name("lina")
    assert lina is not None
    while door.server.authorization.given_to(door.account(), lina.id) is None:
        await asyncio.sleep(0.01)
    assert door.server.authorization.given_to(door.account(), lina.id) is Permission.OPERATE
