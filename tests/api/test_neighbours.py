"""Shops of several people on one server: how many each may have, and whose a seller's number is."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from shoal.accounts.account import Account
from shoal.accounts.account_task import Link
from support.servers.doors import Door, another_person, open_door
from support.site.standins import cookie_of, unb_of, until


async def _let_in(_: Account, link: Link) -> None:
    await link.hold_number()
    link.running()
    await asyncio.Event().wait()


async def test_f11_one_person_may_have_so_many_shops_and_administrators_any_number(tmp_path: Path) -> None:
    async with open_door(tmp_path / "data", shops_per_owner=3) as door:
        async with another_person(door) as bob:
            adding = [
                bob.client.post("/cookies", json={"id": f"bob{number}", "value": cookie_of(number)})
                for number in range(1, 7)
            ]
            answers = await asyncio.gather(*adding)
            assert sorted(answer.status_code for answer in answers) == [200] * 3 + [409] * 3, "at once, too"
            refused = next(answer.json() for answer in answers if answer.status_code == 409)
            assert (refused["code"], refused["params"]) == ("too_many_shops", {"limit": 3})
            assert "3" in refused["detail"]
            mine = await bob.call("GET", "/cookies")
            number = int(mine[0].removeprefix("bob"))
            await bob.call("POST", "/cookies", json={"id": mine[0], "value": cookie_of(number, secret="s2")})
            await bob.call("DELETE", f"/cookies/{mine[0]}")
            await bob.call("POST", "/cookies", json={"id": "fresh", "value": cookie_of(9)})
            await bob.call("POST", "/cookies", 409, json={"id": "more", "value": cookie_of(10)})
        for number in range(20, 24):
            await door.add(f"shop{number}", number)
    async with open_door(tmp_path / "data", shops_per_owner=1) as door:
        assert len(door.server.manager.accounts) == 7, "those that were there stay"
        await until(lambda: sum(door.site.live.values()) == 7)


async def test_f8_an_administrator_frees_a_number_whose_owner_left(door: Door) -> None:
    door.site.behave = _let_in
    async with another_person(door) as bob:
        await bob.call("POST", "/cookies", json={"id": "theirs", "value": cookie_of(7)})
        body = await door.call("POST", "/cookies", json={"id": "mine", "value": cookie_of(7)})
        assert body["state"] == "parked"
        mine = await door.call("GET", "/cookies/mine")
        assert (mine["state"], mine["reason"]) == ("parked", "number_taken")
        for language, words in (("zh", "管理员"), ("en", "administrator")):
            told = await door.client.get("/cookies/mine/diagnosis", headers={"Accept-Language": language})
            (check,) = (check for check in told.json()["checks"] if check["name"] == "parked")
            assert not check["ok"]
            assert words in check["do"]
            assert "theirs" not in told.text, "nothing of the other owner"
            assert "bob" not in told.text
        (listed,) = (await door.call("GET", "/seller-numbers"))["items"]
        assert listed == {
            "number": unb_of(7),
            "holder": {"account": "theirs", "owner": "bob", "state": "running"},
            "waiting": [{"account": "mine", "owner": "admin", "state": "parked"}],
        }
        for method, path in (("GET", "/seller-numbers"), ("DELETE", f"/seller-numbers/{unb_of(7)}")):
            await bob.call(method, path, 403)
        await door.call("DELETE", f"/seller-numbers/{unb_of(99)}", 404)
        await door.call("DELETE", "/seller-numbers/x", 422)
        assert await door.call("DELETE", f"/seller-numbers/{unb_of(7)}") == {
            "msg": "freed", "number": unb_of(7), "was": "theirs",
        }  # fmt: skip
        await until(lambda: door.server.manager.observation("mine").state == "running")
        theirs = await bob.call("GET", "/cookies/theirs")
        assert (theirs["enabled"], theirs["state"]) == (False, "stopped")
        history = (await bob.call("GET", "/cookies/theirs/history"))["items"][0]
        assert (history["actor"], history["changes"]) == ("user:admin", {"enabled": [True, False]})
        notes = (await bob.call("GET", "/security-log?kind=number_freed"))["items"]
        assert [(note["actor"], note["account"]) for note in notes] == [("user:admin", "theirs")]
        body = await bob.call("PUT", "/cookies/theirs/status", json={"enabled": True})
        assert body["state"] == "parked", "the account that was accepted in between keeps it"
        await door.call("DELETE", "/cookies/mine")
        await until(lambda: door.server.manager.observation("theirs").state == "running")


async def test_f8_a_number_is_taken_only_from_the_shop_that_was_looked_at_and_a_repeat_takes_it_from_no_other(
    door: Door,
) -> None:
    """The answer of the first asking is lost, and another shop has been let in before the second."""
    door.site.behave = _let_in
    path = f"/seller-numbers/{unb_of(7)}"
    async with another_person(door) as bob:
        await bob.call("POST", "/cookies", json={"id": "theirs", "value": cookie_of(7)})
        await door.call("POST", "/cookies", json={"id": "mine", "value": cookie_of(7)})
        refused = await door.call("DELETE", path, 409, params={"holder": "mine"})
        assert refused["code"] == "other_holder"
        assert door.account("theirs").enabled
        keyed: dict[str, Any] = {"params": {"holder": "theirs"}, "headers": {"Idempotency-Key": "k1"}}
        first = await door.call("DELETE", path, **keyed)
        await until(lambda: door.server.manager.observation("mine").state == "running")
        assert await door.call("DELETE", path, **keyed) == first
        assert (await door.call("DELETE", path, 409, params={"holder": "theirs"}))["code"] == "other_holder"
        assert (door.account("mine").enabled, door.account("theirs").enabled) == (True, False)


async def test_f8_a_person_who_is_removed_frees_their_numbers(door: Door) -> None:
    door.site.behave = _let_in
    async with another_person(door) as bob:
        await bob.call("POST", "/cookies", json={"id": "theirs", "value": cookie_of(7)})
        await door.call("POST", "/cookies", json={"id": "mine", "value": cookie_of(7)})
    bob_id = door.account("theirs").owner_id
    await door.call("DELETE", f"/users/{bob_id}")
    await until(lambda: door.server.manager.observation("mine").state == "running")
