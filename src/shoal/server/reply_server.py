"""The server: what it is made of, how it starts and ends, and the application that answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import psutil
import structlog
from fastapi import FastAPI
from starlette.types import ASGIApp

from shoal import __version__
from shoal.accounts.account import Account
from shoal.accounts.account_counts import AccountCounter
from shoal.accounts.account_task import Connect, Link
from shoal.accounts.cookie_manager import CookieManager
from shoal.accounts.events import MessageEvent
from shoal.accounts.ownership import LocalOwnership
from shoal.accounts.reload import Reload
from shoal.api.http.body_limit import BodyLimit
from shoal.api.http.foreign_pages import ForeignPages
from shoal.api.http.plain_http import PlainHttp
from shoal.api.http.problems import answer_problems
from shoal.api.http.safety_headers import SafetyHeaders
from shoal.api.live_streams import LiveStreams
from shoal.api.routes import (
    activity,
    audit_log,
    auth,
    batch,
    chats,
    cookie_settings,
    cookies,
    default_replies,
    diagnosis,
    events,
    health,
    history,
    invitations,
    item_replies,
    items,
    keys,
    keywords,
    logs,
    me,
    messages,
    ops,
    orders,
    pictures,
    qr_logins,
    reference,
    reload,
    reply_hook,
    rule_lists,
    rules,
    seller_numbers,
    send,
    staff,
    system,
    timeline,
    tokens,
)
from shoal.api.routes import rule_trial as trying
from shoal.api.routes import users as user_parts
from shoal.api.server import Server
from shoal.auth.api_tokens import ApiTokens
from shoal.auth.audit_log import AuditEvent, AuditLog
from shoal.auth.authorization import Authorization
from shoal.auth.device_marks import DeviceMarks
from shoal.auth.invitations import Invitations
from shoal.auth.login import Login
from shoal.auth.login_throttle import LoginThrottle
from shoal.auth.passwords import Passwords
from shoal.auth.rate_limits import RateLimits
from shoal.auth.sessions import Sessions
from shoal.auth.totp import Totp
from shoal.auth.user_removal import UserRemoval
from shoal.auth.user_replica import UserReplica
from shoal.auth.users import ADMIN_NAME, Role, Users
from shoal.clock import now_ms
from shoal.concurrency.fair_limiter import evenly
from shoal.concurrency.single_flight import SingleFlight
from shoal.config import Settings
from shoal.connection.qr_logins import QrLogins
from shoal.connection.xianyu_live import ConnectionDeps, XianyuLive
from shoal.console import cookie_check, help_pages, live, proxy_check, session
from shoal.console import routes as console
from shoal.errors import ConfigError, InvalidInput, ShoalError, StoreError
from shoal.messages.chats import Chats
from shoal.messages.live_connections import LiveConnections
from shoal.messages.message_log import MessageLog
from shoal.messages.pictures import Pictures
from shoal.messages.takeovers import Takeovers
from shoal.messages.uploaded_pictures import UploadedPictures
from shoal.network.outbound import Outbound
from shoal.orders.interruptions import note_interrupted
from shoal.orders.order_store import OrderStore, order_event
from shoal.rules.xlsx_processes import XlsxProcesses
from shoal.server.retention import Retention
from shoal.storage.credentials import Credentials
from shoal.storage.database import LOCK_FILE, Database
from shoal.storage.database_probe import DatabaseProbe
from shoal.storage.database_stats import DatabaseStats, database_stats
from shoal.storage.db_manager import ANSWERS_SECRET, DEVICES_SECRET, DBManager, open_vault, own_secret
from shoal.storage.idempotency_keys import IdempotencyKeys
from shoal.storage.key_rotation import KeyRotation
from shoal.storage.server_lease import ServerLease
from shoal.storage.sync_cursors import SyncCursors
from shoal.storage.vault import Vault
from shoal.xianyu.site_session import open_site_session

log = structlog.get_logger("shoal.server")

KEY_FILE = "secret.key"
PICTURE_DIRECTORY = "uploads/images"
ITSELF = "server"
"""Who acts in the security log when nobody asked."""
SETUP_LINK_HOURS = 24
"""How long the first administrator's set-up link holds; it is over with the first sign-in."""
FAMILIAR_DAYS = 30
"""How long somebody who signed in from an address is known there after a restart."""
CLOSE_SECONDS = 15.0
"""The longest that any one part may take to close."""

_ROUTES = [
    auth.routes,
    session.routes,
    me.routes,
    user_parts.routes,
    tokens.routes,
    staff.routes,
    invitations.routes,
    batch.routes,
    cookies.routes,
    cookie_settings.routes,
    trying.routes,
    reply_hook.routes,
    items.routes,
    default_replies.routes,
    item_replies.routes,
    keywords.routes,
    rules.routes,
    rule_lists.routes,
    history.routes,
    audit_log.routes,
    timeline.routes,
    diagnosis.routes,
    messages.routes,
    chats.routes,
    send.routes,
    activity.routes,
    orders.routes,
    ops.routes,
    events.routes,
    health.routes,
    reload.routes,
    system.routes,
    logs.routes,
    keys.routes,
    seller_numbers.routes,
    reference.routes,
    pictures.routes,
    cookie_check.routes,
    proxy_check.routes,
    qr_logins.routes,
    live.routes,
    console.routes,
    help_pages.routes,
]
"""In the order in which paths are tried: ``/cookies/status`` before ``/cookies/{cid}``."""


class _Application(FastAPI):
    """With the headers that every answer has, those to failures of the application itself too."""

    def __init__(self, *, hsts: bool, **options: Any) -> None:
        super().__init__(**options)
        self._hsts = hsts

    def build_middleware_stack(self) -> ASGIApp:
        return SafetyHeaders(super().build_middleware_stack(), hsts=self._hsts)


def build_app(settings: Settings, *, connect: Connect | None = None) -> FastAPI:
    """The application of one server. Nothing is opened before its lifespan begins; two may live side by side.

    While it lives, ``app.state.server`` holds its parts. ``app.state.first_password`` is the administrator's password,
    and ``first_link`` the token of the set-up link, when this very start made them up (else ``None``).
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as closing:
            app.state.server, first = await _open(settings, connect, closing)
            app.state.first_password = first.password if first else None
            app.state.first_link = first.link_token if first else None
            yield

    app = _Application(
        hsts=settings.tls_cert is not None,
        title="Shoal",
        version=__version__,
        summary="Keeps many Xianyu seller accounts connected, answering and in step.",
        lifespan=lifespan,
        docs_url=None,  # FastAPI's own pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # it leads to plain HTTP, token and all, behind a proxy that does not tell the scheme
    )
    for routes in _ROUTES:  # taken over as they are: to include a router is to work out each of its routes once more
        app.router.routes.extend(routes.routes)
    app.add_middleware(BodyLimit)
    app.add_middleware(ForeignPages)
    app.add_middleware(PlainHttp, allowed=settings.allow_plain_http)
    answer_problems(app)
    return app


async def _open(
    settings: Settings, connect: Connect | None, closing: AsyncExitStack
) -> tuple[Server, FirstEntry | None]:
    """Open every part, or none: nothing runs on data that cannot be read. What fails says what to do."""
    try:
        return await _open_parts(settings, connect, closing)
    except StoreError as error:
        if error.code in {"database_damaged", "database_unusable"}:
            raise
        raise StoreError(
            f"{error}; nothing was started. If that comes again at the next start, keep the database as it is, and "
            "restore your newest backup in its place",
            code=error.code,
        ) from None


async def _open_parts(
    settings: Settings, connect: Connect | None, closing: AsyncExitStack
) -> tuple[Server, FirstEntry | None]:
    """What was opened is closed in reverse, also when a later part fails."""
    psutil.cpu_percent(interval=None)  # the first answer is always 0
    database, lease = await _open_database(settings, closing)
    key = settings.secret_key.get_secret_value() if settings.secret_key else None
    audit_log = AuditLog(database)
    closing.push_async_callback(_bounded, "security log", audit_log.close)
    audit_log.start()
    try:
        vault = await open_vault(database, settings.data_dir / KEY_FILE, key)
    except ConfigError as error:
        await audit_log.record(AuditEvent.KEY_TROUBLE, actor=ITSELF, outcome=error.code)
        raise
    user_parts = await _open_user_parts(database, vault, audit_log, settings, closing)

    def publish(event: MessageEvent) -> None:
        account = manager.accounts.get(event.account_id)
        if account is not None:
            manager.events.publish(replace(event, owner_id=account.owner_id))

    async def note_refused(host: str) -> None:
        await audit_log.record(AuditEvent.REFUSED_TARGET, actor=ITSELF, outcome="target_refused", host=host)

    outbound = Outbound.of(settings.allow_private_targets, refused=note_refused)
    store, message_log, order_store = (
        DBManager(database, vault),
        MessageLog(database, publish=publish),
        OrderStore(database),
    )
    order_store.on_change(lambda order: publish(order_event(order)))
    live_connections = LiveConnections()
    await (kept_pictures := Pictures(settings.data_dir / PICTURE_DIRECTORY)).open()
    session = open_site_session()
    closing.push_async_callback(session.close)
    if connect is None:
        connect = _site_connect(
            session,
            settings,
            database=database,
            vault=vault,
            message_log=message_log,
            order_store=order_store,
            kept_pictures=kept_pictures,
            live_connections=live_connections,
            outbound=outbound,
        )
    manager = CookieManager(store, connect, settings, ownership=lease or LocalOwnership())
    closing.push_async_callback(_bounded, "manager", manager.close)
    await _open_manager(manager, message_log, order_store)
    if lease is not None:
        lease.keep(manager.ownership_changed)
    authorization = await _open_access(database, manager, closing)
    probe, figures, rereading = _open_looks(settings, database, manager, closing)
    closing.push_async_callback(_rereading(database, manager, authorization))
    user_removal = await _open_departures(user_parts, manager, closing)
    first = await _first_entry(user_parts, settings, audit_log)  # last: a start that fails must not swallow it
    idempotency_keys = IdempotencyKeys(
        database,
        wait_seconds=settings.lock_wait_seconds,
        secret=await own_secret(database, vault, ANSWERS_SECRET),
    )
    retention = Retention(
        store,
        message_log,
        idempotency_keys,
        settings,
        pictures=kept_pictures,
        audit_log=audit_log,
        accounts=manager.accounts,
    )
    closing.push_async_callback(_bounded, "retention", retention.close)
    retention.start()
    logins = QrLogins(manager, session, settings, outbound=outbound)
    closing.push_async_callback(_bounded, "qr logins", logins.close)
    key_rotation = KeyRotation(database, vault, settings.data_dir / KEY_FILE, from_setting=key is not None)
    closing.push_async_callback(_bounded, "key rotation", key_rotation.close)
    key_rotation.start()
    server = Server(
        settings=settings,
        database=database,
        database_probe=probe,
        database_stats=figures,
        store=store,
        manager=manager,
        account_counter=AccountCounter(manager),
        reload=rereading,
        users=user_parts.users,
        audit_log=audit_log,
        sessions=user_parts.sessions,
        invitations=user_parts.invitations,
        api_tokens=user_parts.api_tokens,
        authorization=authorization,
        totp=user_parts.totp,
        login=user_parts.login,
        rate_limits=RateLimits(
            of_session=settings.session_calls_per_minute, of_token=settings.api_token_calls_per_minute
        ),
        live_streams=LiveStreams(settings.streams_per_user),
        user_removal=user_removal,
        message_log=message_log,
        takeovers=Takeovers(database, publish=publish),
        chats=Chats(database),
        live_connections=live_connections,
        order_store=order_store,
        credentials=Credentials(database, vault),
        idempotency_keys=idempotency_keys,
        pictures=kept_pictures,
        xlsx=_open_xlsx(closing),
        qr_logins=logins,
        key_rotation=key_rotation,
        outbound=outbound,
        started_at_ms=now_ms(),
    )
    log.info("server open", accounts=len(manager.accounts), rev=manager.newest_rev)
    return server, first


def _open_looks(
    settings: Settings, database: Database, manager: CookieManager, closing: AsyncExitStack
) -> tuple[DatabaseProbe, SingleFlight[DatabaseStats], Reload]:
    """What looks at the database for whoever asks, once for all of them."""
    figures = SingleFlight(lambda: database_stats(database, settings.data_dir), name="store figures")
    probe, comparison = DatabaseProbe(database), Reload(manager)
    for part, close in (("probe", probe.close), ("store figures", figures.close), ("reload", comparison.close)):
        closing.push_async_callback(_bounded, part, close)
    return probe, figures, comparison


async def _open_database(settings: Settings, closing: AsyncExitStack) -> tuple[Database, ServerLease | None]:
    """The database, which no other server serves; with the lease that says so, where its directory does not."""
    url = settings.database_url.get_secret_value() if settings.database_url else ""
    lease = ServerLease(settings.data_dir / LOCK_FILE)
    closing.push_async_callback(_bounded, "lease", lease.close)
    database = await Database(settings.data_dir, url=url, guard=lease.take).open()
    closing.push_async_callback(_bounded, "database", database.close)
    await database.remember_site(_site_of(settings))
    return database, None if database.is_sqlite else lease


@dataclass(frozen=True, slots=True)
class FirstEntry:
    """What lets the administrator in for the first time: a password, and the token of a link to choose another."""

    password: str
    link_token: str


@dataclass(frozen=True, slots=True)
class _UserParts:
    """The parts that know who may come in."""

    users: Users
    sessions: Sessions
    invitations: Invitations
    totp: Totp
    login: Login
    api_tokens: ApiTokens


async def _open_user_parts(
    database: Database, vault: Vault, audit_log: AuditLog, settings: Settings, closing: AsyncExitStack
) -> _UserParts:
    passwords = Passwords()
    closing.push_async_callback(_bounded, "passwords", passwords.close)
    replica = UserReplica(database)
    closing.push_async_callback(_bounded, "people", replica.close)
    await replica.open()
    sessions = Sessions(replica, hours=settings.session_hours, idle_hours=settings.session_idle_hours)
    closing.push_async_callback(_bounded, "sessions", sessions.close)
    api_tokens = ApiTokens(replica)
    closing.push_async_callback(_bounded, "tokens", api_tokens.close)
    users, totp, delays = Users(replica, passwords), Totp(replica, vault), LoginThrottle()
    await _remember_places(audit_log, delays)
    return _UserParts(
        users=users,
        sessions=sessions,
        invitations=Invitations(replica, passwords),
        api_tokens=api_tokens,
        totp=totp,
        login=Login(users, sessions, totp, delays, DeviceMarks(await own_secret(database, vault, DEVICES_SECRET))),
    )


async def _remember_places(audit_log: AuditLog, delays: LoginThrottle) -> None:
    """A restart forgets who guessed, but not where people signed in: there nobody else's guesses hold them up."""
    places = await audit_log.places_of_sign_ins(now_ms() - FAMILIAR_DAYS * 86_400_000)
    for user, address in reversed(places):
        for name in (user.username, user.email):
            if name:
                delays.remember(name, address)


async def _open_departures(user_parts: _UserParts, manager: CookieManager, closing: AsyncExitStack) -> UserRemoval:
    user_removal = UserRemoval(user_parts.users, manager, user_parts.sessions)
    closing.push_async_callback(_bounded, "departures", user_removal.close)
    await user_removal.resume()
    return user_removal


async def _open_access(database: Database, manager: CookieManager, closing: AsyncExitStack) -> Authorization:
    authorization = Authorization(database, manager.accounts, manager.events)
    closing.push_async_callback(_bounded, "access", authorization.close)
    await authorization.open()
    return authorization


async def _open_manager(manager: CookieManager, message_log: MessageLog, order_store: OrderStore) -> None:
    """Let the shops begin. What the program before left under way is settled first, also of shops that are off."""
    with suppress(StoreError):  # a full disk is no reason not to start, and each connection asks once more
        await note_interrupted(message_log, order_store, None)
    await manager.open()


def _open_xlsx(closing: AsyncExitStack) -> XlsxProcesses:
    xlsx = XlsxProcesses()
    closing.push_async_callback(_bounded, "xlsx", xlsx.close)
    return xlsx


def _site_connect(
    session: aiohttp.ClientSession,
    settings: Settings,
    *,
    database: Database,
    vault: Vault,
    message_log: MessageLog,
    order_store: OrderStore,
    kept_pictures: Pictures,
    live_connections: LiveConnections,
    outbound: Outbound,
) -> Connect:
    """The connection to the real site, with what every account's connection shares."""
    around = ConnectionDeps(
        session=session,
        settings=settings,
        credentials=Credentials(database, vault),
        message_log=message_log,
        order_store=order_store,
        positions=SyncCursors(database),
        pictures=kept_pictures,
        uploaded=UploadedPictures(database),
        token_calls=evenly(settings.token_calls_per_second),
        live_connections=live_connections,
        outbound=outbound,
    )

    async def connect(account: Account, link: Link) -> None:
        await XianyuLive(account, link, around).main()

    return connect


def _site_of(settings: Settings) -> str:
    """What the data is bound to: every address to which cookies go."""
    urls = (settings.site_ws_url, settings.site_mtop_url, settings.site_passport_url, settings.site_upload_url)
    return " ".join(urls)


async def _first_entry(user_parts: _UserParts, settings: Settings, audit_log: AuditLog) -> FirstEntry | None:
    """Make the administrator on a first start; what lets them in is returned only if it was made up here."""
    chosen = settings.admin_password.get_secret_value() if settings.admin_password else None
    try:
        made = await user_parts.users.ensure_admin(chosen)
    except InvalidInput as error:
        raise ConfigError(
            f"SHOAL_ADMIN_PASSWORD cannot be used: {error}. Choose some words that have nothing to do with each other, "
            "or leave it unset, and one is made up",
            code=error.code,
        ) from None
    if made is None:
        return None
    await audit_log.record(AuditEvent.PERSON_MADE, actor=ITSELF, username=ADMIN_NAME, role=Role.ADMIN.value)
    admin = await user_parts.users.by_name(ADMIN_NAME)
    if chosen or admin is None:
        return None
    _, token = await user_parts.invitations.password_link(admin.id, hours=SETUP_LINK_HOURS)
    return FirstEntry(made, token)


def _rereading(
    database: Database, manager: CookieManager, authorization: Authorization
) -> Callable[[], Awaitable[None]]:
    """Read everything again each time the database has recovered; returns what ends that."""
    running: set[asyncio.Task[None]] = set()

    def on_degraded(degraded: bool) -> None:
        if not degraded:
            task = asyncio.create_task(_reread(manager, authorization), name="reread")
            running.add(task)
            task.add_done_callback(running.discard)

    async def end() -> None:
        tasks = list(running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    database.on_degraded(on_degraded)
    return end


async def _reread(manager: CookieManager, authorization: Authorization) -> None:
    try:
        await authorization.reload()  # first: a shop that cannot be read keeps no right that was taken
        differed = await manager.reload_from_db()
    except ShoalError as error:
        log.warning("could not read the database again", why=error.code)
    else:
        log.info("database read again", differed=differed)


async def _bounded(part: str, close: Callable[[], Awaitable[object]]) -> None:
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await close()
    except TimeoutError:
        log.warning("did not close in time", part=part, seconds=CLOSE_SECONDS)
