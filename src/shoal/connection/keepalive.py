"""What keeps one connection honest: heartbeats, a look for what was overlooked, the login kept, the token renewed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from random import Random

import structlog

from shoal.accounts.account import Account
from shoal.accounts.account_task import Link
from shoal.clock import SiteClock
from shoal.config import Settings
from shoal.connection.history_sync import LONGEST_AWAY_MS, HistorySync
from shoal.connection.site_login import SiteLogin
from shoal.connection.socket_tokens import SocketTokens
from shoal.connection.sync_cursor import SyncCursor
from shoal.errors import StoreError, TemporaryFailure
from shoal.messages.task_drain import TaskDrain
from shoal.storage.sync_cursors import Position
from shoal.xianyu.live_socket import LiveSocket

log = structlog.get_logger("shoal.upkeep")

ON_ITS_WAY_SECONDS = 5.0
"""How long a message that the site lists may still be on its way here by a push."""

BEFORE_MS = 60_000
"""So much earlier than the last known moment a look into the past begins: what comes twice does no harm."""

AGAIN_SECONDS = 5.0
"""How long after one pull the next may begin: a site that asks for many is not stormed."""


class DeafConnection(TemporaryFailure):
    """Heartbeats are answered and messages do not come: the socket only looks alive."""

    code = "deaf_connection"


class Keepalive:
    """One task per connection. Each beat is waited for; what takes longer runs beside it, one of a kind at a time."""

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
        site_clock: SiteClock,
        rng: Random,
    ) -> None:
        """``away``: where the account stood before."""
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
        self._connected_site_ms = site_clock.now_ms()
        self._under_way: set[str] = set()
        self._heard_at: float | None = None
        self._pull_at = 0.0
        self.looked_back = asyncio.Event()
        """What came, and what of ours went, while the account was away is known, as far as it can be."""

    async def beat(self) -> None:
        """One heartbeat, answered. Raises as ``LiveSocket.heartbeat``."""
        await self._socket.heartbeat(self._settings.heartbeat_timeout_seconds)
        self._link.received()

    def received(self) -> None:
        """Something was pushed, so the socket is not deaf."""
        self._heard_at = asyncio.get_running_loop().time()

    async def run(self) -> None:
        """Go on until something ends the connection; pulls what came while the account was away first."""
        loop = asyncio.get_running_loop()
        look_at = loop.time() + self._settings.look_seconds * self._rng.uniform(0.5, 1.0)
        # Spread, so that what began together does not act together.
        login_at = loop.time() + self._settings.login_check_seconds * self._rng.uniform(0.5, 1.5)
        self._beside("catch-up", self._look_back)
        while True:
            await asyncio.sleep(self._settings.heartbeat_seconds)
            await self.beat()
            self._beside("position", self._position.keep)  # beside: a slow database must not hold up the next beat
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
        """Look now, unless something was pushed a short while ago; returns when to come back."""
        look_seconds = self._settings.look_seconds
        if self._away is None and self._heard_at is not None and now < self._heard_at + look_seconds:
            return self._heard_at + look_seconds
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

    def passed_over(self, stood: Position) -> None:
        """The site goes on from a place of its own: what was said since we ``stood`` there is to be pulled."""
        self._away = stood if self._away is None else replace(self._away)  # another one, so that it is pulled anew
        self._beside("catch-up", self._catch_up_once)

    async def _catch_up_once(self) -> None:
        """Pull what came while the account was away. What fails for now is tried again at the next look."""
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

    def _since_ms(self, away: Position) -> int:
        """From when on, by the site's clock, something may be missing: since the place in the feed, which is a time.

        Nor later than when that was known, in case it is none.
        """
        place_ms = min(away.pts // 1000, away.known_at_ms + away.ahead_ms)
        return max(place_ms, self._site_clock.now_ms() - LONGEST_AWAY_MS) - BEFORE_MS

    async def _look(self) -> None:
        """Compare what the site lists with what was pushed, before a pull hides the difference.

        Raises ``DeafConnection``.
        """
        try:
            overlooked = await self._history_sync.overlooked(self._connected_site_ms)
            if overlooked:
                await asyncio.sleep(min(ON_ITS_WAY_SECONDS, self._settings.look_seconds))
                if self._socket.has_untaken:  # the database is slow, and the line hears
                    return
                overlooked = await self._history_sync.unknown(overlooked)
        except (TemporaryFailure, StoreError) as failure:
            log.warning("could not look", account=self._account_id, why=failure.code)
            return
        if overlooked:
            raise DeafConnection("messages were not pushed although heartbeats were answered")
        await self._catch_up_once()

    async def _ask_login(self) -> None:
        try:
            await self._check_login()
        except TemporaryFailure as failure:
            log.warning("login not checked", account=self._account_id, why=failure.code)
