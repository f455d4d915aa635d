from __future__ import annotations

import asyncio
import gc
import os
import socket
import warnings
from collections.abc import Callable

import pytest
import uvloop
from aiohttp import ClientSession, TCPConnector, web

from shoal.network.fresh_sockets import OwnSocket, open_socket
from shoal.xianyu.site_session import open_site_session


async def _server() -> tuple[web.AppRunner, str]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="here")

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}/"


async def _with_a_number_taken(session: ClientSession) -> str:
    """Close the descriptor of a transport behind uvloop's back, then connect: the system gives that number again."""
    runner, url = await _server()
    orphan, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, *runner.addresses[0][:2], family=0)
    number = orphan.get_extra_info("socket").fileno()
    os.close(number)
    try:
        async with session, session.get(url) as response:
            return await response.text()
    finally:
        orphan.abort()
        await runner.cleanup()


def _run(make: Callable[[], ClientSession]) -> str:
    async def main() -> str:
        return await _with_a_number_taken(make())

    return uvloop.run(main())


def test_without_a_fresh_socket_the_loop_refuses_the_number() -> None:
    with pytest.raises(RuntimeError, match="is used by transport"):
        _run(lambda: ClientSession(connector=TCPConnector()))


def test_a_descriptor_closed_under_its_transport_stops_no_connection_to_the_site() -> None:
    assert _run(open_site_session) == "here"


def test_a_fresh_socket_of_any_loop_is_a_plain_socket() -> None:
    async def main() -> int:
        opened = open_socket((2, 1, 6, "", ("127.0.0.1", 1)))
        try:
            return opened.fileno()
        finally:
            opened.close()

    assert asyncio.run(main()) > 0


@pytest.mark.parametrize("how", ["collected", "closed"])
@pytest.mark.parametrize("own", [True, False])
def test_a_socket_whose_number_was_given_to_another_closes_it_not(own: bool, how: str) -> None:
    kind = OwnSocket if own else socket.socket
    stale = kind(socket.AF_INET, socket.SOCK_STREAM, 0)
    number = stale.fileno()
    os.close(number)  # as libuv does
    other = os.open(os.devnull, os.O_RDONLY)
    assert other == number
    if how == "closed":
        stale.close()
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            del stale
            gc.collect(0)
    if own:
        os.fstat(other)
        os.close(other)
    else:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(other)


def test_a_socket_that_is_forgotten_gives_its_number_back() -> None:
    forgotten = OwnSocket(socket.AF_INET, socket.SOCK_STREAM, 0)
    number = forgotten.fileno()
    del forgotten
    gc.collect(0)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)
