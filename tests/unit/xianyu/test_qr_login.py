"""What a QR login makes of the site's answers, whatever they are."""

from __future__ import annotations

import asyncio
import json
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from shoal.errors import ActionRequired, ShoalError, TemporaryFailure
from shoal.xianyu.browser import Browser
from shoal.xianyu.qr_login import QrLogin, QrStatus, _content, _login_form
from shoal.xianyu.qr_session import Answer
from shoal.xianyu.site_session import open_site_session

FORM = {"appName": "xianyu", "_csrf_token": "secretcsrf", "isMobile": False, "fromSite": 77, "returnUrl": ""}
CODE = {"t": 1750000000123, "ck": "secretck", "codeContent": "https://passport.example.com/qr?lgToken=secretck"}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def page(form: Any = None, *, text: str | None = None) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        view = json.dumps({"loginFormData": FORM if form is None else form, "more": {"a": "};"}})
        answer = web.Response(
            text=text if text is not None else f"<script>window.viewData = {view};\nx()</script>",
            content_type="text/html",
        )
        answer.set_cookie("XSRF-TOKEN", "secretxsrf")
        return answer

    return handler


def says(
    data: Any = None,
    *,
    success: Any = True,
    status: int = 200,
    whole: Any = None,
    cookies: dict[str, str] | None = None,
) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        body = whole if whole is not None else {"content": {"data": data, "success": success}, "hasError": False}
        answer = web.json_response(body, status=status)
        for name, value in (cookies or {}).items():
            answer.set_cookie(name, value)
        return answer

    return handler


@asynccontextmanager
async def site(
    first: Handler | None = None, code: Handler | None = None, query: Handler | None = None
) -> AsyncIterator[QrLogin]:
    app = web.Application()
    app.router.add_get("/mini_login.htm", first or page())
    app.router.add_get("/newlogin/qrcode/generate.do", code or says(CODE))
    app.router.add_post("/newlogin/qrcode/query.do", query or says({"qrCodeStatus": "NEW"}))
    app.router.add_route("*", "/h5/{api}/1.0/", says(whole={"ret": ["FAIL_SYS_TOKEN_EMPTY::令牌为空"]}))
    async with TestServer(app) as server, open_site_session() as session:
        url = str(server.make_url("/"))
        yield QrLogin(session, url, mtop_url=url, page_url=url, browser=Browser("browser"), timeout_seconds=60.0)


async def test_the_whole_way_as_the_site_wants_it() -> None:
    asked: list[dict[str, Any]] = []
    answers = iter([
        ({"qrCodeStatus": "NEW"}, {}), ({"qrCodeStatus": "SCANED"}, {}),
        ({"qrCodeStatus": "CONFIRMED"}, {"unb": "2200000000001", "cookie2": "secretcookie2"}),
    ])  # fmt: skip

    async def code(request: web.Request) -> web.StreamResponse:
        asked.append({"query": dict(request.query), "cookie": request.headers.get("Cookie")})
        return await says(CODE)(request)

    async def query(request: web.Request) -> web.StreamResponse:
        asked.append({"form": dict(await request.post()), "cookie": request.headers.get("Cookie")})
        data, cookies = next(answers)
        return await says(data, cookies=cookies)(request)

    async with site(code=code, query=query) as login:
        assert await login.begin() == CODE["codeContent"]
        assert [await login.ask() for _ in range(3)] == [QrStatus.NEW, QrStatus.SCANNED, QrStatus.CONFIRMED]
        assert login.cookie == "XSRF-TOKEN=secretxsrf; unb=2200000000001; cookie2=secretcookie2"
    form = {
        "appName": "xianyu", "_csrf_token": "secretcsrf", "isMobile": "false", "fromSite": "77", "returnUrl": "",
        "umidTag": "SERVER", "bizParams": "taobaoBizLoginFrom=web&renderRefer=https://www.goofish.com/",
    }  # fmt: skip
    assert asked[0] == {"query": form, "cookie": "XSRF-TOKEN=secretxsrf"}
    browser = {
        "isIframe": "true", "documentReferer": "https://www.goofish.com/", "defaultView": "sms", "deviceId": "",
        "navlanguage": "zh-CN", "navUserAgent": "browser", "navPlatform": "Linux x86_64",
    }  # fmt: skip
    assert asked[1]["form"] == {**form, "t": "1750000000123", "ck": "secretck", **browser}


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("SCANNED", QrStatus.SCANNED),
        ("EXPIRED", QrStatus.EXPIRED),
        ("CANCELED", QrStatus.CANCELLED),
        ("ERROR", QrStatus.ERROR),
    ],
)
async def test_every_word_of_the_site_is_known(word: str, status: QrStatus) -> None:
    async with site(query=says({"qrCodeStatus": word})) as login:
        await login.begin()
        assert await login.ask() is status


URL = "https://passport.example.com/iv/mini/identity_verify.htm?htoken=1"


@pytest.mark.parametrize(
    ("handler", "url"),
    [
        (says({"qrCodeStatus": "CONFIRMED", "iframeRedirect": True, "iframeRedirectUrl": URL}), URL),
        (says({"qrCodeStatus": "CONFIRMED", "iframeRedirect": True, "iframeRedirectUrl": "javascript:x()"}), ""),
        (says(whole={"url": "//passport.example.com/_____tmd_____/punish?x5secdata=1"}),
         "https://passport.example.com/_____tmd_____/punish?x5secdata=1"),
    ],
)  # fmt: skip
async def test_what_wants_more_than_a_scan_names_the_page_and_goes_no_further(handler: Handler, url: str) -> None:
    async with site(query=handler) as login:
        await login.begin()
        with pytest.raises(ActionRequired) as caught:
            await login.ask()
        assert (caught.value.reason, caught.value.action_url) == ("risk_control", url)


async def test_a_redirect_to_the_check_is_risk_control_too() -> None:
    async def punish(request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("https://passport.example.com/punish?x5secdata=1")

    async with site(first=punish) as login:
        with pytest.raises(ActionRequired):
            await login.begin()


NO_CODE: list[dict[str, Handler]] = [
    {"first": page(text="<html>moved</html>")},
    {"first": page(text="window.viewData = {broken")},
    {"first": page(text="window.viewData = [1];")},
    {"first": page(form=[1])},
    {"first": page(form={"a": {"b": 1}})},
    {"first": says({}, status=503)},
    {"code": says({"t": 1, "ck": "c"})},
    {"code": says({"t": 1, "ck": "", "codeContent": "x"})},
    {"code": says({"t": 1, "ck": "c", "codeContent": "x" * 2000})},
    {"code": says({"t": 1, "ck": "c", "codeContent": "x\x1b[2J"})},
    {"code": says(None)},
    {"code": says(CODE, success=False)},
    {"code": says(whole=[1])},
    {"code": says(whole={"content": 5})},
    {"code": says(CODE, status=500)},
]


@pytest.mark.parametrize("handlers", NO_CODE)
async def test_a_site_that_gives_no_code_is_a_passing_failure(handlers: dict[str, Handler]) -> None:
    async with site(**handlers) as login:
        with pytest.raises(TemporaryFailure) as caught:
            await login.begin()
        assert caught.value.code == "qr_login_failed"


@pytest.mark.parametrize(
    "handler",
    [
        says({}),
        says(None),
        says({"qrCodeStatus": "NEWS"}),
        says({"qrCodeStatus": 7}),
        says({}, status=502),
        says(whole=7),
    ],
)
async def test_a_question_that_is_not_answered_is_a_passing_failure(handler: Handler) -> None:
    async with site(query=handler) as login:
        await login.begin()
        with pytest.raises(TemporaryFailure) as caught:
            await login.ask()
        assert caught.value.code == "qr_login_failed"


async def test_no_failure_carries_what_must_stay_secret() -> None:
    goes_on = asyncio.Event()

    async def never(request: web.Request) -> web.StreamResponse:
        await goes_on.wait()
        return web.Response()

    for query in (never, says({}, status=500), says({"qrCodeStatus": "secretck"})):
        async with site(query=query) as login:
            await login.begin()
            login.site.timeout_seconds = 0.5 if query is never else 60.0
            with pytest.raises(ShoalError) as caught:
                await login.ask()
            goes_on.set()
            told = "".join(traceback.format_exception(caught.value)) + repr(login) + repr(caught.value.params)
            assert "secretck" not in told
            assert "secretxsrf" not in told


_names = st.sampled_from(["loginFormData", "content", "data", "success", "qrCodeStatus", "url", "iframeRedirect", "x"])
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner),
    max_leaves=12,
)
_bodies = st.binary(max_size=200) | _json.map(lambda value: json.dumps(value).encode())


@given(_bodies)
def test_no_page_and_no_answer_raises_anything_else(body: bytes) -> None:
    for read, given_body in ((_content, body), (_login_form, body), (_login_form, b"window.viewData = " + body)):
        with suppress(ActionRequired, TemporaryFailure):
            read(Answer(200, "", "", given_body))


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"loginFormData":' * 50_000, b"\xff" * 1000])
def test_a_page_that_is_nested_without_end_is_refused(body: bytes) -> None:
    with pytest.raises(TemporaryFailure):
        _login_form(Answer(200, "", "", b"window.viewData = " + body))
