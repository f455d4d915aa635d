"""One account's connection to the site: token, socket, registration, heartbeats, and incoming events."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random

import aiohttp
import msgspec
import structlog

from shoal.accounts.account import Account
from shoal.accounts.account_task import Link
from shoal.clock import SiteClock, now_ms
from shoal.concurrency.fair_limiter import FairLimiter, Turns
from shoal.config import Settings
from shoal.connection.history_sync import HistorySync
from shoal.connection.incoming import Incoming
from shoal.connection.keepalive import DeafConnection, Keepalive
from shoal.connection.push_counts import PushCounts
from shoal.connection.seller_names import learn_name
from shoal.connection.shop_items import ShopItems
from shoal.connection.silent_renewal import SilentRenewal
from shoal.connection.site_login import SiteLogin
from shoal.connection.socket_tokens import SocketTokens, TokenRenewed
from shoal.connection.sync_cursor import SyncCursor
from shoal.errors import ActionRequired, ShoalError
from shoal.goods.supplier_units import SupplierUnits
from shoal.messages.conversations import Conversations
from shoal.messages.live_connections import LiveConnections
from shoal.messages.message_log import MessageLog
from shoal.messages.model_source import ModelSource
from shoal.messages.sender import Sender
from shoal.messages.task_drain import TaskDrain
from shoal.network.outbound import Outbound
from shoal.orders.interruptions import Interruptions
from shoal.orders.order_status import TAKE_UP_MS
from shoal.orders.order_store import OrderStore
from shoal.orders.order_updates import OrderUpdates
from shoal.orders.orders import Orders
from shoal.orders.spec_pages import SpecPages
from shoal.pictures.pictures import Picture, Pictures
from shoal.pictures.site_pictures import SitePictures
from shoal.pictures.uploaded_pictures import UploadedPictures
from shoal.storage.credentials import Credentials
from shoal.storage.sync_cursors import Position, SyncCursors
from shoal.storage.token_cache import SocketToken
from shoal.xianyu import frames
from shoal.xianyu.browser import browser_of, chrome
from shoal.xianyu.live_socket import LiveSocket, connect
from shoal.xianyu.mtop import MtopClient
from shoal.xianyu.passport import Passport
from shoal.xianyu.proxied_session import session_through
from shoal.xianyu.push_events import ChatMessage
from shoal.xianyu.seller_pictures import fetch_picture
from shoal.xianyu.site_time import SiteTime
from shoal.xianyu.socket_errors import TokenRefused
from shoal.xianyu.stop_switch import StopSwitch
from shoal.xianyu.uploads import UploadedPicture, upload_picture

log = structlog.get_logger("shoal.live")

FAREWELL_SECONDS = 1.0
"""How long a send or a confirmation may wait for its answer when the connection ends."""

ORDER_CALLS_AT_ONCE = 10
"""How many calls about orders one account makes without a pause; more are rate-limited."""
PROXY_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionDeps:
    """What all accounts' connections share."""

    session: aiohttp.ClientSession
    """For accounts without a proxy; the others have their own session."""
    settings: Settings
    credentials: Credentials
    message_log: MessageLog
    order_store: OrderStore
    positions: SyncCursors
    pictures: Pictures
    uploaded: UploadedPictures
    token_calls: Turns
    spec_pages: SpecPages
    outbound: Outbound = field(default_factory=Outbound)
    """Checks the address of a proxy."""
    supplier_units: SupplierUnits | None = None
    """Fetches units from the suppliers of goods; without it no order of such goods is served."""
    models: ModelSource | None = None
    """Asks language models for answers; without it none is asked."""
    interruptions: Interruptions = field(default_factory=Interruptions)
    push_counts: PushCounts = field(default_factory=PushCounts)
    restored_at_ms: int = 0
    """When a backup was restored; 0: never. What is older may have been answered and served since the backup."""
    learns_names: bool = False
    """Whether a connection asks what the site calls its seller and items, and in which specs these are sold."""
    site_time: SiteTime = field(default_factory=SiteTime)
    rng: Random = field(default_factory=Random)
    """Spreads periodic work of many connections in time, and sets the delay of replies."""

    @property
    def live_connections(self) -> LiveConnections:
        """Return the connections that are up."""
        return self.spec_pages.pages.lists.live_connections


class _Access(msgspec.Struct, frozen=True):
    """Access to the site for one connection, over all its consecutive sockets."""

    session: aiohttp.ClientSession
    login: SiteLogin
    stop_switch: StopSwitch
    passport: Passport
    renewal: SilentRenewal
    mtop: MtopClient
    tokens: SocketTokens


def proxy_timeout_seconds(settings: Settings) -> float:
    """Return a proxy's time limit: shorter than the site's limit, so that the error names the proxy."""
    return min(PROXY_SECONDS, settings.site_timeout_seconds / 2)


class XianyuLive:
    """One connection of one account, made for one cookie. It reads all other settings from the published snapshot."""

    def __init__(self, account: Account, link: Link, deps: ConnectionDeps) -> None:
        self._account = account
        self._link = link
        self._deps = deps
        self._settings = deps.settings
        self._browser = browser_of(account.browser, chrome(deps.settings.chrome_version))

    async def main(self) -> None:
        """Connect and stay connected until an error. A renewed token only replaces the socket.

        Raise ``ActionRequired`` when the owner must act, ``TemporaryFailure`` or ``StoreError`` otherwise.
        """
        await self._note_interrupted()  # before reading what the last connection left
        stop_switch = StopSwitch()
        try:
            async with session_through(
                self._account.proxy,
                self._deps.session,
                connect_timeout_seconds=proxy_timeout_seconds(self._settings),
                outbound=self._deps.outbound,
            ) as session:
                await self._live(session, stop_switch)
        except BaseException:
            stop_switch.check()  # the owner must learn of it, whatever else ended the connection at the same moment
            raise

    async def _live(self, session: aiohttp.ClientSession, stop_switch: StopSwitch) -> None:
        """Run the connection over ``session``; nothing is sent once ``stop_switch`` is pulled."""
        login = await SiteLogin.open(self._account, self._deps.credentials)
        limit = self._settings.site_timeout_seconds
        passport = Passport(session, self._settings.site_passport_url, login, self._browser, timeout_seconds=limit)
        renewal = SilentRenewal(self._account.id, passport.renew_login)
        mtop = MtopClient(
            session,
            self._settings.site_mtop_url,
            login,
            browser=self._browser,
            timeout_seconds=limit,
            stop_switch=stop_switch,
            allows=self._link.allows,
            renewal=renewal,
            site_time=self._deps.site_time,
        )
        renewal_ms = round(self._settings.token_renewal_minutes * 60_000)
        tokens = SocketTokens(login, mtop, self._turn_to_ask, renewal_ms=renewal_ms)
        authorization = _Access(session, login, stop_switch, passport, renewal, mtop, tokens)
        while True:
            token = await tokens.current()
            try:
                await self._stay(authorization, token)
            except TokenRenewed:
                pass
            except TokenRefused:
                await tokens.forget()
                if not token.is_cached:
                    raise
            except DeafConnection:
                await tokens.distrust()
                raise
            await self._note_interrupted()

    async def _turn_to_ask(self) -> None:
        """Wait until this account may ask the site for a token."""
        async with self._link.lending_number():
            late = self._link.keeps_failing
            await self._deps.token_calls.acquire(self._account.owner_id, late=late, address=self._account.proxy)

    async def _note_interrupted(self) -> None:
        """Mark what was in progress when the program or the last socket ended as uncertain."""
        await self._deps.interruptions.settle(self._deps.message_log, self._deps.order_store, self._account.id)

    async def _part(self, work: TaskDrain, grace_seconds: float) -> None:
        """Let work finish within ``grace_seconds``, and settle the rest: the account may stay disabled or parked."""
        is_open = True
        try:
            is_open = await work.finish(grace_seconds)
        finally:
            if is_open:
                deps = self._deps
                deps.interruptions.settle_soon(deps.message_log, deps.order_store, self._account.id)

    async def _stay(self, authorization: _Access, token: SocketToken) -> None:
        try:
            async with connect(
                authorization.session,
                self._settings.site_ws_url,
                authorization.login.header(),
                self._browser,
                gate=self._link.allows,
                stop_switch=authorization.stop_switch,
            ) as socket:
                with self._deps.live_connections.socket(self._account.id, socket):
                    await self._stay_over(socket, authorization, token)
        except ExceptionGroup as group:
            raise error_to_report(group) from group

    async def _stay_over(self, socket: LiveSocket, authorization: _Access, token: SocketToken) -> None:
        timeout_seconds = self._settings.site_timeout_seconds
        registration = await socket.register(token.access_token, token.device_id, timeout_seconds=timeout_seconds)
        site_clock = SiteClock(registration.server_time_ms)
        away = await self._deps.positions.position(self._account.id)
        position = SyncCursor(
            self._account.id, socket, self._deps.positions, away, site_clock=site_clock, timeout_seconds=timeout_seconds
        )
        await position.agree()
        await self._work(authorization, socket, site_clock, position, away)

    async def _work(
        self,
        authorization: _Access,
        socket: LiveSocket,
        site_clock: SiteClock,
        position: SyncCursor,
        away: Position | None,
    ) -> None:
        deps, restored, work = self._deps, self._deps.restored_at_ms, TaskDrain()
        pictures, linked = self._site_pictures(authorization), deps.live_connections.connected
        limit, grace_seconds = self._settings.send_timeout_seconds, FAREWELL_SECONDS
        sender = Sender(self._account, socket, deps.message_log, pictures, self._link.current, seconds=limit)
        clock_set_ms = site_clock.set_since(away.ahead_ms) if away else 0
        try:
            async with asyncio.TaskGroup() as tasks, linked(self._account.id, sender, authorization.mtop):
                conversations = Conversations(
                    self._link, sender, deps.message_log, tasks, work, self._settings, account_id=self._account.id,
                    rng=deps.rng, clock_set_ms=clock_set_ms, restored_at_ms=restored, models=deps.models,
                )  # fmt: skip
                orders, items = self._orders(authorization, sender, tasks, work, clock_set_ms)
                incoming = Incoming(
                    self._account,
                    deps.message_log,
                    OrderUpdates(self._account, deps.order_store, site_clock=site_clock, restored_at_ms=restored),
                    conversations,
                    orders,
                    own_messages=sender.own_messages,
                    push_counts=deps.push_counts,
                    site_clock=site_clock,
                    official_senders=frozenset(self._settings.official_senders.replace(",", " ").split()),
                )
                socket.hear(incoming.hear)
                keepalive = self._keepalive(authorization, socket, position, incoming, work, away, clock=site_clock)
                orders.uncertain_messages.read_chat = keepalive.read_chat
                await keepalive.beat()
                await self._link.hold_number()
                self._link.running()
                await conversations.grow_old()
                tasks.create_task(work.failure(), name=f"work:{self._account.id}")
                tasks.create_task(keepalive.run(), name=f"keepalive:{self._account.id}")
                work.start(orders.take_up(), name=f"orders:{self._account.id}")
                if deps.learns_names and not self._link.knows_seller:
                    fetch = self._fetch_of(authorization)
                    asking = learn_name(self._account.id, self._link, authorization.mtop, fetch, deps.pictures)
                    work.start(asking, name=f"name:{self._account.id}")
                if items is not None:
                    items.connected()
                with orders.serving():
                    await conversations.take_up()
                    tasks.create_task(conversations.go_on(keepalive.looked_back), name=f"outbox:{self._account.id}")
                    async for push in socket.pushes():
                        await self._take(push, socket, position, incoming, keepalive)
        except* TokenRenewed:
            grace_seconds = limit  # no error: let work finish
            raise
        finally:
            await self._part(work, grace_seconds)
            await position.keep()

    def _orders(
        self, authorization: _Access, sender: Sender, tasks: asyncio.TaskGroup, work: TaskDrain, clock_set_ms: int
    ) -> tuple[Orders, ShopItems | None]:
        per_second = self._settings.order_calls_per_second
        pace, act_pace = (FairLimiter(per_second, burst=ORDER_CALLS_AT_ONCE) for _ in range(2))
        store, account_id = self._deps.order_store, self._account.id
        items = None
        if self._deps.learns_names:
            items = ShopItems(
                self._link, self._deps.spec_pages, store.items, self._deps.pictures, self._fetch_of(authorization),
                tasks, account_id=account_id, pace=pace,
            )  # fmt: skip
        orders = Orders(
            self._link, sender, authorization.mtop, store, tasks, work, item_pages=self._deps.spec_pages.pages,
            account_id=account_id, pace=pace, act_pace=act_pace, clock_set_ms=clock_set_ms,
            supplier_units=self._deps.supplier_units, on_read=None if items is None else items.page_read,
        )  # fmt: skip
        return orders, items

    def _fetch_of(self, authorization: _Access) -> Callable[[str], Awaitable[bytes]]:
        """Return what fetches a picture of the site."""
        return partial(fetch_picture, authorization.session, self._browser, self._settings.site_mtop_url)

    def _keepalive(
        self,
        authorization: _Access,
        socket: LiveSocket,
        position: SyncCursor,
        incoming: Incoming,
        work: TaskDrain,
        away: Position | None,
        *,
        clock: SiteClock,
    ) -> Keepalive:
        timeout_seconds = self._settings.site_timeout_seconds
        history_sync = HistorySync(
            self._account, socket, incoming, self._deps.message_log, timeout_seconds=timeout_seconds
        )
        return Keepalive(
            self._account,
            self._link,
            self._settings,
            socket=socket,
            work=work,
            position=position,
            history_sync=history_sync,
            login=authorization.login,
            tokens=authorization.tokens,
            check_login=lambda: self._check_login(authorization),
            away=away,
            first_orders_ms=first_orders_ms(self._account, away),
            site_clock=clock,
            rng=self._deps.rng,
        )

    async def _take(
        self, push: frames.Frame, socket: LiveSocket, position: SyncCursor, incoming: Incoming, keepalive: Keepalive
    ) -> None:
        """Store a push, acknowledge it, then act: a crash in between loses nothing."""
        events = incoming.read(push)
        received = await incoming.store(events)
        await socket.ack(push)
        position.passed(push)
        if frames.wants_position(push):
            keepalive.passed_over(await position.follow())
        if events:
            keepalive.received(is_unreadable=incoming.is_unreadable)
            self._link.received(message=any(isinstance(event, ChatMessage) for event in events))
        incoming.action(received)

    def _site_pictures(self, authorization: _Access) -> SitePictures:
        async def once(picture: Picture) -> UploadedPicture:
            return await upload_picture(
                authorization.session,
                self._settings.site_upload_url,
                authorization.login,
                picture.data,
                media_type=picture.measured.format.media_type,
                extension=picture.measured.format.extension,
                browser=self._browser,
                timeout_seconds=self._settings.site_timeout_seconds,
            )

        async def upload(picture: Picture) -> UploadedPicture:
            count = authorization.renewal.count
            with authorization.stop_switch.guarding():
                try:
                    return await once(picture)
                except ActionRequired as why:
                    if why.reason != "login_expired" or not await authorization.renewal.renewed(count):
                        raise
                authorization.stop_switch.check()
                return await once(picture)

        deps = self._deps
        return SitePictures(self._account.id, deps.pictures, deps.uploaded, upload, allows=self._link.allows)

    async def _check_login(self, authorization: _Access) -> None:
        """Keep the login alive. Raise ``ActionRequired`` when it has ended."""
        with authorization.stop_switch.guarding():
            alive = await authorization.passport.has_login()
        if not alive:
            await authorization.mtop.login_user()  # a negative answer of the passport alone is not reliable


def first_orders_ms(account: Account, position: Position | None) -> int | None:
    """Return the time a day before the account's first start, while what was paid since is not read.

    ``None``: it was read, the account did not move in, or it was first started two days ago or earlier.
    """
    since_ms = account.orders_since_ms - TAKE_UP_MS
    if account.orders_since_ms <= 0 or (position is not None and position.has_first_orders):
        return None
    return since_ms if now_ms() - account.orders_since_ms < 2 * TAKE_UP_MS else None


def error_to_report(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the error of a group to report: first one that the owner must know, then an unexpected one."""
    flat: list[BaseException] = []
    waiting: list[BaseException] = [group]
    while waiting:
        error = waiting.pop()
        if isinstance(error, BaseExceptionGroup):
            waiting.extend(error.exceptions)
        else:
            flat.append(error)
    return min(flat, key=_rank)


def _rank(error: BaseException) -> int:
    if isinstance(error, ActionRequired):
        return 0
    if isinstance(error, TokenRefused):
        return 1
    if isinstance(error, TokenRenewed):
        return 3
    return 4 if isinstance(error, ShoalError) else 2
