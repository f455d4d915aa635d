"""Two servers on one PostgreSQL that hear each other's calls, and a proxy before them that asks one after the other."""

from __future__ import annotations

import itertools
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from benchmarks.processes import free_port
from support.servers.doors import Door, layered, open_door, served


@asynccontextmanager
async def open_two_doors(tmp_path: Path, url: str, **settings: Any) -> AsyncIterator[tuple[Door, Door]]:
    """Both servers, ``one`` and ``two``. The second runs no shop: the first is not asked to give up any."""
    shared: dict[str, Any] = {"database_url": url, "secret_key": "5a" * 32, "node_lease_seconds": 300.0, **settings}
    async with AsyncExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr("shoal.cluster.handover.GIVEN_UP_AT_ONCE", 0)
        opened = []
        for name in ("one", "two"):
            listener = stack.enter_context(socket.create_server(("127.0.0.1", free_port())))
            address = f"http://127.0.0.1:{listener.getsockname()[1]}"
            door = await stack.enter_async_context(
                open_door(tmp_path / name, node=name, node_address=address, **shared)
            )
            opened.append((door, listener))
        for door, listener in opened:
            await stack.enter_async_context(served(door, listener))
        yield opened[0][0], opened[1][0]


class AlternatingProxy:
    """An application that lets each request be answered by the next one of several."""

    def __init__(self, doors: Sequence[Door]) -> None:
        self._apps = itertools.cycle([layered(door.app) for door in doors])
        self.asked = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        self.asked += 1
        await next(self._apps)(scope, receive, send)
