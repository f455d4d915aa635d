"""The login pages: QR with and without a visit before, the face check, silent renewal, "keep me signed in"."""

from __future__ import annotations

import json
import re
from http.cookies import SimpleCookie
from typing import Any

import aiohttp
import pytest

from support.site.sandbox_driver import START_MS, TOKEN_API, Box, sandbox

GAIA = "mtop.gaia.nodejs.gaia.idle.data.gw.v2.index.get"
USER_API = "mtop.taobao.idlemessage.pc.loginuser.get"
DAY_MS = 86_400_000
Json = Any


class Browser:
    """A jar and the calls of one browser."""

    def __init__(self, box: Box, jar: dict[str, str] | None = None) -> None:
        self.box, self.jar = box, dict(jar or {})

    async def call(self, method: str, path: str, **more: Any) -> tuple[aiohttp.ClientResponse, str]:
        url = path if path.startswith("http") else f"{self.box.url}{path}"
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.jar.items())}
        async with self.box.http.request(method, url, headers=headers, allow_redirects=False, **more) as reply:
            text = await reply.text()
        for line in reply.headers.getall("set-cookie", []):
            morsels = SimpleCookie(line)
            for name, morsel in morsels.items():
                if morsel["domain"] not in ("", ".goofish.com"):
                    continue
                self.jar.pop(name, None)
                if morsel["max-age"] != "0":
                    self.jar[name] = morsel.value
        return reply, text

    async def json(self, method: str, path: str, **more: Any) -> Json:
        return json.loads((await self.call(method, path, **more))[1])

    async def mtop(self, api: str, data: Json) -> Json:
        """Sign and make one call, once more with a renewed token."""
        for _ in range(2):
            shop = self.box.shop()
            shop.jar = self.jar
            reply = await shop.mtop(api, data)
            if not str(reply["ret"]).count("TOKEN"):
                break
        return reply

    async def visit(self) -> None:
        """The two calls of the home page before a code is shown."""
        await self.call("GET", f"/h5/{GAIA}/1.0/")
        assert (await self.mtop(GAIA, {"bizScene": "home"}))["ret"] == ["SUCCESS::调用成功"]

    async def code(self) -> dict[str, str]:
        """Get a code; returns what its status is asked with."""
        _, page = await self.call("GET", "/mini_login.htm")
        found = re.search(r"viewData = (\{.*\});", page)
        assert found
        form = json.loads(found[1])["loginFormData"] | {"umidTag": "SERVER"}
        answer = await self.json("GET", "/newlogin/qrcode/generate.do", params={k: str(v) for k, v in form.items()})
        return {name: str(answer["content"]["data"][name]) for name in ("t", "ck")}

    async def status(self, ask: dict[str, str]) -> Json:
        return (await self.json("POST", "/newlogin/qrcode/query.do", data=ask))["content"]["data"]

    async def is_logged_in(self) -> bool:
        reply = await self.mtop(USER_API, {})
        return bool(reply["ret"] == ["SUCCESS::调用成功"])


async def confirm(box: Box, status: str = "CONFIRMED", **more: Json) -> None:
    await box.post("qr", status=status, account=box.shop().unb, **more)


async def test_cookie2_comes_by_the_visit_and_the_confirmation_makes_it_a_login() -> None:
    async with sandbox() as box:
        await box.post("policy", cookie2_by_visit=True)
        browser = Browser(box)
        await browser.visit()
        cookie2 = browser.jar["cookie2"]
        assert not await browser.is_logged_in()
        ask = await browser.code()
        assert {"XSRF-TOKEN", "_tb_token_"} <= browser.jar.keys()
        assert (await browser.status(ask))["qrCodeStatus"] == "NEW"
        await confirm(box, "SCANNED")
        assert (await browser.status(ask))["qrCodeStatus"] == "SCANED"
        await confirm(box)
        tk = browser.jar["_m_h5_tk"]
        before = set(browser.jar)
        assert (await browser.status(ask))["qrCodeStatus"] == "CONFIRMED"
        assert set(browser.jar) - before == {"unb", "sgcookie", "tracknick", "csg"}
        assert browser.jar["cookie2"] == cookie2
        assert await browser.is_logged_in()
        assert browser.jar["_m_h5_tk"] != tk, "the signing token changes at a login"
        assert (await browser.status(ask))["qrCodeStatus"] == "EXPIRED"


async def test_the_page_of_a_code_has_the_form_of_the_site() -> None:
    async with sandbox() as box:
        _, page = await Browser(box).call("GET", "/mini_login.htm")
    found = re.search(r"viewData = (\{.*\});", page)
    assert found
    form = json.loads(found[1])["loginFormData"]
    fixed = {"appName", "appEntrance", "isMobile", "lang", "returnUrl", "fromSite"}
    assert {name: form[name] for name in fixed} == {
        "appName": "xianyu", "appEntrance": "web", "isMobile": False, "lang": "zh_CN", "returnUrl": "", "fromSite": 77,
    }  # fmt: skip
    assert form.keys() == fixed | {"_csrf_token", "umidToken"}


@pytest.mark.parametrize("page", ["normal_validate", "verify_modes", "identity_verify"])
async def test_the_pages_of_a_check_know_no_invented_name(page: str) -> None:
    async with sandbox() as box:
        reply, text = await Browser(box).call("GET", f"/iv/mini/{page}.htm?htoken=invented")
    assert reply.status == 200
    assert "链接已失效" in text


async def test_without_a_visit_the_login_is_worth_nothing() -> None:
    async with sandbox() as box:
        await box.post("policy", cookie2_by_visit=True, also=["visit_before_code"])
        browser = Browser(box)
        ask = await browser.code()
        await confirm(box)
        await browser.status(ask)
        assert browser.jar["unb"] == box.shop().unb
        assert "cookie2" not in browser.jar
        assert not await browser.is_logged_in()
        assert [line["rule"] for line in (await box.get("refusals"))["items"]] == ["visit_before_code"]


async def test_by_default_every_cookie_comes_with_the_confirmation() -> None:
    async with sandbox() as box:
        browser = Browser(box)
        ask = await browser.code()
        await confirm(box)
        await browser.status(ask)
        assert browser.jar["cookie2"]
        assert await browser.is_logged_in()


async def test_a_confirmation_may_give_a_token_that_brings_the_login_once() -> None:
    async with sandbox() as box:
        await box.post("policy", cookie2_by_visit=True, qr_token=True)
        browser = Browser(box)
        await browser.visit()
        ask = await browser.code()
        await confirm(box)
        token = (await browser.status(ask))["token"]
        assert "unb" not in browser.jar
        query = {"token": token, "subFlow": "DIALOG_CHECK_LOGIN_RPC", "bizScene": "qrcode", "confirm": "true"}
        assert (await browser.json("POST", "/login_token/login.do", params=query))["content"]["success"]
        assert await browser.is_logged_in()
        assert not (await browser.json("POST", "/login_token/login.do", params=query))["content"]["success"]


@pytest.mark.parametrize(("status", "said"), [("ERROR", "ERROR"), ("EXPIRED", "EXPIRED"), ("CANCELED", "CANCELED")])
async def test_a_code_ends_as_the_app_says(status: str, said: str) -> None:
    async with sandbox() as box:
        browser = Browser(box)
        ask = await browser.code()
        await box.post("qr", status=status)
        assert (await browser.status(ask))["qrCodeStatus"] == said


async def test_the_status_may_be_an_error_of_the_site() -> None:
    async with sandbox() as box:
        browser = Browser(box)
        ask = await browser.code()
        await box.post("qr", status="HAS_ERROR")
        answer = await browser.json("POST", "/newlogin/qrcode/query.do", data=ask)
        assert answer["hasError"] is True


async def logged_in(box: Box) -> Browser:
    """A browser after a QR login by the visit."""
    await box.post("policy", cookie2_by_visit=True)
    browser = Browser(box)
    await browser.visit()
    ask = await browser.code()
    await confirm(box)
    await browser.status(ask)
    return browser


async def test_the_message_page_gives_a_logged_in_browser_the_cookies_of_a_long_login() -> None:
    async with sandbox() as box:
        stranger = Browser(box)
        await stranger.call("GET", "/im?from=login")
        assert stranger.jar == {}
        browser = await logged_in(box)
        reply, _ = await browser.call("GET", "/im")
        assert (reply.status, reply.headers["location"]) == (302, "/im?from=login")
        reply, page = await browser.call("GET", "/im?from=login")
        assert reply.status == 200
        assert "<html>" in page
        assert int(browser.jar["havana_lgc_exp"]) == int(browser.jar["cookie3_bak_exp"]) == START_MS + 7 * DAY_MS


SILENT = {
    "documentReferer": "https://www.goofish.com/im",
    "appName": "xianyu",
    "appEntrance": "xianyu_sdkSilent",
    "fromSite": "0",
}
LONG = {"ltl": "true"}
BACKUP = {"skipSessionFilter": "true", "c2r": "true"}


async def renewed(browser: Browser, **more: str) -> bool:
    path = "/newlogin/silentHasLogin.do"
    content = (await browser.json("POST", path, params=SILENT | more))["content"]
    good = (content["data"]["processFinished"], content["data"]["resultCode"]) == (True, 100)
    assert content["success"] == good
    return good


@pytest.mark.parametrize("way", [LONG, BACKUP])
async def test_a_login_that_ended_is_renewed_silently(way: dict[str, str]) -> None:
    async with sandbox() as box:
        await box.post("policy", session_seconds=3600)
        browser = await logged_in(box)
        await browser.call("GET", "/im?from=login")
        assert await browser.is_logged_in()
        await box.post("clock", advance=3601.0)
        assert (await browser.mtop(USER_API, {}))["ret"] == ["FAIL_SYS_SESSION_EXPIRED::Session过期"]
        sgcookie = browser.jar["sgcookie"]
        assert await renewed(browser, **way)
        assert browser.jar["sgcookie"] != sgcookie
        assert int(browser.jar["sdkSilent"]) > START_MS
        assert await browser.is_logged_in()
        assert box.world.seller(box.shop().unb).jar["sgcookie"] == browser.jar["sgcookie"]
        await box.post("clock", advance=3601.0)
        assert not await browser.is_logged_in(), "a renewed login ends again"


async def test_a_login_that_the_site_does_not_remember_is_not_renewed() -> None:
    async with sandbox() as box:
        browser = await logged_in(box)
        assert await renewed(browser), "a login that is alive needs no reason"
        await box.post("expire", account=box.shop().unb, what="session")
        for way in (LONG, BACKUP, {}):
            assert not await renewed(browser, **way)
        await browser.call("GET", "/im?from=login")
        assert "cookie3_bak" not in browser.jar, "too late: the page sees no login"


async def test_a_renewal_ends_with_its_time_and_with_the_login() -> None:
    async with sandbox() as box:
        browser = await logged_in(box)
        await browser.call("GET", "/im?from=login")
        unb = box.shop().unb
        await box.post("expire", account=unb, what="session")
        await box.post("clock", advance=8 * 86_400.0)
        assert not await renewed(browser, **LONG)
        kept = await box.post("sellers", unb=unb, kept=True)
        other = Browser(box, dict(pair.split("=", 1) for pair in kept["cookie"].split("; ")))
        await box.post("expire", account=unb, what="session")
        assert await renewed(other, **LONG)
        await box.post("expire", account=unb, what="login")
        assert not await renewed(other, **LONG)


async def test_the_seller_keeps_a_login_and_stops_keeping_it() -> None:
    async with sandbox() as box:
        browser = await logged_in(box)
        query = {"fromSite": "77", "appName": "xianyu", "bizEntrance": "web"}

        async def settings() -> Json:
            path = "/ac/account/queryLoginSettings.do"
            return (await browser.json("POST", path, params=query))["content"]["data"]["returnValue"]

        async def choose(status: str) -> Json:
            path = "/ac/account/setLoginSettings.do"
            return (await browser.json("POST", path, params=query, data={"status": status}))["data"]

        assert await settings() == {"canOpenLongLogin": True, "hasLongTokenLogin": False}
        assert await choose("0") == {"success": True}
        assert await settings() == {"canOpenLongLogin": True, "hasLongTokenLogin": True}
        assert browser.jar["havana_lgc2_77"]
        assert int(browser.jar["havana_lgc_exp"]) == START_MS + 30 * DAY_MS
        assert await choose("1") == {"success": True}
        assert not {"havana_lgc2_77", "havana_lgc_exp"} & browser.jar.keys()
        assert not (await settings())["hasLongTokenLogin"]
        assert await choose("2") == {"success": False}


async def at_the_code(browser: Browser, url: str) -> str:
    """Follow the pages of the face check to the one with the code; returns the text of the code."""
    for _ in range(5):
        reply, page = await browser.call("GET", url)
        script = re.search(r'location\.href = "([^"]+)"', page)
        found = re.search(r'new Qrcode\(\{.*text: "([^"]+)"', page)
        if found:
            return found[1].replace("\\/", "/")
        url = reply.headers.get("location") or (script[1] if script else "")
        if not url:
            break
    return ""


async def check(browser: Browser, htoken: str) -> Json:
    return (await browser.json("GET", "/iv/photoVerify/check.do", params={"htoken": htoken}))["content"]


async def test_a_face_check_is_passed_in_the_session_that_was_confirmed() -> None:
    async with sandbox() as box:
        await box.post("policy", cookie2_by_visit=True)
        browser = Browser(box)
        await browser.visit()
        ask = await browser.code()
        await confirm(box, "FACE")
        data = await browser.status(ask)
        assert (data["qrCodeStatus"], data["iframeRedirect"]) == ("CONFIRMED", True)
        htoken = data["iframeRedirectUrl"].partition("htoken=")[2]
        stranger = Browser(box)
        assert await at_the_code(stranger, data["iframeRedirectUrl"]) == ""
        assert (await check(stranger, htoken))["code"] == 1
        assert (await at_the_code(browser, data["iframeRedirectUrl"])).startswith("https://passport.goofish.com/iv/")
        assert (await check(browser, htoken)) == {"code": 0}
        await browser.call("GET", "/ivCheckLogin.htm", params={"htoken": htoken})
        assert not await browser.is_logged_in(), "the check is not passed"
        await box.post("qr", status="FACE_PASSED")
        passed = await check(browser, htoken)
        assert passed["code"] == 3
        await stranger.call("GET", passed["url"])
        assert "unb" not in stranger.jar
        await browser.call("GET", passed["url"])
        assert browser.jar["unb"] == box.shop().unb
        assert await browser.is_logged_in()
        assert (await browser.status(ask))["qrCodeStatus"] == "EXPIRED"


async def test_a_face_check_may_fail_or_be_another_check() -> None:
    async with sandbox() as box:
        browser = Browser(box)
        ask = await browser.code()
        await confirm(box, "FACE", page="sms")
        data = await browser.status(ask)
        assert await at_the_code(browser, data["iframeRedirectUrl"]) == ""
        await box.post("qr", status="FACE_FAILED")
        assert (await check(browser, data["iframeRedirectUrl"].partition("htoken=")[2]))["code"] == 1


async def test_an_answer_may_set_a_token_for_one_domain_and_delete_it_for_another() -> None:
    async with sandbox() as box:
        await box.post("policy", deletes_tk_elsewhere=True)
        shop = box.shop()
        await box.fault("token_expired", shop)
        reply = await shop.raw_mtop(TOKEN_API, "{}")
        lines = [line for line in reply.headers.getall("set-cookie") if line.startswith("_m_h5_tk=")]
        assert len(lines) == 2
        assert "Domain=m.goofish.com" in lines[1]
        assert "Max-Age=0" in lines[1]


async def test_the_nickname_and_the_picture_of_a_seller_are_told() -> None:
    async with sandbox() as box:
        shop = box.shop()
        base = (await shop.mtop("mtop.idle.web.user.page.nav", {}))["data"]["module"]["base"]
        assert base["displayName"] == box.world.seller(shop.unb).nick
        async with box.http.get(base["avatar"]) as reply:
            assert (reply.status, reply.content_type) == (200, "image/png")
