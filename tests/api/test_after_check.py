"""After a check of the site, over the wire: the old cookie is told first, the newest one runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.processes import SandboxProcess
from support.servers.doors import Door, open_door
from support.site.sandboxed import QUICK_SITE
from support.site.standins import until


@dataclass
class AtTheSite:
    """A server with one shop, ``shop``, of a sandbox in a process of its own."""

    door: Door
    sandbox: SandboxProcess
    unb: str
    cookie: str

    async def is_in(self, state: str) -> None:
        await until(lambda: self.door.server.manager.observation("shop").state == state, seconds=60)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[AtTheSite]:
    sandbox = await SandboxProcess(tmp_path / "sandbox.log").start()
    try:
        urls = {f"site_{name}_url": sandbox.url for name in ("mtop", "passport", "upload")}
        urls["site_ws_url"] = sandbox.url.replace("http", "ws", 1) + "/"
        async with open_door(tmp_path / "data", over_the_wire=True, **{**urls, **QUICK_SITE}) as door:
            seller = (await sandbox.get("sellers"))["items"][0]
            site = AtTheSite(door, sandbox, seller["unb"], seller["cookie"])
            await door.call("POST", "/cookies", json={"id": "shop", "value": site.cookie})
            await site.is_in("running")
            yield site
    finally:
        await sandbox.end()


async def test_resuming_with_the_old_cookie_is_told_and_the_newest_cookie_runs(site: AtTheSite) -> None:
    door = site.door
    await door.call("PUT", "/cookies/shop/status", json={"enabled": False})
    await door.server.credentials.forget_token("shop")
    await site.sandbox.do("fault", account=site.unb, kind="risk_control")
    await door.call("PUT", "/cookies/shop/status", json={"enabled": True})
    await site.is_in("parked")
    account = await door.call("GET", "/cookies/shop")
    assert (account["reason"], account["action_url"]) == ("risk_control", "https://www.goofish.com/im")
    assert "punish" in account["action_text"]
    calls = (await site.sandbox.get("calls", account=site.unb))["items"]
    assert (await door.call("POST", "/cookies/shop/resume", 409))["code"] == "cookie_unchanged"
    assert (await site.sandbox.get("calls", account=site.unb))["items"] == calls, "nothing was asked"
    assert (await door.call("POST", "/cookies/shop/resume?anyway=true"))["state"] in {"parked", "starting"}
    await until(lambda: door.server.manager.observation("shop").parked_for is not None, seconds=60)
    await site.sandbox.do("faults/clear")
    newest = f"{site.cookie}; x5sec=passed"
    await door.call("PUT", "/cookies/shop", json={"id": "shop", "value": newest})
    await site.is_in("running")
