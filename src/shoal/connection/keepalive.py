"""Keepalive tasks of one connection: heartbeat, missed-message check, login check, token renewal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from random import Random

import structlog

from shoal.accounts.account import Account
from shoal.accounts.account_task import Link
from shoal.clock import SiteClock
from shoal.concurrency.small_event import SmallEvent
from shoal.config import Settings
from shoal.connection.history_sync import LONGEST_AWAY_MS, HistorySync
from shoal.connection.site_login import SiteLogin
from shoal.connection.socket_tokens import SocketTokens
from shoal.connection.sync_cursor import SyncCursor
from shoal.errors import StoreError, TemporaryFailure
from shoal.messages.task_drain import TaskDrain
from shoal.storage.sync_cursors import Position
from shoal.xianyu.live_socket import LiveSocket

log = structlog.get_logger("shoal.keepalive")

ON_ITS_WAY_SECONDS = 5.0
"""How long the push of a message may still be in transit after the site lists the message."""

BEFORE_MS = 60_000
"""How much earlier than the last known time a history pull starts: duplicates are harmless."""

AGAIN_SECONDS = 5.0
"""The shortest time between two history pulls, so that the site is not overloaded."""


class DeafConnection(TemporaryFailure):
    """The site answers heartbeats but pushes no messages: the socket only seems to work."""

    code = "deaf_connection"


class Keepalive:
    """One task per connection. It waits for each heartbeat; slower checks run as own tasks, one of each kind."""

    def __init__(
        self,
        account: Account,
        link: Link,
        settings: Settings,
        *,
        socket: LiveSocket,
        work: TaskDrain,
        position: SyncCursor,
        history_sync: HistorySync,
        login: SiteLogin,
        tokens: SocketTokens,
        check_login: Callable[[], Awaitable[None]],
        away: Position | None,
        first_orders_ms: int | None = None,
        site_clock: SiteClock,
        rng: Random,
    ) -> None:
        """``away``: the account's position in the feed before this connection; ``None`` if nothing was missed.

        ``first_orders_ms``: since when, by our clock, the orders of an account that moved in are to be read.
        """
        self._account_id = account.id
        self._link = link
        self._settings = settings
        self._socket = socket
        self._work = work
        self._position = position
        self._history_sync = history_sync
        self._login = login
        self._tokens = tokens
        self._check_login = check_login
        self._away = away
        self._site_clock = site_clock
        self._rng = rng
        self._connected_site_ms = self._pulled_site_ms = site_clock.now_ms()
        self._least_ahead_ms = min(site_clock.ahead_ms, away.ahead_ms if away else site_clock.ahead_ms)
        self._first_orders_ms = first_orders_ms
        self._under_way: set[str] = set()
        self._received_at: float | None = None
        self._has_unreadable = False
        """Whether pushes came since the last check that could not be read: the history may hold their content."""
        self._pull_at = 0.0
        self.looked_back = SmallEvent()
        """Set once messages received and sent while the account was away are known, as far as the site has them."""

    async def beat(self) -> None:
        """Send a heartbeat and wait for the answer. Raise like ``LiveSocket.heartbeat``."""
        await self._socket.heartbeat(self._settings.heartbeat_timeout_seconds)
        self._link.received()

    def received(self, *, is_unreadable: bool = False) -> None:
        """Record a push: the socket receives messages. What cannot be read does not put off the next check."""
        if is_unreadable:
            self._has_unreadable = True
        else:
            self._received_at = asyncio.get_running_loop().time()

    async def run(self) -> None:
        """Run until an error ends the connection. First pull what arrived while the account was away."""
        loop = asyncio.get_running_loop()
        look_at = loop.time() + self._settings.look_seconds * self._rng.uniform(0.5, 1.0)
        # Random, so that connections that start together do not act together.
        login_at = loop.time() + self._settings.login_check_seconds * self._rng.uniform(0.5, 1.5)
        self._beside("catch-up", self._look_back)
        self._beside("first-orders", self._read_first_orders)
        while True:
            await asyncio.sleep(self._settings.heartbeat_seconds)
            await self.beat()
            self._beside("position", self._position.keep)  # own task: a slow database must not delay the next heartbeat
            if self._login.has_unkept_jar:
                self._beside("jar", self._login.keep_jar)
            if self._tokens.is_unkept():
                self._beside("token", self._tokens.keep)
            if self._tokens.is_due():
                self._beside("renewal", self._tokens.renew)
            if loop.time() >= look_at:
                look_at = self._look_or_wait(loop.time())
            if loop.time() >= login_at:
                login_at = loop.time() + self._settings.login_check_seconds
                self._beside("login", self._ask_login)

    def _look_or_wait(self, now: float) -> float:
        """Start a missed-message check unless a push came recently. Return the time of the next call."""
        look_seconds = self._settings.look_seconds
        is_quiet = self._received_at is None or now >= self._received_at + look_seconds
        if self._away is None and not is_quiet and not self._has_unreadable and self._received_at is not None:
            return self._received_at + look_seconds
        self._beside("look", self._look)
        return now + look_seconds

    def _beside(self, name: str, action: Callable[[], Awaitable[None]]) -> None:
        if name in self._under_way or not self._link.allows():
            return
        self._under_way.add(name)

        async def acting() -> None:
            try:
                await action()
            finally:
                self._under_way.discard(name)

        self._work.start(acting(), name=f"{name}:{self._account_id}")

    async def _look_back(self) -> None:
        await self._catch_up_once()
        self.looked_back.set()

    async def _read_first_orders(self) -> None:
        """Read the orders that were paid shortly before the account's first start. A failure is retried at a check."""
        if (since_ms := self._first_orders_ms) is None:
            return
        try:
            count = await self._history_sync.pull(since_ms + self._site_clock.ahead_ms, only_cards=True)
        except (TemporaryFailure, StoreError) as failure:
            log.warning("first orders not read", account=self._account_id, why=failure.code)
            return
        log.info("first orders read", account=self._account_id, events=count)
        self._first_orders_ms = None
        self._position.first_orders_read()

    def passed_over(self, stood: Position) -> None:
        """Pull what was sent since position ``stood``: the site continued the feed from another position."""
        self._away = stood if self._away is None else replace(self._away)  # a copy, so that it is pulled again
        self._beside("catch-up", self._catch_up_once)

    async def _catch_up_once(self) -> None:
        """Pull what arrived while the account was away. A temporary failure is retried at the next check."""
        loop = asyncio.get_running_loop()
        while (away := self._away) is not None:
            await asyncio.sleep(self._pull_at - loop.time())
            try:
                count = await self._history_sync.pull(self._since_ms(away))
            except (TemporaryFailure, StoreError) as failure:
                log.warning("could not catch up", account=self._account_id, why=failure.code)
                return
            log.info("caught up", account=self._account_id, events=count)
            self._pull_at = loop.time() + AGAIN_SECONDS
            if self._away is away:
                self._away = None
                self._position.caught_up()

    async def read_chat(self, chat_id: str, since_ms: int) -> None:
        """Pull what was sent in a chat since then (by our clock). Raise like ``HistorySync.pull``."""
        await self._history_sync.pull_chat(chat_id, since_ms + self._least_ahead_ms - BEFORE_MS)

    def _since_ms(self, away: Position) -> int:
        """Return the site's time since which messages may be missing: the position in the feed, which is a time.

        If the position is later than the moment at which it was known, that moment is used.
        """
        place_ms = min(away.pts // 1000, away.known_at_ms + away.ahead_ms)
        return max(place_ms, self._site_clock.now_ms() - LONGEST_AWAY_MS) - BEFORE_MS

    async def _look(self) -> None:
        """Compare the site's list with the pushed messages, before a pull hides the difference.

        Raise ``DeafConnection``.
        """
        try:
            overlooked = await self._history_sync.overlooked(self._connected_site_ms)
            if overlooked:
                await asyncio.sleep(min(ON_ITS_WAY_SECONDS, self._settings.look_seconds))
                if self._socket.has_untaken:  # the socket receives messages, only the database is slow
                    return
                overlooked = await self._history_sync.unknown(overlooked)
        except (TemporaryFailure, StoreError) as failure:
            log.warning("could not look", account=self._account_id, why=failure.code)
            return
        has_unreadable, self._has_unreadable = self._has_unreadable, False
        if has_unreadable:  # not deaf: what is missing, also cards, was pushed in a form that is not known
            await self._pull_unreadable(len(overlooked))
        elif overlooked:
            raise DeafConnection("messages were not pushed although heartbeats were answered")
        await self._catch_up_once()
        self._beside("first-orders", self._read_first_orders)

    async def _pull_unreadable(self, overlooked: int) -> None:
        """Pull what was sent since the last such pull, also in pushes that could not be read."""
        log.warning("pushes not readable, history pulled", account=self._account_id, overlooked=overlooked)
        since_ms, now_ms = self._pulled_site_ms - BEFORE_MS, self._site_clock.now_ms()
        try:
            await self._history_sync.pull(since_ms)
            self._pulled_site_ms = now_ms
        except (TemporaryFailure, StoreError) as failure:
            self._has_unreadable = True
            log.warning("could not pull", account=self._account_id, why=failure.code)

    async def _ask_login(self) -> None:
        try:
            await self._check_login()
        except TemporaryFailure as failure:
            log.warning("login not checked", account=self._account_id, why=failure.code)
