"""What the site's gateway answers means the same at every door: signed calls, login check, upload, QR login."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from shoal.clock import now_ms
from shoal.errors import ActionRequired, ShoalError
from shoal.xianyu.browser import Browser
from shoal.xianyu.mtop import MtopClient
from shoal.xianyu.passport import Passport
from shoal.xianyu.qr_login import QrLogin
from shoal.xianyu.site_session import open_site_session
from shoal.xianyu.uploads import upload_picture

URL = "https://h5api.m.goofish.com/h5/x/1.0/_____tmd_____/punish?x5secdata=abc"
BROWSER = Browser("T")
Told = str | bool
"""The code of the error, for ``ActionRequired`` its reason and address; or what the door returned."""


class Jar:
    def header(self, host: str = "") -> str:
        return "unb=2200000000002; cookie2=secret; _m_h5_tk=0123_1"

    async def rotated(self, updates: dict[str, str]) -> None:
        pass


class Site:
    """Gives one answer to everything."""

    def __init__(self) -> None:
        self.answer: Mapping[str, object] = {}
        self.make: Callable[[], web.Response] | None = None
        """What answers in place of ``answer``."""
        self.asked = 0
        self.url = ""
        self.session: aiohttp.ClientSession

    async def handle(self, request: web.Request) -> web.Response:
        self.asked += request.method == "POST"  # not who asks for the time
        if self.make is not None:
            return self.make()
        if request.path == "/mini_login.htm":
            return web.Response(text='<script>window.viewData = {"loginFormData": {}}</script>')
        return web.json_response(self.answer)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", site.handle)
    async with TestServer(app) as server, open_site_session() as session:
        site.url, site.session = str(server.make_url("/")).rstrip("/"), session
        yield site


async def mtop(site: Site) -> object:
    return await MtopClient(site.session, site.url, Jar(), browser=BROWSER).login_user()


async def login_check(site: Site) -> object:
    return await Passport(site.session, site.url, Jar(), BROWSER).has_login()


async def upload(site: Site) -> object:
    return await upload_picture(
        site.session, site.url, Jar(), b"x", media_type="image/png", extension="png", browser=BROWSER
    )


async def qr_login(site: Site) -> object:
    return await QrLogin(site.session, site.url, mtop_url=site.url, page_url=site.url, browser=BROWSER).begin()


DOORS: tuple[Callable[[Site], Awaitable[object]], ...] = (mtop, login_check, upload, qr_login)
RISK = ("risk_control ",) * 4
RISK_WITH_URL = (f"risk_control {URL}",) * 4
NOT_LOGGED_IN: tuple[Told, ...] = ("login_expired ", False, "login_expired ", "login_expired ")
ROWS: dict[str, tuple[dict[str, object], tuple[Told, ...]]] = {
    "a check by its flag": ({"rgv587_flag": "sm", "url": URL.removeprefix("https:")}, RISK_WITH_URL),
    "a check by its flag, without an address": ({"rgv587_flag": "sm"}, RISK),
    "a check by its address": ({"ret": ["FAIL_BIZ_X::x"], "data": {"url": URL}}, RISK_WITH_URL),
    "user validate, alone": ({"ret": ["FAIL_SYS_USER_VALIDATE"]}, RISK),
    "user validate, with words": ({"ret": ["FAIL_SYS_USER_VALIDATE::校验失败"], "url": URL}, RISK_WITH_URL),
    "RGV587": ({"ret": ["RGV587_ERROR::SM::哎哟喂,被挤爆啦,请稍后重试"]}, RISK),
    "RRXVv": ({"ret": ["RRXVv_ERROR::SM::哎哟喂,被挤爆啦,请稍后重试"]}, RISK),
    "FAIL_SYS_RGV587, bare": ({"ret": ["FAIL_SYS_RGV587_ERROR::SM"]}, RISK),
    "a spelling that is not known yet": ({"ret": ["XYZ_ERROR::SM::稍后"]}, RISK),
    "illegal access": ({"ret": ["FAIL_SYS_ILLEGAL_ACCESS::非法访问"]}, RISK),
    "taken for a machine": ({"ret": ["FAIL_BIZ_WUA_IS_MACHINE::x"]}, RISK),
    "session expired": ({"ret": ["FAIL_SYS_SESSION_EXPIRED::Session过期"]}, NOT_LOGGED_IN),
    "not logged in": ({"ret": ["FAIL_BIZ_USER_NOT_LOGIN::用户未登录"]}, NOT_LOGGED_IN),
    "token illegal": ({"ret": ["FAIL_SYS_TOKEN_ILLEGAL::令牌非法"]}, ("token_rejected",) * 4),
    "traffic limit": ({"ret": ["FAIL_SYS_TRAFFIC_LIMIT::x"]}, ("rate_limited",) * 4),
    "user limit": ({"ret": ["FAIL_SYS_USER_LIMIT::x"]}, ("rate_limited",) * 4),
    "api gone": ({"ret": ["FAIL_SYS_API_NOT_FOUNDED::请求API不存在"]}, ("api_gone",) * 4),
    "service gone": ({"ret": ["FAIL_SYS_SERVICE_NOT_EXIST::服务不存在"]}, ("api_gone",) * 4),
}


async def told(door: Callable[[Site], Awaitable[object]], site: Site) -> object:
    try:
        return await door(site)
    except ActionRequired as why:
        return f"{why.reason} {why.action_url}"
    except ShoalError as error:
        return error.code


@pytest.mark.parametrize(("answer", "wanted"), [pytest.param(*row, id=name) for name, row in ROWS.items()])
async def test_an_answer_of_the_gateway_means_the_same_at_every_door(
    site: Site, answer: dict[str, object], wanted: tuple[Told, ...]
) -> None:
    site.answer = answer
    assert tuple([await told(door, site) for door in DOORS]) == wanted


@pytest.mark.parametrize(("ret", "calls"), [("FAIL_SYS_TOKEN_ILLEGAL::x", 2), ("FAIL_SYS_API_NOT_FOUNDED::x", 1)])
async def test_a_stale_token_is_tried_once_more_and_a_gone_call_is_not(site: Site, ret: str, calls: int) -> None:
    site.answer = {"ret": [ret]}
    await told(mtop, site)
    assert site.asked == calls


CHECK = {"ret": ["FAIL_SYS_USER_VALIDATE::x"], "data": {"url": URL}}
PAGE = f"<script>location = '{URL}'</script>"
FORMS: dict[str, tuple[Callable[[], web.Response], str]] = {
    "with another status": (lambda: web.json_response(CHECK, status=403), f"risk_control {URL}"),
    "with a status of a broken site": (lambda: web.json_response(CHECK, status=503), f"risk_control {URL}"),
    "not called JSON": (lambda: web.json_response(CHECK, content_type="text/html"), f"risk_control {URL}"),
    "only a flag, not called JSON": (lambda: web.Response(text='{"rgv587_flag":"sm"}'), "risk_control "),
    "a page with another status": (lambda: web.Response(text=PAGE, status=405), f"risk_control {URL}"),
    "a redirect without a scheme": (
        lambda: web.Response(status=302, headers={"Location": URL.removeprefix("https:")}),
        f"risk_control {URL}",
    ),
}


async def silent_renewal(site: Site) -> object:
    jar = Jar()
    jar.header = lambda host="": f"unb=2; cookie2=x; havana_lgc_exp={now_ms() + 60_000}"  # type: ignore[method-assign]
    return await Passport(site.session, site.url, jar, BROWSER).renew_login()


async def qr_question(site: Site) -> object:
    return await QrLogin(site.session, site.url, mtop_url=site.url, page_url=site.url, browser=BROWSER).ask()


@pytest.mark.parametrize(("make", "wanted"), [pytest.param(*row, id=name) for name, row in FORMS.items()])
async def test_a_check_is_known_in_whatever_form_it_comes(
    site: Site, make: Callable[[], web.Response], wanted: str
) -> None:
    site.make = make
    doors = (*DOORS, silent_renewal, qr_question)
    assert [await told(door, site) for door in doors] == [wanted] * len(doors)


async def test_a_login_that_is_gone_is_known_with_another_status_too(site: Site) -> None:
    site.make = lambda: web.json_response({"ret": ["FAIL_SYS_SESSION_EXPIRED::x"]}, status=401)
    assert [await told(door, site) for door in DOORS] == list(NOT_LOGGED_IN)
