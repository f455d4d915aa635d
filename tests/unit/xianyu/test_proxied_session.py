"""Through a proxy with TLS: the site proves itself end to end, and a proxy that stands in for it gets nothing."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from shoal.network.outbound import Outbound
from shoal.xianyu.proxied_session import session_through
from shoal.xianyu.site_session import ProxyFailed, open_site_session
from support.network.certificates import certificate
from support.network.proxies import SITE, Kind, small_proxy

KINDS: tuple[Kind, ...] = ("http", "socks5")


LOOPBACK = Outbound.of("127.0.0.1")


@asynccontextmanager
async def tls_site(context: ssl.SSLContext) -> AsyncIterator[tuple[int, list[str]]]:
    """A site with TLS that notes which cookies it was given, and echoes over a socket."""
    given: list[str] = []

    async def page(request: web.Request) -> web.Response:
        given.append(request.headers.get("Cookie", ""))
        return web.Response(text="well")

    async def socket(request: web.Request) -> web.WebSocketResponse:
        given.append(request.headers.get("Cookie", ""))
        link = web.WebSocketResponse()
        await link.prepare(request)
        async for message in link:
            await link.send_str(message.data)
        return link

    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_get("/socket", socket)
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=context)
    try:
        assert server.port is not None
        yield server.port, given
    finally:
        await server.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_calls_and_sockets_go_through_with_the_site_s_own_tls(tmp_path: Path, kind: Kind) -> None:
    server, client = certificate(tmp_path, SITE)
    async with (
        tls_site(server) as (port, given),
        small_proxy(kind, "ann:pass") as proxy,
        open_site_session() as direct,
        session_through(proxy.url, direct, connect_timeout_seconds=60, outbound=LOOPBACK) as session,
    ):
        async with session.get(f"https://{SITE}:{port}/", ssl=client, headers={"Cookie": "a=1"}) as answer:
            assert await answer.text() == "well"
        async with session.ws_connect(f"wss://{SITE}:{port}/socket", ssl=client, headers={"Cookie": "a=2"}) as link:
            await link.send_str("hello")
            assert await link.receive_str() == "hello"
        assert given == ["a=1", "a=2"]
        assert set(proxy.passed) == {(SITE, port)}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_proxy_that_stands_in_for_the_site_is_told_nothing(tmp_path: Path, kind: Kind) -> None:
    server, _ = certificate(tmp_path, SITE)
    _, trusting_another = certificate(tmp_path, "another.test")
    async with (
        tls_site(server) as (port, given),
        small_proxy(kind) as proxy,
        open_site_session() as direct,
        session_through(proxy.url, direct, connect_timeout_seconds=60, outbound=LOOPBACK) as session,
    ):
        for path, scheme in (("/", "https"), ("/socket", "wss")):
            with pytest.raises(ProxyFailed) as caught:
                await session.get(f"{scheme}://{SITE}:{port}{path}", ssl=trusting_another, headers={"Cookie": "a=1"})
            assert caught.value.code == "proxy_untrusted"
        assert given == []


async def test_a_certificate_of_another_name_is_refused(tmp_path: Path) -> None:
    server, client = certificate(tmp_path, "another.test")
    async with (
        tls_site(server) as (port, given),
        small_proxy("socks5") as proxy,
        open_site_session() as direct,
        session_through(proxy.url, direct, connect_timeout_seconds=60, outbound=LOOPBACK) as session,
    ):
        with pytest.raises(ProxyFailed) as caught:
            await session.get(f"https://{SITE}:{port}/", ssl=client)
        assert (caught.value.code, given) == ("proxy_untrusted", [])


async def test_without_a_proxy_the_shared_session_is_the_one() -> None:
    async with (
        open_site_session() as direct,
        session_through("", direct, connect_timeout_seconds=1, outbound=LOOPBACK) as session,
    ):
        assert session is direct


async def test_a_session_of_its_own_keeps_no_cookies_and_is_closed() -> None:
    async with open_site_session() as direct:
        async with session_through(
            "http://127.0.0.1:9", direct, connect_timeout_seconds=1, outbound=LOOPBACK
        ) as session:
            assert isinstance(session.cookie_jar, aiohttp.DummyCookieJar)
            assert session is not direct
        assert session.closed
        assert not direct.closed
