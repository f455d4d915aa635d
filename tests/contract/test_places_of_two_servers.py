"""What a user does at one of two servers holds at the other: pictures, QR logins and what an item is called."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from shoal.clock import now_ms
from shoal.items.known_item_store import KnownItemStore
from shoal.xianyu.items_on_sale import ListedItem
from support.files.picture_files import a_png
from support.servers.doors import Door, another_person
from support.servers.two_doors import open_two_doors
from support.site.sandboxed import Sandbox, standing_sandbox
from support.site.standins import until, until_told

EN = {"Accept-Language": "en"}


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with standing_sandbox() as standing:
        yield standing


@pytest.fixture
async def doors(url: str, tmp_path: Path, sandbox: Sandbox) -> AsyncIterator[tuple[Door, Door]]:
    """Two servers, whose site for logins is the sandbox."""
    async with open_two_doors(tmp_path, url, site_passport_url=sandbox.url, site_mtop_url=sandbox.url) as opened:
        for door in opened:
            door.server.qr_logins._poll_seconds = 0.05
        yield opened


async def act(sandbox: Sandbox, login: dict[str, Any], status: str) -> None:
    key = login["content"].partition("lgToken=")[2].partition("&")[0]
    await sandbox.do("qr", ck=key, status=status, account=next(iter(sandbox.world.sellers)))


async def in_turn(doors: tuple[Door, Door], login_id: str) -> dict[str, Any]:
    """Look at a login at one server after the other, as behind a proxy that alternates, until it is over."""
    async with asyncio.timeout(60):
        for door in itertools.cycle(doors):
            seen: dict[str, Any] = await door.call("GET", f"/qr-logins/{login_id}", headers=EN)
            if seen["state"] not in {"waiting", "scanned"}:
                return seen
            await asyncio.sleep(0.02)
    raise AssertionError("it cannot be")


async def test_a_picture_taken_at_one_server_is_shown_and_named_by_a_rule_at_the_other(
    doors: tuple[Door, Door],
) -> None:
    one, two = doors
    files = {"image": ("a.png", a_png(), "image/png")}
    both = await asyncio.gather(*(door.call("POST", "/pictures", files=files) for door in doors))
    assert both[0] == both[1], "the same picture at both at once is one"
    for door in doors:
        answer = await door.client.get(both[0]["image_url"])
        assert (answer.status_code, answer.content) == (200, a_png())
    await one.add()
    await until(lambda: "shop" in two.server.manager.accounts)
    rule = {"words": ["图"], "parts": [{"image_url": both[0]["image_url"]}]}
    await two.call("POST", "/cookies/shop/rules", json=rule)
    assert two.account().keywords[0].parts[0].width == 3, "its size was read there"


async def test_a_login_begun_at_one_server_is_followed_listed_and_ended_at_the_other(
    doors: tuple[Door, Door], sandbox: Sandbox
) -> None:
    one, two = doors
    login = await one.call("POST", "/qr-logins", json={"account": "shop"}, headers=EN)
    assert login["id"].startswith("one.")
    shown = await two.call("GET", f"/qr-logins/{login['id']}", headers=EN)
    assert shown == login, "with its code"
    assert (await two.call("GET", "/qr-logins", headers=EN))["items"] == [login]
    assert (await two.call("GET", f"/qr-login/check/{login['id']}"))["status"] == "waiting"
    await act(sandbox, login, "CONFIRMED")
    done = await in_turn(doors, login["id"])
    assert (done["state"], done["account"], done["content"]) == ("done", "shop", "")

    begun = [await door.call("POST", "/qr-logins", json={}) for door in (one, two, two)]
    for door in doors:  # three of a user on all servers together
        assert (await door.call("POST", "/qr-logins", 409, json={}))["code"] == "too_many_qr_logins"
        assert [item["state"] for item in (await door.call("GET", "/qr-logins"))["items"]] == ["waiting"] * 3 + ["done"]
    async with another_person(two) as bob:
        for method in ("GET", "DELETE"):
            assert (await bob.call(method, f"/qr-logins/{begun[0]['id']}", 404))["code"] == "unknown_qr_login"
        assert (await bob.call("GET", "/qr-logins"))["items"] == []
    assert (await two.call("DELETE", f"/qr-logins/{begun[0]['id']}"))["state"] == "cancelled"
    assert (await one.call("GET", f"/qr-logins/{begun[0]['id']}"))["state"] == "cancelled"
    await until_it_is(one, begun[0]["id"], "cancelled")
    await two.call("POST", "/qr-logins", json={})
    for wrong in ("one.unheard-of", "two.unheard-of", "nobody.unheard-of", "unheard-of"):
        assert (await two.call("GET", f"/qr-logins/{wrong}", 404))["code"] == "unknown_qr_login"


async def until_it_is(door: Door, login_id: str, state: str) -> None:
    """Wait until the row of a login says so: it is written beside the answer."""

    async def is_so() -> bool:
        query = text("SELECT state FROM qr_logins WHERE id = :id")
        found = await door.server.database.read(lambda connection: connection.scalar(query, {"id": login_id}))
        return bool(found == state)

    async with asyncio.timeout(60):
        while not await is_so():
            await asyncio.sleep(0.02)


async def test_a_login_whose_server_has_ended_says_so_and_takes_no_place(doors: tuple[Door, Door]) -> None:
    one, two = doors
    logins = [await one.call("POST", "/qr-logins", json={}) for _ in range(3)]
    dead = text("UPDATE nodes SET dead = true WHERE name = 'one'")
    await two.server.database.write(lambda connection: connection.execute(dead).rowcount)
    seen = await two.call("GET", f"/qr-logins/{logins[0]['id']}", headers=EN)
    assert (seen["state"], seen["code"], seen["content"]) == ("failed", "qr_login_left", "")
    assert seen["detail"] == "The server one, which followed this QR login, has ended. Get a new code."
    assert {item["state"] for item in (await two.call("GET", "/qr-logins"))["items"]} == {"failed"}
    assert (await two.call("DELETE", f"/qr-logins/{logins[1]['id']}"))["state"] == "failed"
    assert (await two.call("POST", "/qr-logins", json={}))["state"] == "waiting"


async def test_the_logins_of_a_user_who_is_removed_at_one_server_end_at_the_other(doors: tuple[Door, Door]) -> None:
    one, two = doors
    async with another_person(one) as bob:
        login = await bob.call("POST", "/qr-logins", json={})
        (user_id,) = [user.id for user in await one.server.users.list_users() if user.username == "bob"]
        assert [view.id for view in one.server.qr_logins.of(user_id)] == [login["id"]]
        await two.call("DELETE", f"/users/{user_id}")
        assert [view.state for view in one.server.qr_logins.of(user_id)] == ["cancelled"]


async def test_a_login_whose_server_lives_and_cannot_be_reached_is_named_and_listed_without_its_code(
    doors: tuple[Door, Door],
) -> None:
    one, two = doors
    login = await one.call("POST", "/qr-logins", json={"account": "shop"})
    away = text("UPDATE nodes SET address = 'http://127.0.0.1:9' WHERE name = 'one'")
    await two.server.database.write(lambda connection: connection.execute(away).rowcount)
    for method in ("GET", "DELETE"):
        refused = await two.call(method, f"/qr-logins/{login['id']}", 503)
        assert (refused["code"], refused["params"]) == ("node_unreachable", {"node": "one"})
    (shown,) = (await two.call("GET", "/qr-logins"))["items"]
    assert (shown["id"], shown["state"], shown["account"], shown["content"]) == (login["id"], "waiting", "shop", "")
    assert (await one.call("GET", f"/qr-logins/{login['id']}"))["state"] == "waiting", "nothing was done to it"


async def test_a_title_that_one_server_is_told_shows_at_the_other(doors: tuple[Door, Door]) -> None:
    one, two = doors
    await one.add("afu")
    listed = {"7001": ListedItem(title="会员月卡", price_fen=2_500, picture="")}
    await KnownItemStore(one.server.database, now_ms).note_from_list("afu", listed)
    await one.call("PUT", "/cookies/afu/items/7001", json={"reply": "今天发货"})

    async def titles(door: Door) -> list[str]:
        return [item["item_title"] for item in (await door.call("GET", "/items/cookie/afu"))["items"]]

    for door in (one, two):
        await until_told(partial(titles, door), ["会员月卡"])
        assert (await door.call("GET", "/cookies/afu/items/7001/card"))["title"] == "会员月卡"
