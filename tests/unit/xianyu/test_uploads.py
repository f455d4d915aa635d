"""What the upload makes of the site's answers, whatever they are."""

from __future__ import annotations

import asyncio
import json
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from shoal.errors import ActionRequired, ShoalError, TemporaryFailure
from shoal.xianyu.browser import Browser
from shoal.xianyu.cookie_string import merge
from shoal.xianyu.site_session import open_site_session
from shoal.xianyu.uploads import UploadedPicture, UploadRefused, _Answer, _understood, upload_picture
from support.files.picture_files import a_jpeg

COOKIE = "unb=2200000000002; cookie2=secretcookie2; _m_h5_tk=secrettoken_1; sgcookie=secretsg"
PICTURE = a_jpeg(80, 60)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Jar:
    def __init__(self) -> None:
        self.text = COOKIE

    def header(self, host: str = "") -> str:
        return self.text

    async def rotated(self, updates: dict[str, str]) -> None:
        self.text = merge(self.text, updates)


async def upload_to(handler: Handler, jar: Jar | None = None, *, seconds: float = 60.0) -> UploadedPicture:
    app = web.Application()
    app.router.add_post("/api/upload.api", handler)
    async with TestServer(app) as server, open_site_session() as session:
        return await upload_picture(
            session, str(server.make_url("/")), jar or Jar(), PICTURE,
            media_type="image/jpeg", extension="jpg", browser=Browser("browser"), timeout_seconds=seconds,
        )  # fmt: skip


def says(body: Any, **response: Any) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.json_response(body, **response)

    return handler


async def test_it_is_sent_as_the_site_wants_it() -> None:
    seen: dict[str, Any] = {}

    async def handler(request: web.Request) -> web.StreamResponse:
        form = await request.post()
        file = form["file"]
        assert isinstance(file, web.FileField)
        seen.update(query=dict(request.query), headers=request.headers, data=file.file.read(), kind=file.content_type)
        answer = web.json_response({"object": {"url": "//img.example.com/a.jpg", "pix": "80x60"}})
        answer.set_cookie("sgcookie", "renewed")
        return answer

    jar = Jar()
    assert await upload_to(handler, jar) == UploadedPicture("https://img.example.com/a.jpg", 80, 60)
    assert seen["query"] == {"floderId": "0", "appkey": "xy_chat", "_input_charset": "utf-8"}
    assert (seen["data"], seen["kind"]) == (PICTURE, "image/jpeg")
    assert seen["headers"]["Cookie"] == COOKIE
    assert seen["headers"]["X-Requested-With"] == "XMLHttpRequest"
    assert "sgcookie=renewed" in jar.text


@pytest.mark.parametrize("pix", [None, "", "big", "80x", "80x60x2", 7])
async def test_a_size_that_the_site_does_not_say_is_no_obstacle(pix: object) -> None:
    body = {"object": {"url": "https://img.example.com/a.jpg", "pix": pix}}
    assert await upload_to(says(body)) == UploadedPicture("https://img.example.com/a.jpg")


@pytest.mark.parametrize(
    "body",
    [
        {"success": False, "errorCode": "X", "errorMsg": "because secretcookie2 of secrettoken"},
        {"object": None}, {"object": {}}, {"object": {"url": 5}}, {},
        {"success": False, "object": {"url": "https://img.example.com/a.jpg"}},
    ],
)  # fmt: skip
async def test_a_refusal_is_told_without_secrets(body: dict[str, Any]) -> None:
    with pytest.raises(UploadRefused) as caught:
        await upload_to(says(body))
    assert "secret" not in caught.value.reason
    assert caught.value.reason


@pytest.mark.parametrize(
    "handler",
    [
        says({}, status=500), says({}, status=403), says([], status=200),
        says({"object": {"url": "javascript:alert(1)"}}), says({"object": {"url": "https://x/\n"}}),
        says({"object": {"url": "https://x/" + "y" * 3000}}),
    ],
)  # fmt: skip
async def test_what_cannot_be_understood_may_be_tried_again(handler: Handler) -> None:
    with pytest.raises(TemporaryFailure) as caught:
        await upload_to(handler)
    assert caught.value.code == "upload_failed"


@pytest.mark.parametrize(
    "handler",
    [
        says({}, status=302, headers={"Location": "https://x.example.com/_____tmd_____/punish?x5secdata=1"}),
        says(
            {"ret": ["FAIL_SYS_USER_VALIDATE", "RGV587_ERROR::SM::被挤爆啦"], "data": {"url": "https://x/punish?a=1"}}
        ),
    ],
)
async def test_risk_control_names_the_page_to_open(handler: Handler) -> None:
    with pytest.raises(ActionRequired) as caught:
        await upload_to(handler)
    assert caught.value.reason == "risk_control"
    assert "punish" in caught.value.action_url


async def test_a_site_that_never_answers_is_given_up_and_no_failure_carries_a_secret() -> None:
    async def never(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(2)
        return web.Response()

    for handler in (never, says({}, status=500), says({"success": False, "errorMsg": "secretcookie2"})):
        with pytest.raises(ShoalError) as caught:
            await upload_to(handler, seconds=0.5 if handler is never else 60.0)
        assert "secretcookie" not in "".join(traceback.format_exception(caught.value))


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["object", "url", "pix", "ret", "data", "success", "errorMsg", "x"]), inner)
    ),
    max_leaves=12,
)


@given(
    st.binary(max_size=200) | _json.map(lambda value: json.dumps(value).encode()), st.sampled_from([200, 302, 413, 500])
)
def test_no_answer_raises_anything_else(body: bytes, status: int) -> None:
    with suppress(ActionRequired, UploadRefused, TemporaryFailure):
        found = _understood(_Answer(status, "", body), COOKIE)
        assert found.url.startswith(("https://", "http://"))
