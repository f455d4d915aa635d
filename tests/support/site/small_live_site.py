"""A real WebSocket server for unit tests of the live socket: it keeps what it is sent and answers by a table."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, cast

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from shoal.xianyu import frames, live_socket
from shoal.xianyu.browser import Browser
from shoal.xianyu.live_socket import LiveSocket, connect
from shoal.xianyu.site_session import open_site_session

COOKIE = "unb=2200000000002; cookie2=secretcookie2"

ME = "2200000000002"

BUYER = "2200000000001"

CHAT = "51000000001"

Frame = dict[str, object]


class Site:
    """A real WebSocket server: keeps what it is sent and answers by a table from path to body or frame."""

    def __init__(self) -> None:
        self.url = ""
        self.session: aiohttp.ClientSession
        self.got: list[Frame] = []
        self.arrived = asyncio.Event()
        self.headers: list[tuple[str, str]] = []
        self.link: web.WebSocketResponse | None = None
        self.bodies: dict[str, object] = {"/reg": {"timestamp": 1750000000123}, "/!": None}
        self.codes: dict[str, int] = {}
        self.silent: set[str] = set()
        self.status = 101

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.headers = [(name.decode(), value.decode()) for name, value in request.raw_headers]
        if self.status != 101:
            return web.Response(status=self.status)
        self.link = web.WebSocketResponse()
        await self.link.prepare(request)
        async for message in self.link:
            frame: Frame = json.loads(message.data)
            self.got.append(frame)
            self.arrived.set()
            await self.answer(frame)
        return self.link

    async def answer(self, frame: Frame) -> None:
        lwp = str(frame.get("lwp", ""))
        if not lwp or lwp in self.silent or lwp not in self.bodies:
            return
        headers = {"mid": frames.mid_of(frame).partition(" ")[0] + " 1", "sid": "s1", "reg-uid": f"{ME}@goofish"}
        reply = {"code": self.codes.get(lwp, 200), "headers": headers, "body": self.bodies[lwp]}
        await self.push(reply)

    async def push(self, frame: object) -> None:
        assert self.link is not None
        await self.link.send_str(frame if isinstance(frame, str) else json.dumps(frame))

    async def until_got(self, lwp: str) -> None:
        while not any(frame.get("lwp") == lwp for frame in self.got):
            self.arrived.clear()
            await asyncio.wait_for(self.arrived.wait(), 60)

    def cut(self) -> None:
        """Break the link without a farewell."""
        assert self.link is not None
        transport = cast("asyncio.Transport", self.link._req.transport if self.link._req else None)
        transport.abort()

    def open(
        self, gate: Callable[[], bool] = lambda: True, max_frame_bytes: int = 1024 * 1024
    ) -> AbstractAsyncContextManager[LiveSocket]:
        return connect(
            self.session, self.url, COOKIE, Browser("Shoal-Test/1"), gate=gate, max_frame_bytes=max_frame_bytes
        )


@asynccontextmanager
async def standing_site() -> AsyncIterator[Site]:
    """A site that is up until the block ends."""
    site = Site()
    app = web.Application()
    app.router.add_get("/", site.handle)
    async with TestServer(app) as server, open_site_session() as session:
        site.url = str(server.make_url("/")).replace("http", "ws", 1)
        site.session = session
        yield site


async def drain(socket: LiveSocket) -> list[Frame]:
    """Return all pushes until the socket ends; the reason is raised, so it is left to the caller to expect it."""
    return [push async for push in socket.pushes()]


def push_frame(number: int) -> Frame:
    return {"lwp": "/s/sync", "headers": {"mid": f"p{number} 0", "sid": "s1"}, "body": {}}


async def next_push(socket: LiveSocket) -> Frame:
    return await asyncio.wait_for(anext(socket.pushes()), 60)


def say(
    socket: LiveSocket, text: str, *, uuid: str = "-17500000021230", timeout_seconds: float = 10.0
) -> Coroutine[Any, Any, live_socket.SendReceipt]:
    """Send a text message."""
    frame = frames.send_text(socket.names.mid(), uuid, CHAT, BUYER, ME, text)
    return socket.send(frame, uuid, timeout_seconds)
