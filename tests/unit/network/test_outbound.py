"""Where connections may go that people ask for: by real sockets, and names that change their answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from shoal.config import load_settings
from shoal.errors import ConfigError
from shoal.network.outbound import GuardedConnector, Outbound, TargetRefused, look_up
from shoal.xianyu.proxied_session import session_through
from shoal.xianyu.site_session import ProxyFailed, Redirected, open_session, open_site_session
from support.network.judged_addresses import INSIDE, OUTSIDE
from support.network.proxies import SITE, Kind, small_proxy, tripwire


@pytest.mark.parametrize("text", INSIDE)
def test_an_address_inside_is_refused_however_it_is_wrapped(text: str) -> None:
    assert not Outbound().permits(text)


@pytest.mark.parametrize("text", OUTSIDE)
def test_a_public_address_is_permitted(text: str) -> None:
    assert Outbound().permits(text)


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0x7f.1", "127.1", "0177.0.0.1", "localhost", "[::1]"])
async def test_other_ways_to_write_an_inner_address_are_refused(host: str) -> None:
    """The system's own resolver reads them; what it reads is checked."""
    with pytest.raises((TargetRefused, OSError)):
        await Outbound().addresses(host, 80)


async def test_what_the_setting_allows_is_permitted_and_no_more() -> None:
    some = Outbound.of("127.0.0.1, 10.0.0.0/8 fd00::/8")
    assert [some.permits(text) for text in ("127.0.0.1", "10.9.9.9", "fd00::7", "::ffff:10.0.0.1")] == [True] * 4
    assert [some.permits(text) for text in ("127.0.0.2", "192.168.0.1", "fe80::1", "8.8.8.8")] == [False] * 3 + [True]
    assert Outbound.of("all").permits("169.254.169.254")
    assert load_settings(allow_private_targets="all").allow_private_targets == "all"
    with pytest.raises(ConfigError, match=r"allow_private_targets .*: .*10\.0\.0\.x is neither"):
        load_settings(allow_private_targets="10.0.0.x")


async def test_a_host_with_an_inner_and_a_public_address_is_reached_by_the_public_one_alone() -> None:
    async def both(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1", "8.8.8.8", "::1"]

    assert await Outbound(resolve=both).addresses("both.example.com", 80) == ["8.8.8.8"]


class Fickle:
    """A resolver that changes its answer each time it is asked."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, _host: str, _port: int) -> list[str]:
        self.asked += 1
        return [self.answers[min(self.asked, len(self.answers)) - 1]]


@pytest.mark.parametrize("kind", ["http", "socks5"])
async def test_a_proxy_whose_name_changes_its_answer_is_reached_only_where_it_was_checked(kind: Kind) -> None:
    told: list[str] = []

    async def tell(host: str) -> None:
        told.append(host)

    async with small_proxy(kind) as proxy, tripwire() as site, open_site_session() as direct:
        resolve = Fickle("127.0.0.1", "127.0.0.2")  # the second one is not allowed
        outbound = Outbound.of("127.0.0.1", resolve=resolve, refused=tell)
        url = proxy.url.replace("127.0.0.1", "proxy.example.com")
        async with session_through(url, direct, connect_timeout_seconds=60, outbound=outbound) as session:
            with pytest.raises(aiohttp.ClientError):
                await session.post(f"http://{SITE}:{site.port}/")  # it hangs up
            assert (resolve.asked, proxy.knocks, site.touched) == (1, 1, 1)
            with pytest.raises(ProxyFailed) as caught:
                await session.post(f"http://{SITE}:{site.port}/")
        assert (caught.value.code, proxy.knocks, site.touched) == ("proxy_not_allowed", 1, 1)
        assert told == ["proxy.example.com"]


@pytest.mark.parametrize("kind", ["http", "socks5"])
async def test_a_proxy_inside_is_not_even_knocked_at_unless_it_is_allowed(kind: Kind) -> None:
    async with small_proxy(kind) as proxy, open_site_session() as direct:
        async with session_through(proxy.url, direct, connect_timeout_seconds=60, outbound=Outbound()) as session:
            with pytest.raises(ProxyFailed) as caught:
                await session.post(f"http://{SITE}:9/")
        assert (caught.value.code, proxy.knocks) == ("proxy_not_allowed", 0)


async def test_a_proxy_whose_first_address_does_not_answer_is_reached_at_the_next() -> None:
    async def two(_host: str, _port: int) -> list[str]:
        return ["127.0.0.3", "127.0.0.1"]

    async with small_proxy("http") as proxy, tripwire() as site, open_site_session() as direct:
        url = proxy.url.replace("127.0.0.1", "proxy.example.com")
        outbound = Outbound.of("127.0.0.0/8", resolve=two)
        async with session_through(url, direct, connect_timeout_seconds=60, outbound=outbound) as session:
            with pytest.raises(aiohttp.ClientError):
                await session.post(f"http://{SITE}:{site.port}/")
        assert (proxy.knocks, site.touched) == (1, 1)


async def test_a_proxy_that_no_resolver_knows_is_unreachable() -> None:
    async def nobody(_host: str, _port: int) -> list[str]:
        raise OSError("no such host")

    async with open_site_session() as direct:
        outbound = Outbound(resolve=nobody)
        way = session_through("http://nowhere.invalid:1", direct, connect_timeout_seconds=60, outbound=outbound)
        async with way as session:
            with pytest.raises(ProxyFailed) as caught:
                await session.post(f"http://{SITE}:9/")
    assert caught.value.code == "proxy_unreachable"


@asynccontextmanager
async def a_server(status: str, *headers: str) -> AsyncIterator[tuple[int, list[bytes]]]:
    """An HTTP server that answers everything alike, its port, and what it was asked."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        head = "\r\n".join([f"HTTP/1.1 {status}", "Content-Length: 0", "Connection: close", *headers])
        writer.write(f"{head}\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], asked


async def test_a_session_for_webhooks_reaches_what_is_allowed_and_nothing_inside() -> None:
    async with a_server("204 No Content") as (port, asked):
        async with open_session(GuardedConnector(Outbound.of("127.0.0.1"))) as session:
            for host in ("127.0.0.1", "localhost"):
                async with session.get(f"http://{host}:{port}/") as answer:
                    assert answer.status == 204
        assert len(asked) == 2
        async with open_session(GuardedConnector(Outbound())) as session:
            for host in ("127.0.0.1", "localhost", "127.1", "[::1]", "[::ffff:127.0.0.1]"):
                with pytest.raises((aiohttp.ClientConnectorError, aiohttp.InvalidURL)):
                    await session.get(f"http://{host}:{port}/")
        assert len(asked) == 2


async def test_a_session_for_webhooks_asks_once_and_follows_no_change_and_no_redirect() -> None:
    async with a_server("307 Temporary Redirect", "Location: http://localhost:1/inside") as (port, asked):
        resolve = Fickle("127.0.0.1", "127.0.0.2")
        async with open_session(GuardedConnector(Outbound.of("127.0.0.1", resolve=resolve))) as session:
            with pytest.raises(Redirected):
                await session.get(f"http://hook.example.com:{port}/")
            assert (resolve.asked, len(asked)) == (1, 1)
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.get(f"http://hook.example.com:{port}/")
            assert (resolve.asked, len(asked)) == (2, 1)


async def test_the_system_finds_this_machine_by_its_name() -> None:
    """Else the refusals above prove nothing."""
    assert "127.0.0.1" in await look_up("localhost", 80)


@pytest.mark.parametrize("host", [f"{'a' * 64}.example", "a..example"])
async def test_what_can_be_no_name_of_a_host_is_unreachable(host: str) -> None:
    with pytest.raises(OSError, match="no name"):
        await look_up(host, 443)
