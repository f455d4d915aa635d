"""Serves a sandbox's application in the test's own loop, ready at once and gone at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, cast

from starlette.applications import Starlette

from shoal.sandbox.server import site_protocols

KEPT_SECONDS: Final = 3600
"""For so long the sandbox keeps an idle connection. By itself it closes one after five seconds, perhaps just as it is
used again by a client that the machine gave no time before."""


@asynccontextmanager
async def served(app: Starlette) -> AsyncIterator[str]:
    """Serve it on a loopback port behind uvicorn's protocols; yields its address.

    Without uvicorn's server, which looks ten times a second whether it shall end: 0.2 s of each test.
    """
    make, made = site_protocols(app), list[Any]()

    def protocol() -> asyncio.Protocol:
        connection: Any = make()
        connection.timeout_keep_alive = KEPT_SECONDS
        made.append(connection)
        return cast("asyncio.Protocol", connection)

    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    try:
        async with app.router.lifespan_context(app):
            yield "http://{}:{}".format(*server.sockets[0].getsockname())
    finally:
        server.close()
        for connection in made:
            if connection.transport is not None:
                connection.transport.abort()
        if made and made[0].tasks:  # what answers: one set for all connections
            await asyncio.wait(set(made[0].tasks))
