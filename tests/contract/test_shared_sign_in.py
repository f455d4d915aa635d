"""What is taken from somebody at one server holds at the other soon, and guesses at both are counted as at one."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from shoal.auth.authorization import FOLLOW_SECONDS
from shoal.auth.permission import Permission
from shoal.auth.recent_reads import SECONDS
from shoal.auth.users import Role
from support.servers.doors import Door, client_of, open_door
from support.site.standins import until, until_told

pytestmark = pytest.mark.slow

PASSWORD = "a password of theirs"
SLOW = 50.0
"""What a busy machine may add to a bound."""


class Pair:
    """Two servers, and somebody at each of them."""

    def __init__(self, here: Door, there: Door) -> None:
        self.here, self.there = here, there

    async def signs_in(self, door: Door, password: str = PASSWORD, *, name: str = "bob") -> httpx.Response:
        """Sign in, or try to."""
        async with client_of(door.app) as client:
            return await client.post("/login", json={"username": name, "password": password})

    async def token(self) -> str:
        """A session of bob, opened here."""
        return str((await self.signs_in(self.here)).json()["token"])

    async def refused_within(self, token: str, path: str, status: int, bound: float) -> None:
        """Wait until the other server refuses it; that is within the bound."""
        began = time.monotonic()
        async with client_of(self.there.app, token) as client:

            async def asks() -> int:
                return (await client.get(path)).status_code

            await until_told(asks, status)
        assert time.monotonic() - began < bound + SLOW


@pytest.fixture
async def pair(url: str, tmp_path: Path) -> AsyncIterator[Pair]:
    shared: dict[str, Any] = {"database_url": url, "secret_key": "5a" * 32, "node_lease_seconds": 300.0}
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(open_door(tmp_path / "a", node="a", **shared))
        there = await stack.enter_async_context(open_door(tmp_path / "b", node="b", **shared))
        await here.add()
        await until(lambda: "shop" in there.server.manager.accounts)
        await here.server.users.create("bob", PASSWORD, role=Role.STAFF)
        yield Pair(here, there)


async def test_a_sign_out_a_new_password_a_revoked_token_and_a_taken_grant_hold_at_the_other_server(
    pair: Pair,
) -> None:
    here, there = pair.here, pair.there
    bob = await here.server.users.by_name("bob")
    assert bob is not None
    await here.server.authorization.give(here.account(), bob.id, Permission.READ, given_by="admin")
    token = await pair.token()
    async with client_of(there.app, token) as client:
        await until_told(lambda: _status(client, "/cookies/shop"), 200)  # the grant has come
        await here.server.authorization.take("shop", bob.id)
        await pair.refused_within(token, "/cookies/shop", 404, FOLLOW_SECONDS)

    async with client_of(here.app, token) as client:
        assert (await client.post("/logout")).status_code == 200
    await pair.refused_within(token, "/me", 401, SECONDS)

    staying, leaving = await pair.token(), await pair.token()
    for one in (staying, leaving):
        async with client_of(there.app, one) as client:
            assert await _status(client, "/me") == 200
    async with client_of(here.app, staying) as client:
        body = {"current_password": PASSWORD, "new_password": "another one of theirs"}
        changed = await client.put("/me/password", json=body)
        assert changed.status_code == 200, changed.text
        script = (await client.post("/tokens", json={"name": "s", "scope": "read"})).json()
    await pair.refused_within(leaving, "/me", 401, SECONDS)

    async with client_of(there.app, script["token"]) as client:
        assert await _status(client, "/cookies") == 200
    async with client_of(here.app, staying) as client:
        assert (await client.delete(f"/tokens/{script['id']}")).status_code == 200
    await pair.refused_within(script["token"], "/cookies", 401, SECONDS)


async def test_guesses_over_two_servers_are_counted_as_over_one_and_a_place_known_at_one_is_known_at_both(
    pair: Pair,
) -> None:
    doors = (pair.here, pair.there)
    assert (await pair.signs_in(pair.here)).json()["success"]
    for number in range(10):
        answer = await pair.signs_in(doors[number % 2], "wrong", name=f"nobody{number // 5}")
        assert answer.json()["success"] is False
    for door in doors:
        assert (await pair.signs_in(door, "wrong", name="nobody2")).json()["code"] == "too_many_attempts", (
            "the address must wait"
        )

    async def signed_in() -> bool:
        return bool((await pair.signs_in(pair.there)).json()["success"])

    await until_told(signed_in, True)  # who signed in from here at the other server need not, once that is read


async def _status(client: httpx.AsyncClient, path: str) -> int:
    return (await client.get(path)).status_code
