"""Doors with two real servers on one PostgreSQL behind them, for the tests of the HTTP contract (``two_servers.py``).

Each request of a client meets one of the servers by chance, and says with ``Shoal-After`` what that test changed
before, as the shell and the console do. ``door.server`` is the server that runs the shops.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from shoal.cli.last_changes import LastChanges
from shoal.server.reply_server import Application
from shoal.storage.history_rows import newest_rev
from support.servers.doors import Beside, Door, app_of, client_of, living
from support.servers.protocol_transport import ProtocolTransport
from support.site.standins import FakeSite, until

KEY = "5a" * 32
_BEHIND_AT_MOST = 60
"""How often a request is repeated that met a server which does not show a change yet."""


class Spread:
    """Chooses a server for each request, and counts."""

    def __init__(self, seed: str, *, followed: bool = False) -> None:
        """``followed``: the test looks into the memory of the server that runs the shops, or changes it there. Before
        each request and after each change that server and the other have heard of each other."""
        self._chance = random.Random(seed)
        self.followed = followed
        self.asked = [0, 0]
        self.behind = 0

    def next(self) -> int:
        """Return the number of the server that the next request meets."""
        number = self._chance.randrange(2)
        self.asked[number] += 1
        return number


class SpreadTransport(httpx.AsyncBaseTransport):
    """Sends each request to one of two servers, after what was changed before."""

    def __init__(self, apps: Sequence[Application], spread: Spread, changes: LastChanges) -> None:
        self._apps = apps
        self._servers = [ProtocolTransport(app) for app in apps]
        self._spread = spread
        self._changes = changes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it, again when the server is behind, and remember what was changed."""
        named = {} if "shoal-after" in request.headers else self._changes.header()
        request.headers.update(named)
        for _ in range(_BEHIND_AT_MOST if named else 1):
            number = self._spread.next()
            if self._spread.followed:
                await self._catch_up(self._apps[number])
            answer = await self._servers[number].handle_async_request(request)
            said = _json(answer)
            if answer.status_code != 503 or not isinstance(said, dict) or said.get("code") != "node_behind":
                break
            self._spread.behind += 1
        if request.method != "GET":
            self._changes.note(said)
            if self._spread.followed:
                await self._catch_up(self._apps[0])
        return answer

    async def _catch_up(self, app: Application) -> None:
        """Let a server hear what was changed and permitted so far, at the latest two seconds earlier than it would."""
        server = app.state.server
        await server.authorization.reload()
        if rev := await server.database.read(newest_rev):
            await server.follower.passed(rev, within_seconds=60.0)


def _json(answer: httpx.Response) -> Any:
    if not answer.headers.get("content-type", "").endswith("json"):
        return None
    try:
        return json.loads(answer.content)
    except ValueError:  # an answer to HEAD
        return None


class SpreadProxy:
    """An application that lets each request be answered by one of two servers; it knows of no change."""

    def __init__(self, apps: Sequence[Application], spread: Spread) -> None:
        self._apps = apps
        self._spread = spread

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        await self._apps[self._spread.next()](scope, receive, send)


@asynccontextmanager
async def heard_at(app: ASGIApp, listener: socket.socket) -> AsyncIterator[None]:
    """Answer the calls of the other server at a listener, without a server that looks ten times a second."""
    config = uvicorn.Config(app, lifespan="off", log_config=None, ws="none")
    config.load()
    state, made = ServerState(), list[Any]()

    def protocol() -> asyncio.Protocol:
        made.append(config.http_protocol_class(config=config, server_state=state, app_state={}))  # type: ignore[call-arg]
        return made[-1]  # type: ignore[no-any-return]

    server = await asyncio.get_running_loop().create_server(protocol, sock=listener)
    try:
        yield
    finally:
        server.close()
        for connection in made:
            if connection.transport is not None:
                connection.transport.abort()
        if state.tasks:
            await asyncio.wait(set(state.tasks))


@asynccontextmanager
async def open_spread_door(
    data_dir: Path, site: FakeSite, *, url: str, spread: Spread, over_the_wire: bool = False, **settings: Any
) -> AsyncIterator[Door]:
    """Two servers, of which the first runs all shops, and a client that meets both; closed at the end."""
    shared: dict[str, Any] = {"database_url": url, "secret_key": KEY, "node_lease_seconds": 300.0, **settings}
    async with AsyncExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr("shoal.cluster.handover.GIVEN_UP_AT_ONCE", 0)
        apps = []
        for name, directory in (("one", data_dir), ("two", data_dir.with_name(f"{data_dir.name}-two"))):
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            address = f"http://127.0.0.1:{listener.getsockname()[1]}"
            app = app_of(directory, None if over_the_wire else site, node=name, node_address=address, **shared)
            await stack.enter_async_context(living(app))
            await stack.enter_async_context(heard_at(app, listener))
            apps.append(app)
        changes = LastChanges("http://shoal.test", data_dir.with_name(f"{data_dir.name}-changes.json"))
        apps[0].state.beside = Beside(lambda: SpreadTransport(apps, spread, changes), SpreadProxy(apps, spread))
        token = await apps[0].state.server.sessions.open(1, 3600)
        async with client_of(apps[0], token) as client:
            yield Door(apps[0], client, site)
        manager = apps[0].state.server.manager
        await until(lambda: set(manager.tasks) <= set(manager.accounts))  # what was removed has been seen off
