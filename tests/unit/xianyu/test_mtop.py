import asyncio
import json
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import cast

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from shoal.errors import ActionRequired, CallUnknown, InvalidInput, ShoalError, TemporaryFailure
from shoal.xianyu import cookie_string
from shoal.xianyu.browser import Browser
from shoal.xianyu.mtop import MtopClient, MtopRefused
from shoal.xianyu.sign import sign
from shoal.xianyu.site_session import open_site_session

OLD_TOKEN = "0123456789abcdef0123456789abcdef"
NEW_TOKEN = "fedcba9876543210fedcba9876543210"
COOKIE = f"unb=2200000000002; cookie2=secretcookie2; _m_h5_tk={OLD_TOKEN}_1750000000000; _m_h5_tk_enc=encencenc"
SECRETS = (OLD_TOKEN, NEW_TOKEN, "secretcookie2", "encencenc")
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Jar:
    def __init__(self, text: str = COOKIE) -> None:
        self.text = text
        self.updates: list[dict[str, str]] = []

    def header(self, host: str = "") -> str:
        return self.text

    async def rotated(self, updates: dict[str, str]) -> None:
        self.updates.append(updates)
        self.text = cookie_string.merge(self.text, updates)


class Site:
    """A real HTTP server that gives the prepared answers in turn and keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.requests: list[web.Request] = []
        self.forms: list[str] = []
        self.jar = Jar()
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.forms.append(str((await request.post())["data"]))
        return await self.answers.pop(0)(request)

    def will_say(self, *ret: str, data: object = None, status: int = 200, cookies: tuple[str, ...] = ()) -> None:
        async def answer(_request: web.Request) -> web.StreamResponse:
            body = {"api": "x", "data": {} if data is None else data, "ret": list(ret), "v": "1.0"}
            response = web.json_response(body, status=status)
            for cookie in cookies:
                response.headers.add("Set-Cookie", cookie)
            return response

        self.answers.append(answer)

    def will_answer(self, make: Callable[[], web.StreamResponse]) -> None:
        async def answer(_request: web.Request) -> web.StreamResponse:
            return make()

        self.answers.append(answer)

    def client(self, timeout_seconds: float = 5.0) -> MtopClient:
        return MtopClient(
            self.session, self.url, self.jar, browser=Browser("Shoal-Test/1"), timeout_seconds=timeout_seconds
        )

    session: aiohttp.ClientSession


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    app = web.Application()
    app.router.add_post("/h5/{api}/{version}/", site.handle)
    async with TestServer(app) as server, open_site_session() as session:
        site.url = str(server.make_url("/"))
        site.session = session
        yield site


async def test_a_call_is_signed_and_sent_as_the_web_client_does(site: Site) -> None:
    site.will_say("SUCCESS::调用成功", data={"a": 1})
    assert await site.client().call("mtop.x.y", '{"k":"鱼 &="}', extra_query={"spm_cnt": "a.b"}) == {"a": 1}
    request = site.requests[0]
    assert request.path == "/h5/mtop.x.y/1.0/"
    query = dict(request.query)
    t = query.pop("t")
    assert query == {
        "jsv": "2.7.2",
        "appKey": "34839810",
        "sign": sign(OLD_TOKEN, t, '{"k":"鱼 &="}'),
        "v": "1.0",
        "type": "originaljson",
        "accountSite": "xianyu",
        "dataType": "json",
        "timeout": "20000",
        "api": "mtop.x.y",
        "sessionOption": "AutoLoginOnly",
        "spm_cnt": "a.b",
    }
    assert site.forms == ['{"k":"鱼 &="}']
    assert request.headers["Cookie"] == COOKIE
    assert request.headers["User-Agent"] == "Shoal-Test/1"
    assert request.headers["Origin"] == "https://www.goofish.com"
    assert request.content_type == "application/x-www-form-urlencoded"


async def test_a_stale_token_is_renewed_and_the_call_repeated_once_with_a_new_sign(site: Site) -> None:
    renewed = (f"_m_h5_tk={NEW_TOKEN}_1760000000000; Path=/; Domain=goofish.com", "_m_h5_tk_enc=new; Path=/")
    site.will_say("FAIL_SYS_TOKEN_EXOIRED::令牌过期", cookies=renewed)
    site.will_say("SUCCESS::调用成功", data={"ok": True})
    assert await site.client().call("mtop.x", "{}") == {"ok": True}
    second = site.requests[1]
    assert second.query["sign"] == sign(NEW_TOKEN, second.query["t"], "{}")
    assert f"_m_h5_tk={NEW_TOKEN}_1760000000000" in second.headers["Cookie"]
    assert site.jar.updates == [{"_m_h5_tk": f"{NEW_TOKEN}_1760000000000", "_m_h5_tk_enc": "new"}]


async def test_a_token_that_stays_stale_is_given_up_after_the_second_call(site: Site) -> None:
    for _ in range(2):
        site.will_say("FAIL_SYS_TOKEN_EMPTY::令牌为空")
    with pytest.raises(TemporaryFailure) as failure:
        await site.client().confirm_shipment("4000000000000000001")
    assert failure.value.code == "token_rejected"
    assert not isinstance(failure.value, CallUnknown)
    assert len(site.requests) == 2


async def test_cookies_of_every_reply_are_handed_over_even_of_a_refusal(site: Site) -> None:
    cookies = ("x=1; Path=/", 'q="a b"; Path=/', "cookie2=; Max-Age=0", "unb=2200000000002; Path=/")
    site.will_say("FAIL_BIZ_X::no", cookies=cookies)
    with pytest.raises(MtopRefused):
        await site.client().call("mtop.x", "{}")
    assert site.jar.updates == [{"x": "1", "q": '"a b"', "cookie2": "", "unb": "2200000000002"}]
    site.will_say("boom", status=500, cookies=("y=2",))
    with pytest.raises(TemporaryFailure):
        await site.client().call("mtop.x", "{}")
    assert site.jar.updates[1] == {"y": "2"}


async def test_risk_control_parks_with_the_address_and_without_a_second_call(site: Site) -> None:
    url = "https://h5api.m.goofish.com:443//h5/x/1.0/_____tmd_____/punish?x5secdata=abc&action=captcha"
    site.will_say("FAIL_SYS_USER_VALIDATE", "RGV587_ERROR::SM::哎哟喂,被挤爆啦,请稍后重试!", data={"url": url})
    with pytest.raises(ActionRequired) as parked:
        await site.client().call("mtop.x", "{}")
    assert (parked.value.reason, parked.value.action_url) == ("risk_control", url)
    assert len(site.requests) == 1


async def test_a_redirect_to_the_check_is_risk_control_and_is_not_followed(site: Site) -> None:
    url = "https://h5api.m.goofish.com/_____tmd_____/punish?x5secdata=abc"
    site.will_answer(lambda: web.Response(status=302, headers={"Location": url}))
    with pytest.raises(ActionRequired) as parked:
        await site.client().call("mtop.x", "{}")
    assert parked.value.action_url == url


async def test_a_lost_login_needs_the_owner(site: Site) -> None:
    site.will_say("FAIL_SYS_SESSION_EXPIRED::Session过期")
    with pytest.raises(ActionRequired) as parked:
        await site.client().login_user()
    assert parked.value.reason == "login_expired"


async def test_a_refusal_names_the_code_and_hides_secrets_that_the_site_repeats(site: Site) -> None:
    site.will_say(f"FAIL_BIZ_ITEM_NOT_FOUND::宝贝不存在 {OLD_TOKEN} secretcookie2")
    with pytest.raises(MtopRefused) as refused:
        await site.client().item_page("800000000001")
    assert refused.value.ret_code == "FAIL_BIZ_ITEM_NOT_FOUND"
    assert "不存在" in refused.value.ret_text
    assert_silent(refused.value)


def assert_silent(error: BaseException) -> None:
    shown = "".join(traceback.format_exception(error)) + repr(error) + str(vars(error))
    assert not [secret for secret in SECRETS if secret in shown]


UNREADABLE: list[Callable[[], web.StreamResponse]] = [
    lambda: web.Response(status=502, text="bad gateway"),
    lambda: web.Response(status=302, headers={"Location": "https://a.example/"}),
    lambda: web.Response(text="<html>", content_type="text/html"),
    lambda: web.Response(text="{", content_type="application/json"),
    lambda: web.Response(text="[" * 100_000, content_type="application/json"),
    lambda: web.Response(text="[]", content_type="application/json"),
    lambda: web.json_response({}),
    lambda: web.json_response({"ret": ["FAIL_SYS_SERVICE_TIMEOUT::x"]}),
    lambda: web.json_response({"ret": ["SUCCESS::x"], "data": "x" * (2 * 1024 * 1024)}),
]


@pytest.mark.parametrize("make", UNREADABLE)
async def test_an_unreadable_answer_is_temporary_and_of_an_irreversible_call_uncertain(
    site: Site, make: Callable[[], web.StreamResponse]
) -> None:
    site.will_answer(make)
    with pytest.raises(TemporaryFailure) as failure:
        await site.client().call("mtop.x", "{}")
    assert not isinstance(failure.value, CallUnknown)
    site.will_answer(make)
    with pytest.raises(CallUnknown) as uncertain:
        await site.client().confirm_shipment("4000000000000000001")
    assert_silent(uncertain.value)
    assert len(site.requests) == 2


async def test_a_call_that_hangs_or_breaks_is_uncertain_when_irreversible(site: Site) -> None:
    async def hang(_request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(5)
        return web.Response()

    async def cut(request: web.Request) -> web.StreamResponse:
        cast("asyncio.Transport", request.transport).abort()
        return web.Response()

    for answer in (hang, cut):
        site.answers = [answer, answer]
        with pytest.raises(CallUnknown) as uncertain:
            await site.client(0.3).free_shipping("4000000000000000001", "800000000001", "2200000000001")
        assert_silent(uncertain.value)
        with pytest.raises(TemporaryFailure) as failure:
            await site.client(0.3).login_user()
        assert not isinstance(failure.value, CallUnknown)
    assert len(site.requests) == 4


async def test_a_site_that_is_not_there_certainly_did_nothing(site: Site) -> None:
    client = MtopClient(site.session, "http://127.0.0.1:9", site.jar, browser=Browser("x"), timeout_seconds=5)
    with pytest.raises(TemporaryFailure) as failure:
        await client.confirm_shipment("4000000000000000001")
    assert failure.value.code == "unreachable"
    assert not isinstance(failure.value, CallUnknown)
    assert_silent(failure.value)


async def test_no_call_leaves_once_the_account_may_not_be_acted_for(site: Site) -> None:
    mine = [False]
    client = MtopClient(site.session, site.url, site.jar, browser=Browser("x"), allows=lambda: mine[0])
    with pytest.raises(TemporaryFailure) as failure:
        await client.confirm_shipment("4000000000000000001")
    assert not isinstance(failure.value, CallUnknown)
    assert site.requests == []
    mine[0] = True
    site.will_say("SUCCESS::调用成功")
    await client.confirm_shipment("4000000000000000001")
    assert len(site.requests) == 1


async def test_too_many_requests_did_nothing_either(site: Site) -> None:
    site.will_answer(lambda: web.Response(status=429))
    with pytest.raises(TemporaryFailure) as failure:
        await site.client().confirm_shipment("4000000000000000001")
    assert failure.value.code == "rate_limited"


async def test_a_socket_token_is_read(site: Site) -> None:
    site.will_say(
        "SUCCESS::调用成功",
        data={"accessToken": "oauth_abc", "accessTokenExpiredTime": "86400000", "refreshToken": "r"},
    )
    token = await site.client().im_token("D-1")
    assert (token.access_token, token.refresh_token, token.lifetime_seconds) == ("oauth_abc", "r", 86400.0)
    assert "oauth_abc" not in repr(token)
    assert site.forms == ['{"appKey":"444e9908a51d1cb236a27862abc769c9","deviceId":"D-1"}']
    site.will_say("SUCCESS::调用成功", data={"accessToken": "a"})
    assert (await site.client().im_token("D-1")).lifetime_seconds == 7200.0
    site.will_say("SUCCESS::调用成功", data={})
    with pytest.raises(TemporaryFailure):
        await site.client().im_token("D-1")


async def test_the_data_texts_are_exact(site: Site) -> None:
    for _ in range(4):
        site.will_say("SUCCESS::调用成功", data={})
    client = site.client()
    await client.confirm_shipment("4000000000000000001")
    await client.free_shipping("4000000000000000001", "800000000001", "2200000000001")
    await client.item_page("800000000001")
    await client.login_user()
    assert site.forms == [
        '{"orderId":"4000000000000000001", "tradeText":"","picList":[],"newUnconsign":true}',
        '{"bizOrderId":"4000000000000000001", "itemId":800000000001,"buyerId":2200000000001}',
        '{"itemId":"800000000001"}',
        "{}",
    ]
    assert [json.loads(form) for form in site.forms]
    assert [request.match_info["api"] for request in site.requests] == [
        "mtop.taobao.idle.logistic.consign.dummy",
        "mtop.idle.groupon.activity.seller.freeshipping",
        "mtop.taobao.idle.pc.detail",
        "mtop.taobao.idlemessage.pc.loginuser.get",
    ]


async def test_ids_that_are_no_numbers_never_reach_the_site(site: Site) -> None:
    with pytest.raises(InvalidInput):
        await site.client().confirm_shipment('1","x":"')
    assert site.requests == []


async def test_a_session_with_a_jar_of_its_own_is_refused() -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(TypeError):
            MtopClient(session, "http://127.0.0.1:9", Jar(), browser=Browser("x"))


async def test_an_empty_cookie_still_asks_and_takes_its_first_token(site: Site) -> None:
    site.jar = Jar("")
    site.will_say("FAIL_SYS_TOKEN_EMPTY::令牌为空", cookies=(f"_m_h5_tk={NEW_TOKEN}_1",))
    site.will_say("SUCCESS::调用成功")
    await site.client().call("mtop.x", "{}")
    assert "Cookie" not in site.requests[0].headers
    assert site.requests[1].headers["Cookie"] == f"_m_h5_tk={NEW_TOKEN}_1"


def test_the_failures_belong_to_the_one_tree() -> None:
    assert issubclass(MtopRefused, ShoalError)
    assert not issubclass(MtopRefused, TemporaryFailure)
