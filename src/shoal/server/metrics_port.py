"""A port of its own for Prometheus, on this machine only: without a token, and apart from the API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from aiohttp import web

from shoal.api.routes.metrics import MEDIA_TYPE
from shoal.network.addresses import host_name, is_loopback
from shoal.server.listener import bind

if TYPE_CHECKING:
    from shoal.api.metrics.metrics import Metrics

ADDRESS: Final = "127.0.0.1"


@asynccontextmanager
async def serving_metrics(metrics: Metrics, port: int) -> AsyncIterator[int]:
    """Serve ``/metrics`` until the end of the block. Raises ``ConfigError`` when the port cannot be used."""
    taken = bind(ADDRESS, port)

    async def scraped(request: web.Request) -> web.Response:
        if not is_loopback(host_name(request.headers.get("Host", ""))):  # a page of a browser under a name of its own
            raise web.HTTPForbidden
        return web.Response(body=await metrics.scraped(), headers={"Content-Type": MEDIA_TYPE})

    application = web.Application()
    application.router.add_get("/metrics", scraped)
    runner = web.AppRunner(application, access_log=None, handle_signals=False)
    await runner.setup()
    try:
        await web.SockSite(runner, taken).start()
        yield taken.getsockname()[1]
    finally:
        await runner.cleanup()
