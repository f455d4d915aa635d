"""A port of its own for Prometheus, on this machine only: without a token, and apart from the API."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from shoal.api.routes.metrics import MEDIA_TYPE
from shoal.errors import ConfigError
from shoal.network.addresses import host_name, is_loopback
from shoal.server.bound_socket import bind

ADDRESS: Final = "127.0.0.1"


def bind_for_metrics(port: int) -> socket.socket:
    """Bind the port. Raises ``ConfigError``: before anything else is opened, so that a first start is not used up."""
    try:
        return bind(ADDRESS, port)
    except ConfigError:
        raise ConfigError("startup.metrics_port", port=port) from None


@asynccontextmanager
async def serving_metrics(page: Callable[[], Awaitable[bytes]], taken: socket.socket) -> AsyncIterator[int]:
    """Serve ``/metrics``, which ``page`` writes, at that socket until the end of the block. Return the port."""

    async def scraped(request: web.Request) -> web.Response:
        if not is_loopback(host_name(request.headers.get("Host", ""))):  # a page of a browser under a name of its own
            raise web.HTTPForbidden
        return web.Response(body=await page(), headers={"Content-Type": MEDIA_TYPE})

    application = web.Application()
    application.router.add_get("/metrics", scraped)
    runner = web.AppRunner(application, access_log=None, handle_signals=False)
    await runner.setup()
    try:
        await web.SockSite(runner, taken).start()
        yield taken.getsockname()[1]
    finally:
        await runner.cleanup()
