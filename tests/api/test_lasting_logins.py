"""Logins that come and last, over the wire: a code without ``cookie2``, a face check, a silent renewal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.processes import SandboxProcess
from shoal.accounts.observed_state import ObservedState
from shoal.sandbox.seller_pictures import picture_of
from support.servers.doors import Door, open_door
from support.site.sandboxed import QUICK_SITE
from support.site.standins import until


class AtTheSite:
    """A server at a sandbox in a process of its own."""

    def __init__(self, door: Door, sandbox: SandboxProcess, unb: str, cookie: str) -> None:
        self.door, self.sandbox, self.unb, self.cookie = door, sandbox, unb, cookie

    async def is_in(self, state: str, account: str = "shop") -> None:
        manager = self.door.server.manager

        def is_so() -> bool:  # what a login at another server adds is heard of some moments later
            return account in manager.accounts and manager.observation(account).state == state

        await until(is_so, seconds=60)

    async def is_named(self, account: str = "shop") -> None:
        """Wait until the site has told what it calls the seller."""
        await until(lambda: bool(self.door.server.manager.observation(account).seller_name), seconds=60)

    async def reaches(self, login: dict[str, Any], *states: str) -> dict[str, Any]:
        """The login once it is in one of these states."""
        async with asyncio.timeout(60):
            while (seen := await self.door.call("GET", f"/qr-logins/{login['id']}"))["state"] not in states:
                await asyncio.sleep(0.05)
        return dict(seen)

    async def calls(self, api: str) -> list[dict[str, Any]]:
        lines = (await self.sandbox.get("calls", account=self.unb))["items"]
        return [line for line in lines if str(line["api"]).endswith(api)]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[AtTheSite]:
    sandbox = await SandboxProcess(tmp_path / "sandbox.log").start()
    try:
        urls = {f"site_{name}_url": sandbox.url for name in ("mtop", "passport", "upload")}
        urls["site_ws_url"] = sandbox.url.replace("http", "ws", 1) + "/"
        async with open_door(tmp_path / "data", over_the_wire=True, **{**urls, **QUICK_SITE}) as door:
            door.server.qr_logins._poll_seconds = 0.05
            seller = (await sandbox.get("sellers"))["items"][0]
            yield AtTheSite(door, sandbox, seller["unb"], seller["cookie"])
    finally:
        await sandbox.end()


@pytest.mark.parametrize("with_token", [False, True], ids=["cookies", "a token"])
async def test_a_code_whose_confirmation_brings_no_cookie2_ends_running(site: AtTheSite, with_token: bool) -> None:
    await site.sandbox.do("policy", cookie2_by_visit=True, qr_token=with_token, deletes_tk_elsewhere=True)
    login = await site.door.call("POST", "/qr-logins", json={"account": "shop", "keep_signed_in": True})
    await site.sandbox.do("qr", status="SCANNED")
    await site.reaches(login, "scanned")
    await site.sandbox.do("qr", status="CONFIRMED", account=site.unb)
    assert (await site.reaches(login, "done", "failed"))["state"] == "done"
    await site.is_in("running")
    cookie = site.door.server.manager.account("shop").cookie
    assert all(f"{name}=" in cookie for name in ("cookie2", "_m_h5_tk", "cookie3_bak_exp", "havana_lgc2_77"))
    assert len(await site.calls("setLoginSettings.do")) == 1
    assert (await site.door.call("GET", "/cookies/shop"))["browser"]["source"] == "qr_login"


async def test_the_name_that_the_site_tells_raises_no_generation_and_stays(site: AtTheSite) -> None:
    added = await site.door.client.post("/cookies", json={"id": "shop", "value": site.cookie})
    await site.is_named()
    shown = await site.door.call("GET", "/cookies/shop")
    assert (bool(shown["name"]), shown["desired"]["name"]) == (True, "")
    assert (await site.door.server.pictures.read(shown["picture"])).data == picture_of(site.unb)
    assert len(await site.door.server.store.journal()) == shown["generation"] == 1
    headers = {"If-Match": added.headers["ETag"]}
    await site.door.call("PATCH", "/cookies/shop/settings", json={"name": "鱼铺"}, headers=headers)
    await site.door.call("PUT", "/cookies/shop/status", json={"enabled": False})
    assert (await site.door.call("GET", "/cookies/shop"))["name"] == "鱼铺", "the owner's name goes first"
    await site.door.call("PATCH", "/cookies/shop/settings", json={"name": ""})
    assert (await site.door.call("GET", "/cookies/shop"))["name"] == shown["name"]
    await site.door.server.manager.close()  # stores what was observed
    seen = (await site.door.server.store.load()).observations["shop"]
    assert ObservedState("shop", seen, lambda *_: None).now.seller_name == shown["name"], "after a restart too"


async def test_a_face_check_is_shown_in_the_same_session_and_ends_running(site: AtTheSite) -> None:
    await site.sandbox.do("policy", cookie2_by_visit=True)
    login = await site.door.call("POST", "/qr-logins", json={"account": "shop"})
    await site.sandbox.do("qr", status="FACE", account=site.unb)
    seen = await site.reaches(login, "face_check", "needs_owner", "failed")
    assert seen["state"] == "face_check"
    assert (seen["content"] != login["content"], "face/scan.htm" in seen["content"]) == (True, True)
    assert seen["picture"].startswith("data:image/svg")
    assert seen["expires_at"] > login["expires_at"]
    await site.sandbox.do("qr", status="FACE_PASSED")
    assert (await site.reaches(login, "done", "needs_owner", "failed"))["state"] == "done"
    await site.is_in("running")


@pytest.mark.parametrize("page", ["sms", "slider"])
async def test_another_check_is_shown_as_an_address_and_nothing_is_done(site: AtTheSite, page: str) -> None:
    login = await site.door.call("POST", "/qr-logins", json={"account": "shop"})
    await site.sandbox.do("qr", status="FACE", account=site.unb, page=page)
    seen = await site.reaches(login, "needs_owner", "failed", "face_check")
    assert (seen["state"], "/iv/mini/" in seen["action_url"], seen["content"]) == ("needs_owner", True, "")


async def test_a_failed_face_check_and_an_error_of_the_site_end_the_login(site: AtTheSite) -> None:
    login = await site.door.call("POST", "/qr-logins", json={"account": "shop"})
    await site.sandbox.do("qr", status="FACE", account=site.unb)
    await site.reaches(login, "face_check")
    await site.sandbox.do("qr", status="FACE_FAILED")
    assert (await site.reaches(login, "needs_owner", "failed"))["state"] == "needs_owner"
    for status in ("ERROR", "HAS_ERROR"):
        login = await site.door.call("POST", "/qr-logins", json={"account": "shop"})
        await site.sandbox.do("qr", status=status)
        assert (await site.reaches(login, "failed"))["state"] == "failed"


async def add_kept(site: AtTheSite) -> None:
    """A shop whose login the site can renew silently."""
    seller = await site.sandbox.do("sellers", unb=site.unb, kept=True)
    await site.door.call("POST", "/cookies", json={"id": "shop", "value": seller["cookie"]})
    await site.is_in("running")
    await site.is_named()


async def off_and_on(site: AtTheSite) -> None:
    """The next connection needs a new token."""
    await site.door.call("PUT", "/cookies/shop/status", json={"enabled": False})
    await site.door.server.credentials.forget_token("shop")
    await site.door.call("PUT", "/cookies/shop/status?wait=0", json={"enabled": True})


async def test_a_session_that_ended_is_renewed_once_and_nobody_notices(site: AtTheSite) -> None:
    await add_kept(site)
    await site.sandbox.do("expire", account=site.unb, what="session")
    await off_and_on(site)
    await site.is_in("running")
    assert [call["ret"] for call in await site.calls("silentHasLogin.do")] == [["SUCCESS"]]
    account = site.door.server.manager.account("shop")
    jar = await site.door.server.credentials.jar(account)
    assert jar is not None
    assert "sdkSilent" in jar


async def test_a_login_that_is_over_parks_after_one_renewal_in_vain(site: AtTheSite) -> None:
    await add_kept(site)
    await site.sandbox.do("expire", account=site.unb, what="login")
    await off_and_on(site)
    await site.is_in("parked")
    assert site.door.server.manager.observation("shop").reason == "login_expired"
    assert len(await site.calls("silentHasLogin.do")) == 1


async def test_a_login_that_cannot_be_renewed_is_not_asked_about(site: AtTheSite) -> None:
    await site.door.call("POST", "/cookies", json={"id": "shop", "value": site.cookie})
    await site.is_named()
    await site.sandbox.do("expire", account=site.unb, what="session")
    await off_and_on(site)
    await site.is_in("parked")
    assert await site.calls("silentHasLogin.do") == []
