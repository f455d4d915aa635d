"""The proxy of our own process: no way out without a pass, none past the guard, and an end with the work."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shoal.network.guarded_proxy import MOST_BYTES, GuardedProxy, Pass, _place, _request_line, _Wrong
from shoal.network.guarded_sockets import guarded
from shoal.network.outbound import Outbound, TargetRefused
from support.network.proxies import tripwire

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + head)
    writer.close()


@asynccontextmanager
async def _running(serve: Serve = _echo, allowed: str = "127.0.0.1") -> AsyncIterator[tuple[GuardedProxy, int]]:
    """A proxy, and a host on the loopback."""
    host = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy = GuardedProxy(guarded(Outbound.of(allowed)))
    await proxy.open()
    try:
        yield proxy, host.sockets[0].getsockname()[1]
    finally:
        await proxy.close()
        host.close()


async def _ask(proxy: GuardedProxy, request: str, given: Pass | None, more: str = "") -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    word = base64.b64encode(f"pass:{given.word if given else 'guess'}".encode()).decode()
    writer.write(f"{request} HTTP/1.1\r\nProxy-Authorization: Basic {word}\r\n{more}\r\n".encode())
    try:
        async with asyncio.timeout(60):
            return await reader.read()
    finally:
        writer.close()


async def test_a_plain_request_reaches_its_host_without_a_word_of_the_proxy() -> None:
    async with _running() as (proxy, port):
        given = proxy.give_pass()
        answer = await _ask(
            proxy, f"POST http://127.0.0.1:{port}/a?b=c", given, "X: 1\r\nProxy-Connection: keep-alive\r\n"
        )
        assert answer.endswith(b"POST /a?b=c HTTP/1.1\r\nX: 1\r\nConnection: close\r\n\r\n")
        assert given.connections == 1


async def test_without_a_pass_or_with_one_that_was_taken_back_nothing_is_reached() -> None:
    async with _running() as (proxy, port):
        for given in (None, proxy.give_pass()):
            if given is not None:
                proxy.take_back(given)
            answer = await _ask(proxy, f"CONNECT 127.0.0.1:{port}", given)
            assert answer.startswith(b"HTTP/1.1 407 ")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "[::1]", "[::ffff:127.0.0.1]"])
async def test_a_host_inside_is_refused_and_never_connected_to(host: str) -> None:
    async with tripwire() as wire, _running(allowed="") as (proxy, _):
        for request in (f"CONNECT {host}:{wire.port}", f"GET http://{host}:{wire.port}/"):
            given = proxy.give_pass()
            answer = await _ask(proxy, request, given)
            assert answer[:12] in {b"HTTP/1.1 403", b"HTTP/1.1 502"}
            assert given.connections == 0
            assert given.refused or given.unreached
        assert not wire.touched


@pytest.mark.parametrize(
    "request_line", ["CONNECT nowhere", "CONNECT a:b", "GET ftp://a/", "GET /path", "CONNECT", "GET http://a:99999/"]
)
async def test_nonsense_is_answered_as_such(request_line: str) -> None:
    async with _running() as (proxy, _):
        assert (await _ask(proxy, request_line, proxy.give_pass())).startswith(b"HTTP/1.1 400 ")


async def test_a_pass_that_is_taken_back_ends_its_connections_and_no_other() -> None:
    arrived = asyncio.Semaphore(0)
    ended: list[bytes] = []

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.release()
        ended.append(await reader.read())
        writer.close()

    async with _running(silent) as (proxy, port):
        first, second = proxy.give_pass(), proxy.give_pass()
        tasks = [asyncio.create_task(_ask(proxy, f"CONNECT 127.0.0.1:{port}", one)) for one in (first, second)]
        for _ in tasks:
            await asyncio.wait_for(arrived.acquire(), 60)
        proxy.take_back(first)
        assert await asyncio.wait_for(tasks[0], 60) == b"HTTP/1.1 200 Connection established\r\n\r\n"
        assert not tasks[1].done()
        proxy.take_back(second)
        await asyncio.wait_for(tasks[1], 60)
        async with asyncio.timeout(60):
            while len(ended) < 2:
                await asyncio.sleep(0.01)


async def test_an_answer_without_end_is_cut_off() -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(b"x" * 65_536)
                await writer.drain()
        except OSError:
            writer.close()

    async with _running(flood) as (proxy, port):
        answer = await _ask(proxy, f"CONNECT 127.0.0.1:{port}", proxy.give_pass())
        assert MOST_BYTES // 2 < len(answer) <= MOST_BYTES + 100


async def test_a_name_that_changes_its_answer_is_connected_to_where_the_guard_looked() -> None:
    answers = [["127.0.0.1"], ["10.0.0.1"]]

    async def fickle(_host: str, _port: int) -> list[str]:
        return answers.pop(0)

    async with tripwire() as wire:
        connect = guarded(Outbound.of("127.0.0.0/8", resolve=fickle))
        (await connect("fickle.example", wire.port)).close()
        with pytest.raises(TargetRefused):
            await connect("fickle.example", wire.port)
        async with asyncio.timeout(60):
            while not wire.touched:
                await asyncio.sleep(0.01)


async def test_the_next_address_is_tried_and_the_last_failure_is_told() -> None:
    async def two(_host: str, _port: int) -> list[str]:
        return ["127.0.0.2", "127.0.0.1"]

    async with tripwire() as wire:
        connect = guarded(Outbound.of("127.0.0.0/8", resolve=two))
        opened = await connect("two.example", wire.port)
        assert opened.getpeername()[0] == "127.0.0.1"
        opened.close()
    with pytest.raises(ConnectionRefusedError):
        await connect("two.example", wire.port)


@example(b"\n  ")
@example(b"GET http://host.example/\nX-Own:1 HTTP/1.1\r\n\r\n")
@given(st.binary(max_size=200) | st.from_regex(rb"(GET|CONNECT) \S{0,40} HTTP/1.1", fullmatch=True))
def test_no_head_breaks_the_proxy(head: bytes) -> None:
    with contextlib.suppress(_Wrong):
        method, target, first = _request_line(head)
        assert first.count(b"\n") == 1
        host, port = _place(f"//{target}", 0) if method == "CONNECT" else _place(target, 80)
        assert host
        assert 0 < port < 65_536
