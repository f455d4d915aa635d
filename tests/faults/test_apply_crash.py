"""The server dies while it applies a file of shops: each is as before or as the file says, and the next run ends it."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress

import httpx
import pytest

from benchmarks.processes import ServerProcess, soon
from support.site.standins import cookie_of

pytestmark = [pytest.mark.outside, pytest.mark.timeout(600)]

SHOPS = 120
NAMES = [f"s{number}" for number in range(SHOPS)]
FILE = "version: 1\naccounts:\n" + "".join(
    f"  {name}:\n    settings: {{remark: new, name: new}}\n    rules: [{{words: [hi], parts: [{{text: new}}]}}]\n"
    for name in NAMES
)


async def test_what_a_kill_cut_off_is_whole_shop_by_shop_and_the_next_run_goes_on(server: ServerProcess) -> None:
    for number, name in enumerate(NAMES, 1):
        body = {"id": name, "value": cookie_of(number)}
        await server.ok("POST", "/cookies?wait=0", body)

    async def remarks() -> dict[str, str]:
        return {row["id"]: row["remark"] for row in await server.ok("GET", "/cookies/details")}

    applying = asyncio.create_task(server.http.post("/apply", json={"file": FILE}))

    async def begun() -> bool:
        return "new" in (await remarks()).values()

    await soon(begun)
    os.kill(server.child.pid, signal.SIGKILL)
    with suppress(httpx.TransportError):
        await applying
    await server.end()
    await server.start()
    before = await remarks()
    for name in NAMES:
        account = (await server.ok("GET", f"/cookies/{name}"))["desired"]
        rules = (await server.ok("GET", f"/cookies/{name}/rules"))["items"]
        assert (account["name"], len(rules)) == ((before[name], 1) if before[name] else ("", 0)), name
    rows = (await server.ok("POST", "/apply", {"file": FILE}))["accounts"]
    assert {row["id"]: row["outcome"] for row in rows} == {
        name: "unchanged" if remark else "changed" for name, remark in before.items()
    }
    for name in NAMES:
        entries = (await server.ok("GET", f"/cookies/{name}/history"))["items"]
        assert sum("remark" in entry["changes"] for entry in entries) == 2, name  # when it was added, and once more
