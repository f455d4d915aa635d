"""The picture of a seller is asked for only at the site's own hosts, as a browser asks, and without the login."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from shoal.errors import TemporaryFailure
from shoal.xianyu.browser import chrome
from shoal.xianyu.seller_pictures import fetch_picture
from shoal.xianyu.site_session import open_site_session

BROWSER = chrome(151)


async def fetched(url: str, answer: web.Response) -> tuple[bytes | str, list[web.Request]]:
    """What comes of an address (``{site}`` stands for the site's), and the requests that arrived."""
    asked: list[web.Request] = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(request)
        return answer

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    async with TestServer(app) as server, open_site_session() as session:
        site = str(server.make_url("/"))
        try:
            data = await fetch_picture(session, BROWSER, site, url.format(site=site), timeout_seconds=60)
        except TemporaryFailure as failure:
            return failure.code, asked
    return data, asked


async def test_it_is_asked_for_as_a_page_asks_and_without_a_cookie() -> None:
    body, [request] = await fetched("{site}face.png", web.Response(body=b"picture"))
    assert body == b"picture"
    assert "Cookie" not in request.headers
    assert request.headers["Sec-Fetch-Dest"] == "image"
    assert {name: request.headers[name] for name in BROWSER.headers} == BROWSER.headers


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/face.png",
        "https://alicdn.com.evil.example/face.png",
        "https://127.0.0.1/face.png",
        "http://127.0.0.1:1/face.png",
        "http://169.254.169.254/latest/meta-data",
        "https://user@img.alicdn.com/face.png",
        "https://img.alicdn.com:8443/face.png",
        "file:///etc/passwd",
        "face.png",
        "",
    ],
)
async def test_any_other_address_is_not_asked(url: str) -> None:
    assert await fetched(url, web.Response(body=b"picture")) == ("picture_not_fetched", [])


@pytest.mark.parametrize(
    "answer",
    [
        web.Response(status=302, headers={"Location": "https://evil.example/"}),
        web.Response(status=404),
        web.Response(body=b"x" * (3 * 1024 * 1024)),
    ],
    ids=["a redirect", "nothing", "too much"],
)
async def test_what_is_no_picture_to_show_is_told(answer: web.Response) -> None:
    found, asked = await fetched("{site}face.png", answer)
    assert (found, len(asked)) == ("picture_not_fetched", 1)


@pytest.mark.parametrize("host", [f"{'a' * 64}.alicdn.com", "a..alicdn.com"])
async def test_a_host_that_cannot_be_looked_up_is_no_defect(host: str) -> None:
    assert await fetched(f"https://{host}/face.png", web.Response()) == ("picture_not_fetched", [])
