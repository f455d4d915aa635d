"""An import is planned at one of two servers, and looked at, begun or forgotten at the other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from api.test_imports import ENV
from api.test_moving import ended
from support.databases.postgres_server import Postgres
from support.servers.doors import Door, another_person
from support.servers.two_doors import open_two_doors
from support.site.standins import cookie_of

pytestmark = pytest.mark.postgresql


@pytest.fixture
async def doors(tmp_path: Path, postgres: Postgres) -> AsyncIterator[tuple[Door, Door]]:
    with postgres.database(migrated=True) as url:
        async with open_two_doors(tmp_path, url) as opened:
            yield opened


async def _planned(door: Door) -> Any:
    return await door.call("POST", "/imports/plans", params={"name": ".env"}, content=ENV.encode())


async def test_a_plan_is_shown_begun_and_forgotten_by_either_server(doors: tuple[Door, Door]) -> None:
    one, two = doors
    plan = await _planned(two)
    path = f"/imports/plans/{plan['plan_id']}"
    assert await one.call("GET", path) == plan
    first = await one.call("GET", f"{path}/rows", params={"limit": 1})
    rest = await one.call("GET", f"{path}/rows", params={"cursor": first["next"]})
    assert [*first["items"], *rest["items"]] == (await two.call("GET", f"{path}/rows"))["items"]
    run = await one.call("POST", "/imports", json={"plan_id": plan["plan_id"]})
    await ended(two.server.moving)
    assert (await one.call("GET", f"/imports/{run['id']}"))["state"] == "done"
    (account,) = two.server.manager.accounts.values()
    assert (account.enabled, account.cookie) == (False, cookie_of(7))
    assert (await one.call("GET", path, 404))["code"] == "unknown_import_plan"
    again = await _planned(one)
    assert await two.call("DELETE", f"/imports/plans/{again['plan_id']}") == {"msg": "forgotten"}
    await one.call("GET", f"/imports/plans/{again['plan_id']}", 404)


async def test_the_plan_of_another_user_or_of_a_server_that_is_gone_is_unknown(doors: tuple[Door, Door]) -> None:
    one, two = doors
    plan = await _planned(two)
    async with another_person(one, "bob") as bob:
        assert (await bob.call("GET", f"/imports/plans/{plan['plan_id']}", 404))["code"] == "unknown_import_plan"
        refused = await bob.call("POST", "/imports", 404, json={"plan_id": plan["plan_id"]})
        assert refused["code"] == "unknown_import_plan"
    assert (await one.call("GET", "/imports/plans/gone.abc", 404))["code"] == "unknown_import_plan"
    assert await two.call("GET", f"/imports/plans/{plan['plan_id']}") == plan
