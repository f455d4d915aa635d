"""One account's life on the site: token, socket, registration, heartbeats, and what arrives turned into work."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass

import aiohttp
import structlog
from aiolimiter import AsyncLimiter

from shoal.account import Account
from shoal.account_task import Link
from shoal.clock import now_ms
from shoal.config import Settings
from shoal.conversations import Conversations
from shoal.credentials import Credentials
from shoal.errors import NeedsOwner, ShoalError, StoreError, TemporaryFailure
from shoal.incoming import Incoming
from shoal.message_log import MessageLog
from shoal.order_book import OrderBook
from shoal.orders import Orders
from shoal.outbox import Outbox
from shoal.site_login import TOKEN_MARGIN_MS, SiteLogin, SocketToken
from shoal.sync_position import SyncPosition
from shoal.work_group import WorkGroup
from shoal.xianyu import frames
from shoal.xianyu.live_socket import LiveSocket, TokenRefused, connect
from shoal.xianyu.mtop import MtopClient
from shoal.xianyu.site_session import DEFAULT_USER_AGENT

log = structlog.get_logger("shoal.live")

FAREWELL_SECONDS = 1.0
"""How long a send or a confirmation that has left already may wait for its answer when the connection goes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveSurroundings:
    """What every account's connection shares with its siblings."""

    session: aiohttp.ClientSession
    settings: Settings
    credentials: Credentials
    message_log: MessageLog
    order_book: OrderBook
    token_calls: AsyncLimiter


class XianyuLive:
    """One connection of one account. Made for one cookie; asks the published snapshot for everything else."""

    def __init__(self, account: Account, link: Link, around: LiveSurroundings) -> None:
        self._account = account
        self._link = link
        self._around = around
        self._settings = around.settings

    async def main(self) -> None:
        """Connect and stay until something ends it.

        Raises ``NeedsOwner`` when only the owner can go on, ``TemporaryFailure`` or ``StoreError`` otherwise.
        """
        await self._note_interrupted()
        login = await SiteLogin.open(self._account, self._around.credentials)
        mtop = MtopClient(
            self._around.session,
            self._settings.site_mtop_url,
            login,
            user_agent=DEFAULT_USER_AGENT,
            timeout_seconds=self._settings.site_timeout_seconds,
        )
        token = await login.cached_token() or await self._new_token(login, mtop)
        try:
            await self._stay(login, mtop, token)
        except TokenRefused:
            await login.forget_token()
            if not token.is_cached:
                raise
            await self._stay(login, mtop, await self._new_token(login, mtop))

    async def _note_interrupted(self) -> None:
        """Say of what was under way when the program or the last connection ended that nobody knows."""
        for sending in await self._around.message_log.interrupted(self._account.id):
            log.warning(
                "message uncertain", account=self._account.id, chat=sending.row.chat_id, order=sending.row.order_id
            )
        for intent in await self._around.order_book.interrupted(self._account.id):
            log.warning("order uncertain", account=self._account.id, order=intent.order_id, act=intent.action)

    async def _new_token(self, login: SiteLogin, mtop: MtopClient) -> SocketToken:
        """The most risk-sensitive call: rationed over all accounts."""
        device_id = await login.device_id()
        await self._around.token_calls.acquire()
        return await login.keep_token(await mtop.im_token(device_id), device_id)

    async def _stay(self, login: SiteLogin, mtop: MtopClient, token: SocketToken) -> None:
        try:
            async with connect(
                self._around.session,
                self._settings.site_ws_url,
                login.header(),
                DEFAULT_USER_AGENT,
                gate=self._link.allows,
            ) as socket:
                await socket.register(
                    token.access_token, token.device_id, timeout_seconds=self._settings.site_timeout_seconds
                )
                position = SyncPosition(self._account.id, socket, timeout_seconds=self._settings.site_timeout_seconds)
                await position.say()
                await self._beat(socket)
                self._link.running()
                await self._work(socket, position, mtop, token)
        except ExceptionGroup as group:
            raise _most_telling(group) from group

    async def _work(self, socket: LiveSocket, position: SyncPosition, mtop: MtopClient, token: SocketToken) -> None:
        outbox = Outbox(
            self._account, socket, self._around.message_log, send_timeout_seconds=self._settings.send_timeout_seconds
        )
        work = WorkGroup()
        try:
            async with asyncio.TaskGroup() as tasks:
                conversations = Conversations(
                    self._link,
                    outbox,
                    self._around.message_log,
                    tasks,
                    work,
                    account_id=self._account.id,
                    debounce_seconds=self._settings.reply_debounce_seconds,
                    message_age_seconds=self._settings.message_age_seconds,
                )
                orders = Orders(self._link, outbox, mtop, self._around.order_book, account_id=self._account.id)
                incoming = Incoming(
                    self._account, self._around.message_log, self._around.order_book, conversations, orders, work
                )
                tasks.create_task(work.failure(), name=f"work:{self._account.id}")
                tasks.create_task(self._keep_beating(socket, token), name=f"heartbeat:{self._account.id}")
                work.start(orders.take_up(), name=f"orders:{self._account.id}")
                await conversations.take_up()
                async for push in socket.pushes():
                    await self._take(push, socket, position, incoming)
        finally:
            if await work.finish(FAREWELL_SECONDS):
                with suppress(StoreError):  # the next connection does it again; what ended this one matters more
                    await self._note_interrupted()

    async def _take(self, push: frames.Frame, socket: LiveSocket, position: SyncPosition, incoming: Incoming) -> None:
        """Store what a push holds, acknowledge it, then act: a crash in between loses nothing."""
        events = incoming.read(push)
        heard = await incoming.store(events)
        await socket.ack(push)
        if frames.wants_position(push):
            await position.say()
        if events:
            self._link.heard(message=bool(heard.said))
        incoming.act(heard)

    async def _keep_beating(self, socket: LiveSocket, token: SocketToken) -> None:
        while True:
            await asyncio.sleep(self._settings.heartbeat_seconds)
            await self._beat(socket)
            if token.expires_at_ms - TOKEN_MARGIN_MS <= now_ms():
                raise TemporaryFailure("the token is about to end: connecting with a new one", code="token_renewal")

    async def _beat(self, socket: LiveSocket) -> None:
        await socket.heartbeat(self._settings.heartbeat_timeout_seconds)
        self._link.heard()


def _most_telling(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one failure of a group to report: what the owner must know first, then what we know the name of."""
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
    if isinstance(error, NeedsOwner):
        return 0
    if isinstance(error, TokenRefused):
        return 1
    return 2 if not isinstance(error, ShoalError) else 3
