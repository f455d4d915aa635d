"""Shops of several people on one server: how many each may have, and whose a seller's number is."""

from __future__ import annotations

import asyncio
from pathlib import Path

from doors import another_person, open_door
from standins import cookie_of, until


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
