"""The server: its components, its start and its end, and the application that answers requests."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import psutil
from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.types import Receive, Scope, Send

from shoal import __version__
from shoal.accounts.account_counts import AccountCounter
from shoal.accounts.account_task import Connect
from shoal.accounts.cookie_manager import CookieManager
from shoal.api.hot import hot
from shoal.api.http.idempotency import SECURITY_SCHEME
from shoal.api.http.problems import answer_problems
from shoal.api.live_streams import LiveStreams
from shoal.api.routes import health, item_pages
from shoal.api.schemas.kept_accounts import KeptAccounts
from shoal.api.server import Server
from shoal.config import Settings
from shoal.connection.qr_login_register import SeveralServers
from shoal.connection.qr_logins import QrLogins
from shoal.connection.xianyu_live import ConnectionDeps
from shoal.errors import ConfigError, StoreError
from shoal.goods.goods_components import open_goods
from shoal.messages.chat_desk import ChatDesk
from shoal.messages.chats import Chats
from shoal.messages.shop_counts import ShopCounts
from shoal.messages.takeovers import Takeovers
from shoal.notices.notice_components import open_notices
from shoal.server.closing import Closing
from shoal.server.heartbeat_calls import HeartbeatCalls
from shoal.server.open_accounts import ended, open_accounts
from shoal.server.open_connections import open_connections
from shoal.server.open_file_readers import open_file_readers
from shoal.server.open_housekeeping import open_housekeeping
from shoal.server.open_moving import open_moving
from shoal.server.open_storage import Storage, open_nodes, open_storage
from shoal.server.open_users import FirstEntry, first_entry, open_rate_limits, open_users
from shoal.server.route_table import are_imported, routers

if TYPE_CHECKING:
    from shoal.api.metrics.metrics import Metrics
    from shoal.server.worker import Worker


_BEARER: Final = {"type": "http", "scheme": "bearer", "description": "A token from POST /login or POST /tokens."}


class Application(FastAPI):
    """The routes of all modules, which are imported once the server listens, behind the hot ones, and the document."""

    def __init__(self, settings: Settings, **options: Any) -> None:
        super().__init__(**options)
        self.settings = settings
        self._routes_are_made = asyncio.Event()

    @property
    def has_routes(self) -> bool:
        """Whether the routes are made."""
        return self._routes_are_made.is_set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; one that comes while the routes are made waits for them."""
        if not self.has_routes and scope["type"] != "lifespan":
            await self._routes_are_made.wait()
        await super().__call__(scope, receive, send)

    def add_routes(self, routers: Iterable[APIRouter]) -> None:
        """Add all routes, as they are: to include a router computes each of its routes again."""
        self.router.routes.extend(route for router in routers for route in router.routes)
        self.router.routes.extend(hot)  # for other methods of their paths
        self._routes_are_made.set()

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document. It makes the routes if the server has not begun to."""
        if not self.has_routes:
            self.add_routes(routers())
        routes = [*self.routes, *(route.declared for route in hot)]
        document = get_openapi(title=self.title, version=self.version, summary=self.summary, routes=routes)
        document["components"]["securitySchemes"] = {SECURITY_SCHEME: _BEARER}
        return document


def build_app(settings: Settings, *, connect: Connect | None = None, worker: Worker | None = None) -> Application:
    """Return the application of one server, or of a ``worker`` of one. Nothing is opened before its lifespan begins;
    several can exist in a process.

    While it runs, ``app.state.server`` holds its components. ``app.state.first_password`` is the administrator's
    password, and ``first_link`` the token of the set-up link, when this start generated them (otherwise ``None``).
    ``app.state.started`` ends when the accounts are started; it fails when the database proves to be damaged. Once one
    of ``app.state.ends`` or ``app.state.starting`` fails, the server must end.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        psutil.cpu_percent(interval=None)  # the first answer is always 0
        async with Closing() as closing:
            port_for_metrics = _check_monitoring(settings, closing, worker)
            async with _explained():
                app.state.server, first, *app.state.ends = await _open(settings, connect, closing, worker)
                app.state.started = app.state.ends[0]
            _start_heartbeat(app.state.server, settings, closing)
            app.state.metrics = await _open_metrics(app.state.server, settings, port_for_metrics, closing)
            _start_traces(settings, closing)
            app.state.first_password = first.password if first else None
            app.state.first_link = first.link_token if first else None
            _import_routes(application, closing)
            yield

    application = Application(
        settings,
        title="Shoal",
        version=__version__,
        summary="Keeps many Xianyu seller accounts connected, answering and in step.",
        lifespan=lifespan,
        openapi_url=None,  # ``api/routes/reference.py`` shows it
        docs_url=None,  # FastAPI's own pages load scripts from other hosts
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # it would ask for them at each request
        redirect_slashes=False,  # behind a proxy without the scheme it leads to plain HTTP, with the token
    )
    answer_problems(application)
    if are_imported():
        application.add_routes(routers())
    return application


def _import_routes(app: Application, closing: Closing) -> None:
    """Begin to import the modules of routes in a thread; the server ends when one cannot be imported."""

    async def imported() -> None:
        if not app.has_routes:
            app.add_routes(await asyncio.to_thread(routers))

    task = asyncio.create_task(imported(), name="import of routes")
    app.state.starting = (app.state.started, task)
    closing.push_async_callback(ended, task)


def _start_heartbeat(server: Server, settings: Settings, closing: Closing) -> None:
    if settings.heartbeat_url is not None:
        url = settings.heartbeat_url.get_secret_value()
        calls = HeartbeatCalls(url, server.outbound, lambda: health.is_ready(server))
        closing.later("heartbeat calls", calls.close)
        calls.start()


def _check_monitoring(settings: Settings, closing: Closing, worker: Worker | None) -> socket.socket | None:
    """Check what is asked for before anything is stored: a first start that fails must not use up its password.

    Return the bound port for figures, if there is one. Raises ``ConfigError``.
    """
    if settings.otlp_endpoint is not None:
        try:
            import_module("shoal.server.otlp")
        except ImportError:
            raise ConfigError("startup.no_otel") from None
    if not settings.metrics_port or worker is not None:
        return worker.metrics if worker is not None else None
    from shoal.server.metrics_port import bind_for_metrics  # noqa: PLC0415

    taken = bind_for_metrics(settings.metrics_port)
    closing.callback(taken.close)
    return taken


async def _open_metrics(
    server: Server, settings: Settings, taken: socket.socket | None, closing: Closing
) -> Metrics | None:
    """Open what is asked for; nothing of it is loaded otherwise."""
    if settings.metrics_token is None and taken is None:
        return None
    from shoal.api.metrics.metrics import Metrics  # noqa: PLC0415

    figures = Metrics(server)
    closing.later("metrics", figures.close)
    figures.start()
    server.nodes.figures = figures.scraped
    if taken is not None:
        from shoal.api.metrics.whole_page import whole_page  # noqa: PLC0415
        from shoal.server.metrics_port import serving_metrics  # noqa: PLC0415

        await closing.enter_async_context(serving_metrics(partial(whole_page, server, figures), taken))
    return figures


def _start_traces(settings: Settings, closing: Closing) -> None:
    if settings.otlp_endpoint is not None:
        from shoal.server.otlp import TraceExport  # noqa: PLC0415

        closing.later("traces", TraceExport(settings.otlp_endpoint.get_secret_value()).close)


@asynccontextmanager
async def _explained() -> AsyncIterator[None]:
    """Add what to do to a failure of the store: the server does not run on data that cannot be read."""
    try:
        yield
    except StoreError as error:
        if error.code in {"database_damaged", "database_unusable"}:
            raise
        raise StoreError(
            f"{error}; nothing was started. If that comes again at the next start, keep the database as it is, and "
            "restore your newest backup in its place",
            code=error.code,
        ) from None


def _open_qr_logins(
    storage: Storage, manager: CookieManager, shared: ConnectionDeps, settings: Settings, closing: Closing
) -> QrLogins:
    register = SeveralServers(storage.database, storage.node.me) if storage.node is not None else None
    qr_logins = QrLogins(manager, shared.session, settings, outbound=shared.outbound, register=register)
    closing.later("qr logins", qr_logins.close)
    return qr_logins


_Opened = tuple[Server, FirstEntry | None, asyncio.Task[None], asyncio.Future[None]]
"""The components, how the first administrator enters, the task that starts the accounts, and what fails with the
database."""


async def _open(settings: Settings, connect: Connect | None, closing: Closing, worker: Worker | None) -> _Opened:
    """Open every component, room by room. Open components are closed in reverse order, also when a later one fails."""
    enter = closing.enter_async_context
    storage = await enter(open_storage(settings, stays_drained=worker is not None and worker.is_again))
    users = await enter(open_users(storage, settings))
    connections = await enter(open_connections(storage, settings, connect))
    accounts = await enter(open_accounts(storage, nodes := open_nodes(storage, closing), users, connections, settings))
    housekeeping = await enter(open_housekeeping(storage, connections, accounts, settings))
    manager, shared = accounts.manager, connections.deps
    server = Server(
        settings=settings,
        database=storage.database,
        database_probe=housekeeping.database_probe,
        database_stats=housekeeping.database_stats,
        store=accounts.store,
        manager=manager,
        follower=accounts.follower,
        event_links=accounts.event_links,
        account_counter=AccountCounter(manager),
        kept_accounts=KeptAccounts(manager, connections.published.subscribe),
        reload=accounts.reload,
        users=users.users,
        audit_log=storage.audit_log,
        sessions=users.sessions,
        invitations=users.invitations,
        api_tokens=users.api_tokens,
        authorization=accounts.authorization,
        totp=users.totp,
        login=users.login,
        rate_limits=open_rate_limits(storage, settings),
        live_streams=LiveStreams(settings.streams_per_user),
        user_removal=accounts.user_removal,
        message_log=shared.message_log,
        rule_hits=housekeeping.rule_hits,
        shop_counts=ShopCounts(storage.database),
        takeovers=Takeovers(storage.database, publish=connections.published.publish_event),
        chats=Chats(storage.database),
        chat_desk=ChatDesk.on(storage.database, connections.published.publish_event),
        spec_pages=item_pages.asked_of_owners(connections.spec_pages, nodes),
        order_store=shared.order_store,
        sent_again=connections.sent_again,
        goods=(goods_parts := await open_goods(storage.database, storage.vault, connections.supplier_units)),
        notices=await enter(open_notices(storage, shared.outbound, accounts.authorization, settings, accounts.settled)),
        assistant=connections.assistant,
        push_counts=shared.push_counts,
        site_time=shared.site_time,
        credentials=shared.credentials,
        idempotency_keys=housekeeping.idempotency_keys,
        pictures=shared.pictures,
        **await open_file_readers(settings, closing),
        qr_logins=_open_qr_logins(storage, manager, shared, settings, closing),
        key_rotation=housekeeping.key_rotation,
        moving=await enter(open_moving(storage, users, connections, accounts, goods_parts, settings)),
        backups=housekeeping.backups,
        outbound=shared.outbound,
        nodes=nodes,
    )
    accounts.all_is_open()
    return server, await first_entry(users, settings, storage.audit_log), *accounts.ends  # last: no failure uses it
