"""Many shops of one owner beside one of another, seen from outside: neither keeps the other waiting."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.processes import PASSWORD, SandboxProcess, ServerProcess, soon
from support.site.standins import cookie_of

pytestmark = pytest.mark.outside

DEAD = 120
FIRST = 1000
"""Above the numbers of the sellers who really exist."""


async def person(server: ServerProcess, name: str) -> httpx.AsyncClient:
    """Somebody who owns shops, signed in."""
    await server.ok("POST", "/users", {"username": name, "password": PASSWORD, "role": "owner"})
    client = httpx.AsyncClient(base_url=server.url, timeout=60)
    answer = (await client.post("/login", json={"username": name, "password": PASSWORD})).json()
    client.headers["Authorization"] = f"Bearer {answer['token']}"
    return client


async def add(client: httpx.AsyncClient, account_id: str, cookie: str) -> None:
    answer = await client.post("/cookies?wait=0", json={"id": account_id, "value": cookie})
    assert answer.status_code == 200, answer.text


async def token_calls(sandbox: SandboxProcess) -> list[dict[str, Any]]:
    """Those that the site had, in order."""
    items = (await sandbox.get("calls"))["items"]
    return [call for call in items if str(call["api"]).endswith("login.token")]


async def test_f11_a_new_shop_starts_beside_120_dead_ones_of_somebody_else(
    sandbox: SandboxProcess, tmp_path: Path
) -> None:
    pace = {"SHOAL_TOKEN_CALLS_PER_SECOND": "1", "SHOAL_STARTS_PER_SECOND": "20"}  # as they are unless somebody says so
    server = await ServerProcess(tmp_path / "data", sandbox.url, **pace).start()
    bob = await person(server, "bob")
    try:
        await asyncio.gather(*(add(bob, f"dead{number}", cookie_of(FIRST + number)) for number in range(DEAD)))
        await soon(lambda: _asked(sandbox, 1))
        seller = (await sandbox.get("sellers"))["items"][0]
        before, began = len(await token_calls(sandbox)), time.monotonic()
        await add(server.http, "new", seller["cookie"])

        async def running() -> bool:
            return await server.state("new") == "running"

        await soon(running)
        print(f"running after {time.monotonic() - began:.1f} s beside {DEAD} dead shops")  # noqa: T201
        calls = await token_calls(sandbox)
        mine = next(place for place, call in enumerate(calls) if call["account"] == seller["unb"])
        assert mine - before < DEAD / 2, "it does not wait for all who came before"
    finally:
        await bob.aclose()
        await server.close()


async def _asked(sandbox: SandboxProcess, count: int) -> bool:
    return len(await token_calls(sandbox)) >= count
