"""The access token of one connection: used again as long as it is good, renewed by one call before it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import structlog

from shoal.clock import steady_ms
from shoal.connection.site_login import SiteLogin
from shoal.errors import StoreError, TemporaryFailure
from shoal.storage.token_cache import SocketToken
from shoal.xianyu.mtop import ImToken, MtopClient

log = structlog.get_logger("shoal.tokens")

MARGIN_MS = 5 * 60_000
"""A token is renewed so long before it ends; one of a short life when half of it is over."""

SHORTEST_USE_MS = 10 * 60_000
"""A token that works is used at least so long, however soon the site says that it ends."""

FIRST_WAIT_MS, LONGEST_WAIT_MS = 60_000, 10 * 60_000
"""How long a renewal that failed waits before it is tried again, while the old token is good."""

CLOCK_SET_MS = 60_000
"""A stored token that comes from so far in the future tells that the machine's clock was put back since."""

FAREWELL_SECONDS = 5.0
"""How long a call for a token that has left may still be answered when the connection is told to stop."""


class TokenRenewed(Exception):
    """A new token is here, and the site may fall silent on the socket of the old one: it must be replaced now."""


class SocketTokens:
    """Keeps one token at a time. The call for one is what risk control watches most, so it is rationed.

    A token that is here once is used, whether or not it could be stored, and by the account's later connections too.
    """

    def __init__(
        self, login: SiteLogin, mtop: MtopClient, turn: Callable[[], Awaitable[None]], *, renewal_ms: int
    ) -> None:
        """``turn`` waits until a call may leave; ``renewal_ms`` is the longest that one token is used."""
        self._login = login
        self._mtop = mtop
        self._turn = turn
        self._renewal_ms = renewal_ms
        self._slot = login.token_slot()
        self._token: SocketToken | None = None

    async def current(self) -> SocketToken:
        """The token to register with: the one in hand, that of an earlier connection, or else a new one.

        Where a new one would be better and cannot be had, the old one is used as long as it is good. Raises
        ``ActionRequired``, ``TemporaryFailure`` or ``StoreError``.
        """
        self._token = token = self._token or await self._of_earlier()
        if token is None or not _is_good(token):
            return await self._fetched()
        if _age_ms(token) < self._use_ms(token) or not self._may_ask():
            return token
        try:
            return await self._fetched()
        except TemporaryFailure as failure:
            self._postpone(failure)
            return token

    def is_due(self) -> bool:
        """Whether the token in hand should be renewed now."""
        token = self._token
        return token is not None and self._may_ask() and _age_ms(token) >= max(self._use_ms(token), SHORTEST_USE_MS)

    async def renew(self) -> None:
        """Fetch the next token and raise ``TokenRenewed``.

        When that fails for now, it returns and is due again later, as long as the old token is good. Raises
        ``ActionRequired``, and ``TemporaryFailure`` once the old token has ended.
        """
        token = self._token
        try:
            await self._fetched()
        except TemporaryFailure as failure:
            if token is None or not _is_good(token):
                raise
            self._postpone(failure)
            return
        log.info("token renewed", account=self._login.account_id)
        raise TokenRenewed

    async def distrust(self) -> None:
        """The site fell silent on the token's socket. It is given a second chance; after that it is forgotten.

        One that is younger than ``SHORTEST_USE_MS`` is kept all the same, so that no mistake of ours asks for many.
        """
        token = self._token
        if token is not None and token.is_cached and _age_ms(token) >= SHORTEST_USE_MS:
            await self.forget()

    async def forget(self) -> None:
        """The site refused the token: the next one is fetched. The device stays. It never raises."""
        self._token = None
        self._slot.put(None, is_unkept=True)
        await self.keep()

    def is_unkept(self) -> bool:
        """Whether the database has still to be told of the token, or that there is none."""
        return self._slot.is_unkept

    async def keep(self) -> None:
        """Tell the database what it does not know of the token. It never raises: the next time will do."""
        token = self._slot.token
        try:
            await (self._login.forget_token() if token is None else self._login.keep_token(token))
        except StoreError as error:
            log.warning("token not kept", account=self._login.account_id, why=error.code)
            return
        if self._slot.token is token:
            self._slot.is_unkept = False

    async def _of_earlier(self) -> SocketToken | None:
        if not self._slot.is_known:
            stored = await self._login.cached_token()
            if stored is not None and _age_ms(stored) < -CLOCK_SET_MS:  # nobody knows how old it is
                stored = replace(stored, obtained_steady_ms=steady_ms() - self._use_ms(stored) // 2)
            self._slot.put(stored, is_unkept=False)
        token = self._slot.token
        return None if token is None else replace(token, is_cached=True)

    async def _fetched(self) -> SocketToken:
        device_id = self._token.device_id if self._token is not None else await self._login.device_id()
        await self._turn()
        asked_ms = steady_ms()
        call = asyncio.create_task(self._mtop.im_token(device_id), name=f"token:{self._login.account_id}")
        try:
            return await self._take(await asyncio.shield(call), device_id, asked_ms)
        except asyncio.CancelledError:
            # Told to stop, when the call has left already: what it brings is for the next connection.
            await asyncio.wait({call}, timeout=FAREWELL_SECONDS)
            if call.done() and not call.cancelled() and call.exception() is None:
                await self._take(call.result(), device_id, asked_ms)
            raise
        finally:
            if not call.done():
                call.cancel()
                await asyncio.wait({call})

    async def _take(self, answer: ImToken, device_id: str, asked_ms: int) -> SocketToken:
        """Use a token that has just come, and store it if the database lets us."""
        if self._token is None or self._token.access_token != answer.access_token:
            self._token = SocketToken(
                access_token=answer.access_token,
                device_id=device_id,
                obtained_steady_ms=asked_ms,
                life_ms=round(answer.lifetime_seconds * 1000),
                is_cached=False,
            )
            self._slot.put(self._token, is_unkept=True)
            self._slot.not_before_steady_ms, self._slot.wait_ms = None, 0
        token = self._token
        await self.keep()
        return token

    def _may_ask(self) -> bool:
        not_before = self._slot.not_before_steady_ms
        return not_before is None or steady_ms() >= not_before

    def _postpone(self, failure: TemporaryFailure) -> None:
        slot = self._slot
        slot.wait_ms = min(LONGEST_WAIT_MS, slot.wait_ms * 2) or FIRST_WAIT_MS
        slot.not_before_steady_ms = steady_ms() + slot.wait_ms
        log.warning("token not renewed", account=self._login.account_id, why=failure.code, wait_ms=slot.wait_ms)

    def _use_ms(self, token: SocketToken) -> int:
        """At which age a token is not used for another registration any more, if a new one can be had."""
        return min(self._renewal_ms, token.life_ms - min(MARGIN_MS, token.life_ms // 2))


def _age_ms(token: SocketToken) -> int:
    return steady_ms() - token.obtained_steady_ms


def _is_good(token: SocketToken) -> bool:
    return _age_ms(token) < token.life_ms
