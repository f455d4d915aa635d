"""Draining one of several servers: any of them may be asked, its shops go to the others, and it says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from shoal.accounts.ownership import SHARDS
from shoal.cluster.node_rows import OLD_MS, join
from shoal.server.retention import Retention
from support.servers.doors import Door, another_person, in_shell, open_door, served
from support.site.standins import until

KEY = "5a" * 32
FACTS = {"host": "here", "address": "", "version": "", "schema": ""}


@pytest.fixture
async def pair(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Door, Door]]:
    """Two servers, ``a`` and ``b``, that share the shards, and a shop."""
    monkeypatch.setattr("shoal.cluster.handover.GIVEN_UP_AT_ONCE", SHARDS)
    async with AsyncExitStack() as stack:
        doors = []
        for name in ("a", "b"):
            settings: dict[str, Any] = {"database_url": url, "node": name, "secret_key": KEY}
            doors.append(await stack.enter_async_context(open_door(tmp_path / name, **settings)))
        one, two = doors
        await one.add()
        await shared_out(one, {"a": SHARDS // 2, "b": SHARDS // 2})
        yield one, two


async def listed(door: Door) -> dict[str, dict[str, Any]]:
    """What the server says of all."""
    return {one["name"]: one for one in (await door.call("GET", "/system/nodes"))["items"]}


async def shared_out(door: Door, wanted: dict[str, int]) -> None:
    """Wait until each has that many shards."""
    async with asyncio.timeout(60):
        while {name: one["shards"] for name, one in (await listed(door)).items()} != wanted:
            await asyncio.sleep(0.05)


async def test_any_server_lists_all_and_drains_one_which_gives_up_its_shops_and_says_so(
    pair: tuple[Door, Door],
) -> None:
    one, two = pair
    seen = await listed(one)
    assert seen.keys() == (await listed(two)).keys() == {"a", "b"}
    assert sum(row["shops"] for row in seen.values()) == 1
    for row in seen.values():
        assert (row["live"], row["draining"]) == (True, False)
        assert 0 < row["lease_left_seconds"] <= 15
    assert (
        (await two.call("GET", "/system/nodes"))["answered_by"]
        == (await two.call("GET", "/system/status"))["node"]
        == "b"
    )

    asked = await two.call("POST", "/system/nodes/a/drain")
    assert [row["draining"] for row in asked["items"]] == [True, False]
    await shared_out(two, {"a": 0, "b": SHARDS})
    assert (await listed(one))["b"]["shops"] == 1
    await until(lambda: (one.site.live.get("shop", 0), two.site.live.get("shop", 0)) == (0, 1))
    ready = await one.call("GET", "/health/ready", 503)
    assert (ready["ready"], ready["draining"], ready["services"]["database"]) == (False, True, "ok")
    assert (await one.call("GET", "/health"))["status"] == "healthy", "it is not ill, and no watch restarts it"
    assert (await two.call("GET", "/health/ready"))["ready"]
    assert (await one.call("POST", "/system/nodes/b/drain", 409))["code"] == "last_node"
    noted = (await two.call("GET", "/security-log?kind=node_drained"))["items"]
    assert [row["facts"] for row in noted] == [{"node": "a", "draining": True}]

    assert not (await one.call("DELETE", "/system/nodes/a/drain"))["items"][0]["draining"]
    await shared_out(one, {"a": SHARDS // 2, "b": SHARDS // 2})
    assert (await one.call("GET", "/health/ready"))["ready"]
    assert (await one.call("POST", "/system/nodes/nobody/drain", 404))["code"] == "unknown_node"
    for method in ("POST", "DELETE"):
        for name in ("b/1", "b%2F1"):
            assert (await one.call(method, f"/system/nodes/{name}/drain", 409))["code"] == "drained_by_server"


async def test_of_two_that_are_drained_at_the_same_time_one_stays(pair: tuple[Door, Door]) -> None:
    one, two = pair
    answers = await asyncio.gather(one.client.post("/system/nodes/a/drain"), two.client.post("/system/nodes/b/drain"))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert [row["draining"] for row in (await listed(one)).values()].count(True) == 1


async def test_the_command_waits_until_the_shops_are_given_up(pair: tuple[Door, Door]) -> None:
    one, _ = pair
    token = await one.server.sessions.open(1, 3600)
    async with served(one) as url:
        code, said = await in_shell(url, token, "nodes", "list")
        assert (code, said.count("running")) == (0, 2)
        assert await in_shell(url, token, "nodes", "drain", "b") == (
            0,
            "b has given up all its shops. It can be stopped.\n",
        )
        assert (await listed(one))["b"]["shards"] == 0
        assert (await in_shell(url, token, "nodes", "undrain", "b"))[0] == 0
        assert (await in_shell(url, token, "nodes", "drain", "zz"))[0] == 1
        for command in ("drain", "undrain"):
            code, said = await in_shell(url, token, "nodes", command, "b/1")
            assert (code, "b/1 is a worker of b." in said) == (1, True)


def test_a_server_that_is_started_again_takes_shards_and_one_that_lost_its_lease_goes_on_being_drained(
    url: str,
) -> None:
    engine: Engine = create_engine(url)
    with engine.begin() as connection:
        assert join(connection, "a", 10_000, FACTS) is not None
        connection.execute(text("UPDATE nodes SET draining = true, dead = true"))
        again = join(connection, "a", 10_000, FACTS, again=True)
        assert again is not None
        assert again.claim(connection).draining
        again.leave(connection)
        of_parent = join(connection, "a", 10_000, FACTS, stays_drained=True)
        assert of_parent is not None
        assert of_parent.claim(connection).draining, "a worker that its parent starts again"
        of_parent.leave(connection)
        fresh = join(connection, "a", 10_000, FACTS)
        assert fresh is not None
        assert not fresh.claim(connection).draining
    engine.dispose()


async def test_servers_that_are_gone_for_a_week_leave_the_list_and_come_back_with_a_number_of_their_own(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    defaults = Retention.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "first_after_seconds", 0.0)
    week = OLD_MS // 1000
    engine: Engine = create_engine(url)
    with engine.begin() as connection:
        old, new = (join(connection, name, 10_000, FACTS) for name in ("gone", "lately"))
        assert old is not None
        assert new is not None
        old.leave(connection)
        new.leave(connection)
        moved = "UPDATE nodes SET started_at_ms = started_at_ms - :age, expires_at_ms = expires_at_ms - :age"
        connection.execute(text(f"{moved}, inc = inc - {week} WHERE name = 'gone'"), {"age": OLD_MS + 20_000})
        connection.execute(text(f"{moved} WHERE name = 'lately'"), {"age": OLD_MS - 3_600_000})
    async with open_door(tmp_path / "a", database_url=url, node="a", secret_key=KEY) as door:
        async with asyncio.timeout(60):
            while set(await listed(door)) != {"a", "lately"}:
                await asyncio.sleep(0.05)
        await shared_out(door, {"a": SHARDS, "lately": 0})
        with engine.begin() as connection:
            fresh = join(connection, "gone", 10_000, FACTS)
            assert fresh is not None
            assert fresh.life.inc > old.life.inc - week, "no number comes twice"
            fresh.leave(connection)
    engine.dispose()


async def test_a_single_server_has_nothing_to_list_or_to_drain(tmp_path: Path) -> None:
    async with open_door(tmp_path / "data") as door:
        assert await door.call("GET", "/system/nodes") == {"answered_by": None, "items": []}
        for method in ("POST", "DELETE"):
            assert (await door.call(method, "/system/nodes/a/drain", 409))["code"] == "one_server"
        assert "draining" not in await door.call("GET", "/health/ready")
        async with another_person(door) as bob:
            await bob.call("GET", "/system/nodes", 403)
            await bob.call("POST", "/system/nodes/a/drain", 403)
