"""A whole server for tests of the API: the real database, an invented site, a signed-in client."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from benchmarks.processes import START_SECONDS
from shoal.accounts.account import Account
from shoal.api.http.layer import Layer
from shoal.api.routes import health
from shoal.api.server import Server
from shoal.auth import passwords
from shoal.auth.authorization import Principal
from shoal.auth.users import Role
from shoal.network.connections import Connections, Limits
from shoal.notices.apprise_process import AppriseProcess
from shoal.server.listener import entry
from shoal.server.reply_server import Application, build_app
from shoal.server.route_table import routers
from support.runs.quick_start import blank_database, cheap_hasher, files_in, lay_files
from support.runs.warm_start import WARM
from support.servers.api_document import share_document
from support.servers.protocol_transport import ProtocolTransport
from support.site.standins import FakeSite, cookie_of, quick_settings, until

share_document()
health.PROBE_SECONDS = 60.0
"""However slow the machine is, a database that answers is not said to be out of reach."""
(AppriseProcess.__init__.__kwdefaults__ or {})["ready_seconds"] = 60.0
"""However slow the machine is, a notice waits for the process that sends it."""

FACTS = {"changed", "generation", "rev", "state", "op_id"}
"""What stands in every answer to a change, beside the compatible body."""


@dataclass
class Door:
    """One person's way in."""

    app: Application
    client: httpx.AsyncClient
    site: FakeSite

    @property
    def server(self) -> Server:
        """The living parts."""
        server: Server = self.app.state.server
        return server

    def account(self, account_id: str = "shop") -> Account:
        """The published snapshot."""
        return self.server.manager.account(account_id)

    async def call(self, method: str, path: str, status: int = 200, **request: Any) -> Any:
        """Ask, expect a status, return the body."""
        answer = await self.client.request(method, path, **request)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def compat(self, method: str, path: str, status: int = 200, **request: Any) -> Any:
        """Ask, and return the body without the facts of a change."""
        body = await self.call(method, path, status, **request)
        return {name: value for name, value in body.items() if name not in FACTS}

    async def add(self, account_id: str = "shop", number: int = 1) -> None:
        """Add an account over the API."""
        await self.call("POST", "/cookies", json={"id": account_id, "value": cookie_of(number)})

    async def principal(self, user_id: int = 1) -> Principal:
        """A person, as the server knows them when they are signed in."""
        user = await self.server.users.get(user_id)
        assert user is not None
        return Principal(user=user)

    async def etag(self, path: str) -> str:
        """The ETag of a GET."""
        return (await self.client.get(path)).headers["etag"]


@dataclass
class Beside:
    """How the requests of a door's clients are spread over its server and others of the same database."""

    transport: Callable[[], httpx.AsyncBaseTransport]
    proxy: ASGIApp


def layered(app: ASGIApp) -> ASGIApp:
    """The application behind its layer, as the listener serves it; what spreads requests over several as it is."""
    if not isinstance(app, Application):
        return app
    found: Layer | None = getattr(app.state, "layered", None)
    if found is None:
        limits = Limits(total=10_000, per_address=10_000, silent_seconds=600.0)
        found = app.state.layered = entry(app, app.settings, Connections(limits, ()))
    return found


def client_of(app: Application, token: str = "") -> httpx.AsyncClient:
    """A client that talks to the application without a socket."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    beside: Beside | None = getattr(app.state, "beside", None)
    transport = beside.transport() if beside else ProtocolTransport(app)
    return httpx.AsyncClient(transport=transport, base_url="http://shoal.test", headers=headers)


@asynccontextmanager
async def living(app: Application) -> AsyncIterator[None]:
    """The server's life. Its passwords are cheap, so that a test need not wait for what another one measures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "PasswordHasher", cheap_hasher)
        life = app.router.lifespan_context(app)
        await life.__aenter__()
    async with AsyncExitStack() as closing:
        closing.push_async_exit(life)
        yield


def app_of(data_dir: Path, site: FakeSite | None, **settings: Any) -> Application:
    """A server that is not open yet, all its routes imported; without a ``site`` it calls ``site_…_url``."""
    routers()
    nowhere = {"site_passport_url": "http://127.0.0.1:9", "allow_private_targets": "127.0.0.1"}
    return build_app(
        quick_settings(data_dir=data_dir, **{**nowhere, **settings}), connect=None if site is None else site.connect
    )


class Ways:
    """Where a door is opened: at a single server, unless a run asks for several (``two_servers.py``)."""

    several: Callable[..., AbstractAsyncContextManager[Door]] | None = None


_started: dict[str, dict[str, bytes]] = {}
"""By the administrator's password: the files of a server that was started once."""


@asynccontextmanager
async def started_door(data_dir: Path, *, admin_password: str = "") -> AsyncIterator[Door]:
    """A door whose server was started before, as nearly every start is: for tests to which the first is no matter.

    The first makes keys and the administrator: a third of the time. All such doors have the same keys.
    """
    chosen: dict[str, Any] = {"admin_password": admin_password} if admin_password else {}
    if not Ways.several:
        if admin_password not in _started:
            with tempfile.TemporaryDirectory() as directory:
                await blank_database(Path(directory))
                async with living(app_of(Path(directory), FakeSite(), **chosen)):
                    pass
                _started[admin_password] = files_in(Path(directory))
        lay_files(data_dir, _started[admin_password])
    async with open_door(data_dir, **chosen) as door:
        yield door


@asynccontextmanager
async def open_door(data_dir: Path, *, over_the_wire: bool = False, **settings: Any) -> AsyncIterator[Door]:
    """A server with its administrator signed in; closed at the end. ``over_the_wire``: to ``site_…_url``."""
    site = FakeSite()
    if Ways.several and not {"node", "database_url"} & settings.keys():
        async with Ways.several(data_dir, site, over_the_wire=over_the_wire, **settings) as door:
            yield door
        return
    await blank_database(data_dir)
    app = app_of(data_dir, None if over_the_wire else site, **settings)
    async with living(app):
        token = await app.state.server.sessions.open(1, 86_400)
        async with client_of(app, token) as client:
            yield Door(app, client, site)
        manager = app.state.server.manager
        await until(lambda: set(manager.tasks) <= set(manager.accounts))  # what was removed has been seen off


@asynccontextmanager
async def another_person(door: Door, name: str = "bob", role: Role = Role.OWNER) -> AsyncIterator[Door]:
    """Somebody else on the same server."""
    person = await door.server.users.create(name, "a password of theirs", role=role)
    async with client_of(door.app, await door.server.sessions.open(person.id, 3600)) as client:
        yield Door(door.app, client, door.site)


@asynccontextmanager
async def served(door: Door, listener: socket.socket | None = None) -> AsyncIterator[str]:
    """The same server on a socket. Its parts are those of the door: the lifespan does not run twice."""
    beside: Beside | None = getattr(getattr(door.app, "state", None), "beside", None)
    app = beside.proxy if beside else layered(door.app)

    async def without_lifespan(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            while (await receive())["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
        else:
            await app(scope, receive, send)

    async with listening(without_lifespan, listener) as url:
        yield url


async def in_shell(url: str, token: str, *words: str, typed: str = "") -> tuple[int, str]:
    """A command of the shell in a process of its own: its exit code, and what it printed."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("SHOAL_", "LC_", "LANG"))}
    environment = {**plain, "SHOAL_URL": url, "SHOAL_TOKEN": token}
    async with asyncio.timeout(START_SECONDS):
        child = await WARM.start(("-m", "shoal", *words), environment, typed=typed.encode())
        said, _ = await child.communicate()
    assert child.returncode is not None
    return child.returncode, said.decode()


@asynccontextmanager
async def listening(app: ASGIApp, listener: socket.socket | None = None) -> AsyncIterator[str]:
    """The application on a real socket; yields its URL. ``listener``: on this one, which stays open."""
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        log_config=None,
        ws="websockets-sansio",
        timeout_graceful_shutdown=1,
        lifespan="on",
    )
    server = uvicorn.Server(config)
    sockets = None if listener is None else [listener.dup()]  # uvicorn closes its own
    serving = asyncio.create_task(server.serve(sockets))
    try:
        await until(lambda: server.started or serving.done())
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await serving
