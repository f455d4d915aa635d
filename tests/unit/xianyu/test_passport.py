import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from shoal.errors import ActionRequired, TemporaryFailure
from shoal.xianyu import passport as the_passport
from shoal.xianyu.browser import Browser
from shoal.xianyu.cookie_string import merge
from shoal.xianyu.site_session import open_site_session

COOKIE = "unb=2200000000002; cookie2=secretcookie2; XSRF-TOKEN=x-s-r-f; cna=CNA1; _tb_token_=old"


class Passport:
    """A real HTTP server that gives one prepared answer and keeps what it was asked."""

    def __init__(self) -> None:
        self.text = COOKIE
        self.updates: list[dict[str, str]] = []
        self.form: dict[str, object] = {}
        self.query: dict[str, str] = {}
        self.answer: web.StreamResponse = web.json_response({"content": {"success": True}})
        self.url = ""

    def header(self, host: str = "") -> str:
        return self.text

    async def rotated(self, updates: dict[str, str]) -> None:
        self.updates.append(updates)
        self.text = merge(self.text, updates)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.form, self.query = dict(await request.post()), dict(request.query)
        assert request.path == "/newlogin/hasLogin.do"
        return self.answer

    async def ask(self, timeout_seconds: float = 30.0) -> bool:
        async with open_site_session() as session:
            browser = Browser("Shoal-Test/1")
            return await the_passport.Passport(session, self.url, self, browser, timeout_seconds).has_login()


@pytest.fixture
async def passport() -> AsyncIterator[Passport]:
    passport = Passport()
    app = web.Application()
    app.router.add_post("/{path:.*}", passport.handle)
    async with TestServer(app) as server:
        passport.url = str(server.make_url(""))
        yield passport


async def test_the_question_is_asked_with_what_stands_in_the_cookie(passport: Passport) -> None:
    assert await passport.ask()
    assert passport.query == {"appName": "xianyu", "fromSite": "77"}
    assert passport.form == {
        "hid": "2200000000002", "ltl": "true", "appName": "xianyu", "appEntrance": "web", "_csrf_token": "x-s-r-f",
        "umidToken": "", "hsiz": "secretcookie2", "bizParams": "taobaoBizLoginFrom=web", "mainPage": "false",
        "isMobile": "false", "lang": "zh_CN", "returnUrl": "", "fromSite": "77", "isIframe": "true",
        "documentReferer": "https://www.goofish.com/", "defaultView": "hasLogin", "umidTag": "SERVER",
        "deviceId": "CNA1",
    }  # fmt: skip


async def test_cookies_that_the_answer_renews_are_taken_over(passport: Passport) -> None:
    passport.answer.headers.add("Set-Cookie", "_tb_token_=new;Path=/")
    assert await passport.ask()
    assert passport.updates == [{"_tb_token_": "new"}]


async def test_a_login_that_is_gone_is_said_to_be_gone(passport: Passport) -> None:
    passport.answer = web.json_response({"content": {"success": False, "data": {}}, "hasError": False})
    assert not await passport.ask()


@pytest.mark.parametrize("scheme", ["", "https:"])
async def test_risk_control_names_the_page_to_open(passport: Passport, scheme: str) -> None:
    page = "//passport.goofish.com/newlogin/hasLogin.do/_____tmd_____/punish?x5secdata=1"
    passport.answer = web.json_response({"rgv587_flag": "sm", "url": scheme + page})
    with pytest.raises(ActionRequired) as parked:
        await passport.ask()
    assert (parked.value.reason, parked.value.action_url) == ("risk_control", f"https:{page}")


async def test_a_redirect_to_the_check_is_risk_control(passport: Passport) -> None:
    page = "https://passport.goofish.com/punish?x5secdata=1"
    passport.answer = web.Response(status=302, headers={"Location": page})
    with pytest.raises(ActionRequired) as parked:
        await passport.ask()
    assert parked.value.action_url == page


@pytest.mark.parametrize(
    "answer",
    [
        web.Response(status=500),
        web.Response(status=302, headers={"Location": "https://login.example/"}),
        web.Response(text="<html></html>", content_type="text/html"),
        web.json_response({"content": {}}),
        web.json_response({"content": {"success": "true"}}),
        web.json_response(["success"]),
    ],
)
async def test_an_answer_without_a_verdict_is_none(passport: Passport, answer: web.StreamResponse) -> None:
    passport.answer = answer
    with pytest.raises(TemporaryFailure):
        await passport.ask()


@pytest.mark.slow
async def test_no_answer_is_no_verdict_and_tells_no_secret(passport: Passport) -> None:
    async def never(_request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(5)
        return web.Response()

    app = web.Application()
    app.router.add_post("/{path:.*}", never)
    async with TestServer(app) as server:
        passport.url = str(server.make_url(""))
        with pytest.raises(TemporaryFailure) as failure:
            await passport.ask(1.0)
    assert "secretcookie2" not in repr(failure.value)
    assert failure.value.__cause__ is None
