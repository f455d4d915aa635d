"""One account's life on the site: token, socket, registration, heartbeats, and what arrives turned into work."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import aiohttp
import structlog
from aiolimiter import AsyncLimiter

from shoal.account import Account
from shoal.account_task import Link, now_ms
from shoal.config import Settings
from shoal.conversations import Conversations
from shoal.credentials import Credentials
from shoal.errors import NeedsOwner, ShoalError, StoreError, TemporaryFailure
from shoal.message_log import Direction, IncomingMessage, MessageLog
from shoal.order_book import Order, OrderBook
from shoal.orders import Orders
from shoal.outbox import Outbox
from shoal.site_login import TOKEN_MARGIN_MS, SiteLogin, SocketToken
from shoal.work_group import WorkGroup
from shoal.xianyu import frames
from shoal.xianyu.live_socket import LiveSocket, ReplyTimeout, TokenRefused, connect
from shoal.xianyu.mtop import MtopClient
from shoal.xianyu.packets import (
    CardUpdate,
    ChatMessage,
    Event,
    TradeCard,
    UndecodableFrame,
    decode_entry,
    read_event,
)
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
        self.undecodable_total = 0

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
                await self._say_position(socket)
                await self._beat(socket)
                self._link.running()
                await self._work(socket, mtop, token)
        except ExceptionGroup as group:
            raise _most_telling(group) from group

    async def _say_position(self, socket: LiveSocket) -> None:
        """Ask the site where we were and tell it so; where it does not know, begin now (docs/protocol.md §3.3)."""
        position: dict[str, object] = {}
        try:
            reply = await socket.request(frames.get_state(socket.names.mid()), self._settings.site_timeout_seconds)
            position = frames.body_of(reply) if reply.get("code") == 200 else {}
        except ReplyTimeout:
            log.info("site gave no position", account=self._account.id)
        await socket.request(
            frames.ack_diff(socket.names.mid(), position if "pts" in position else frames.position_at(now_ms())),
            self._settings.site_timeout_seconds,
        )

    async def _work(self, socket: LiveSocket, mtop: MtopClient, token: SocketToken) -> None:
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
                tasks.create_task(work.failure(), name=f"work:{self._account.id}")
                tasks.create_task(self._keep_beating(socket, token), name=f"heartbeat:{self._account.id}")
                work.start(orders.take_up(), name=f"orders:{self._account.id}")
                await conversations.take_up()
                async for push in socket.pushes():
                    await self._take(push, socket, conversations, orders, work)
        finally:
            if await work.finish(FAREWELL_SECONDS):
                with suppress(StoreError):  # the next connection does it again; what ended this one matters more
                    await self._note_interrupted()

    async def _keep_beating(self, socket: LiveSocket, token: SocketToken) -> None:
        while True:
            await asyncio.sleep(self._settings.heartbeat_seconds)
            await self._beat(socket)
            if token.expires_at_ms - TOKEN_MARGIN_MS <= now_ms():
                raise TemporaryFailure("the token is about to end: connecting with a new one", code="token_renewal")

    async def _beat(self, socket: LiveSocket) -> None:
        await socket.heartbeat(self._settings.heartbeat_timeout_seconds)
        self._link.heard()

    # -- what arrives --------------------------------------------------------------------------------------------

    async def _take(
        self,
        push: frames.Frame,
        socket: LiveSocket,
        conversations: Conversations,
        orders: Orders,
        work: WorkGroup,
    ) -> None:
        """Store what a push holds, acknowledge it, then act: a crash in between loses nothing."""
        events = self._read(push)
        said = [event for event in events if isinstance(event, ChatMessage) and event.message_id]
        cards = [event for event in events if isinstance(event, TradeCard | CardUpdate) and event.order_id]
        new = await self._store(said)
        paid = [order for card in cards if (order := await self._book(card)) is not None]
        await socket.ack(push)
        if frames.wants_position(push):
            await self._say_position(socket)
        if events:
            self._link.heard(message=bool(said))
        for message in said:
            if message.is_own and message.message_id in new:
                conversations.said_by_us(new[message.message_id])
        conversations.heard(new[m.message_id] for m in said if _is_question(m) and m.message_id in new)
        for order in paid:
            work.start(orders.serve(order), name=f"order:{self._account.id}:{order.order_id}")

    def _read(self, push: frames.Frame) -> list[Event]:
        events = []
        for entry in frames.entries_of(push):
            try:
                events.append(read_event(decode_entry(entry), self._account.unb))
            except UndecodableFrame as error:
                self.undecodable_total += 1
                log.warning("undecodable push", account=self._account.id, push=frames.mid_of(push), why=str(error))
        return events

    async def _store(self, said: Sequence[ChatMessage]) -> dict[str, IncomingMessage]:
        if not said:
            return {}
        incoming = [
            IncomingMessage(
                message_id=message.message_id,
                chat_id=message.chat_id,
                item_id=message.item_id,
                sender_id=message.sender_id,
                sender_name=message.sender_name,
                direction=Direction.OUT if message.is_own else Direction.IN,
                content_type=str(message.content_type),
                text=message.text,
                created_at_ms=message.created_at_ms or now_ms(),
                handled=not _is_question(message),
            )
            for message in said
        ]
        new = await self._around.message_log.store_incoming(self._account.id, incoming)
        return {message.message_id: message for message in incoming if message.message_id in new}

    async def _book(self, card: TradeCard | CardUpdate) -> Order | None:
        """Note what a trade card says of its order; returns it when it is paid."""
        if card.order_id is None:
            return None
        status = _status_of(card)
        if not status:
            return None
        account_id, order_id = self._account.id, card.order_id
        await self._around.order_book.upsert(
            account_id,
            order_id,
            status=status,
            source="card",
            item_id=card.item_id,
            buyer_id=card.buyer_id or "",
            chat_id=card.chat_id,
            paid=card.paid,
        )
        return await self._around.order_book.order(account_id, order_id) if card.paid else None


def _is_question(message: ChatMessage) -> bool:
    """Whether a buyer said something that may be answered."""
    return not message.is_own and not message.is_system and bool(message.text)


def _status_of(card: TradeCard | CardUpdate) -> str:
    if card.paid:
        return "pending_ship"
    words = f"{card.title}{card.reminder}"
    for mark, status in _STATUS_MARKS:
        if mark in words:
            return status
    return ""


_STATUS_MARKS = (
    ("待付款", "processing"),
    ("交易成功", "completed"),
    ("退款成功", "cancelled"),
    ("关闭了订单", "cancelled"),
    ("已发货", "shipped"),
)
"""Parts of card texts and the order status they mean (docs/protocol.md §3.7)."""


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
