"""The sandbox as one ASGI application, and as a server on one loopback port."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from asyncio import BaseTransport, Transport
from collections.abc import AsyncIterator, Callable, Iterator
from email.utils import formatdate
from typing import TYPE_CHECKING, Final, cast

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from shoal.sandbox import face_pages, mtop_site, passport, pictures, qr_pages
from shoal.sandbox.clock import Clock
from shoal.sandbox.control import control_routes
from shoal.sandbox.im_socket import FRAME_BYTES, im_endpoint
from shoal.sandbox.model_provider import model_routes
from shoal.sandbox.receivers import receiver_routes
from shoal.sandbox.script import Script
from shoal.sandbox.site import Site
from shoal.sandbox.supplier import supplier_routes
from shoal.sandbox.world import World

if TYPE_CHECKING:
    from shoal.sandbox.certificate import Certificate

STOP_SECONDS: Final = 2
IDLE_SECONDS: Final = 75
"""Longer than a client keeps an idle connection: one that is closed here may be just in use again there."""


def build_sandbox(
    world: World | None = None, *, seed: int = 0, script: bool | Script = False, clock: Clock | None = None
) -> Starlette:
    """Build an independent site; ``app.state.site`` is its state. ``seed`` and ``clock`` are for a new world."""
    if world and clock and world.clock is not clock:
        raise ValueError("the world brings its own clock")
    site = Site(world or World(seed=seed, clock=clock))
    story = Script() if script is True else script

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(story.run(site), name="sandbox-script") if story else None
        try:
            yield
        finally:
            site.close()
            if task:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    routes = [
        Route("/h5/{api}/{version}/", mtop_site.mtop_endpoint, methods=["GET", "POST"]),
        Route("/h5/{api}/{version}", mtop_site.mtop_endpoint, methods=["GET", "POST"]),
        *_login_routes(),
        Route("/api/upload.api", pictures.upload_endpoint, methods=["POST"]),
        *control_routes(),
        *supplier_routes(),
        *model_routes(),
        *receiver_routes(),
        WebSocketRoute("/", im_endpoint),
    ]
    app = Starlette(routes=routes, lifespan=lifespan, middleware=[Middleware(Dates, site.clock)])
    app.state.site = site
    app.state.world = site.world
    return app


def _login_routes() -> list[Route]:
    both = ["GET", "POST"]
    return [
        Route("/newlogin/hasLogin.do", passport.has_login_endpoint, methods=both),
        Route("/newlogin/silentHasLogin.do", passport.silent_has_login_endpoint, methods=["POST"]),
        Route("/ac/account/setLoginSettings.do", passport.set_login_settings_endpoint, methods=["POST"]),
        Route("/ac/account/queryLoginSettings.do", passport.query_login_settings_endpoint, methods=["POST"]),
        Route("/mini_login.htm", qr_pages.mini_login_endpoint),
        Route("/newlogin/qrcode/generate.do", qr_pages.qr_generate_endpoint, methods=both),
        Route("/newlogin/qrcode/query.do", qr_pages.qr_query_endpoint, methods=both),
        Route("/login_token/login.do", qr_pages.qr_token_endpoint, methods=["POST"]),
        Route("/newlogin/login_token/login.do", qr_pages.qr_token_endpoint, methods=["POST"]),
        Route("/im", qr_pages.message_page_endpoint),
        Route("/iv/mini/normal_validate.htm", face_pages.normal_validate_endpoint),
        Route("/iv/mini/verify_modes.htm", face_pages.verify_modes_endpoint),
        Route("/iv/mini/identity_verify.htm", face_pages.identity_verify_endpoint),
        Route("/iv/photoVerify/check.do", face_pages.check_endpoint),
        Route("/ivCheckLogin.htm", face_pages.check_login_endpoint),
    ]


class Dates:
    """Puts the time of the site's clock into each answer."""

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        self._app, self._clock = app, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""

        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = formatdate(self._clock.now_ms() / 1000, usegmt=True)
                message["headers"] = [*message.get("headers", ()), (b"date", date.encode())]
            await send(message)

        await self._app(scope, receive, dated if scope["type"] == "http" else send)


class _Protocol(WebSocketsSansIOProtocol):
    """Lets the application drop the connection without a close frame (1006)."""

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        self.app_state = {**self.app_state, "abort": cast("Transport", transport).abort}


class _HttpProtocol(HttpToolsProtocol):
    """Lets the application drop the connection without an answer. Accepts a handshake that contains Host and Connection
    twice (docs/protocol.md §3).
    """

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(cast("Transport", transport))
        self.app_state = {**self.app_state, "abort": cast("Transport", transport).abort}


class _Server(uvicorn.Server):
    """Leaves signals to the caller, and releases waiting readers before it waits for them."""

    def __init__(self, config: uvicorn.Config, site: Site) -> None:
        super().__init__(config)
        self.site = site
        self.up = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.site.close()
        await super().shutdown(sockets)


def _config(app: Starlette, certificate: Certificate | None = None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_HttpProtocol,
        ws=_Protocol,
        ws_ping_interval=None,
        ws_max_size=FRAME_BYTES,
        ws_per_message_deflate=False,
        lifespan="on",
        log_config=None,
        log_level="warning",
        date_header=False,  # the site's own clock gives it
        access_log=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
        ssl_certfile=certificate.site if certificate else None,
    )


def site_protocols(app: Starlette) -> Callable[[], asyncio.Protocol]:
    """Return a function that makes the protocol of each connection, for callers with their own transports.

    ``app`` comes from ``build_sandbox``; the caller runs its lifespan.
    """
    config = _config(app)
    config.load()
    state = ServerState()
    return lambda: config.http_protocol_class(config=config, server_state=state, app_state={})  # type: ignore[call-arg]


async def serve_sandbox(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    world: World | None = None,
    seed: int = 0,
    script: bool | Script = False,
    clock: Clock | None = None,
    ready: Callable[[str], object] | asyncio.Future[str] | None = None,
    app: Starlette | None = None,
    certificate: Certificate | None = None,
) -> None:
    """Serve a sandbox until cancelled; ``ready`` gets the URL, such as ``http://127.0.0.1:40123``.

    ``port`` 0 takes a free one. Serves only loopback addresses, because the site trusts every caller. ``app`` serves
    one that ``build_sandbox`` made before; then ``world``, ``seed``, ``script`` and ``clock`` are not used. With a
    ``certificate`` it serves everything over TLS only, including the control routes.
    """
    app = app or build_sandbox(world, seed=seed, script=script, clock=clock)
    listener = _listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    url = f"{'https' if certificate else 'http'}://{shown}:{listener.getsockname()[1]}"
    server = _Server(_config(app, certificate), app.state.site)
    serving = asyncio.create_task(server.serve([listener]), name="sandbox-server")
    up = asyncio.create_task(server.up.wait(), name="sandbox-server-up")
    try:
        await asyncio.wait({serving, up}, return_when=asyncio.FIRST_COMPLETED)
        if server.up.is_set():
            _report_ready(ready, url)
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        up.cancel()
        await asyncio.gather(serving, up, return_exceptions=True)
        listener.close()


def _report_ready(ready: Callable[[str], object] | asyncio.Future[str] | None, url: str) -> None:
    if isinstance(ready, asyncio.Future):
        if not ready.done():
            ready.set_result(url)
    elif ready:
        ready(url)


def _listen(host: str, port: int) -> socket.socket:
    address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    if not address.is_loopback:
        raise ValueError(f"the sandbox serves loopback addresses only, not {host}")
    listener = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((str(address), port))
    except OSError:
        listener.close()
        raise
    listener.listen(2048)
    listener.setblocking(False)
    return listener
