"""One connection's access token: reused while it is valid, renewed by one call before it ends."""

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
"""A token is renewed this long before it ends; a short-lived one at half of its life."""

SHORTEST_USE_MS = 10 * 60_000
"""The shortest use of a working token, even if the site says that it ends earlier."""

FIRST_WAIT_MS, LONGEST_WAIT_MS = 60_000, 10 * 60_000
"""The waits after failed renewals, first and longest, while the old token is valid."""

CLOCK_SET_MS = 60_000
"""A stored token this far in the future shows that the machine's clock was set back since."""

FAREWELL_SECONDS = 5.0
"""How long a running token call may continue after the connection was stopped."""


class TokenRenewed(Exception):
    """A new token was fetched: the socket must be replaced now, because the site may stop using the old one."""


class SocketTokens:
    """Holds one token. Token calls are what risk control watches most, so they are rate-limited.

    A fetched token is used even if it could not be stored, and also by the account's later connections.
    """

    def __init__(
        self, login: SiteLogin, mtop: MtopClient, turn: Callable[[], Awaitable[None]], *, renewal_ms: int
    ) -> None:
        """``turn`` waits until a call is allowed; ``renewal_ms`` is the longest use of one token."""
        self._login = login
        self._mtop = mtop
        self._turn = turn
        self._renewal_ms = renewal_ms
        self._slot = login.token_slot()
        self._token: SocketToken | None = None

    async def current(self) -> SocketToken:
        """Return the token to register with: the current one, that of an earlier connection, or a new one.

        If a new token would be better but cannot be fetched, the old one is used while it is valid. Raise
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
        """Return whether the current token should be renewed now."""
        token = self._token
        return token is not None and self._may_ask() and _age_ms(token) >= max(self._use_ms(token), SHORTEST_USE_MS)

    async def renew(self) -> None:
        """Fetch the next token and raise ``TokenRenewed``.

        After a temporary failure it returns, and renewal is due again later, while the old token is valid. Raise
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
        """Forget a cached token because the site went silent on its socket. A new token gets a second chance.

        A token younger than ``SHORTEST_USE_MS`` is kept anyway, so that an error here does not cause many token calls.
        """
        token = self._token
        if token is not None and token.is_cached and _age_ms(token) >= SHORTEST_USE_MS:
            await self.forget()

    async def forget(self) -> None:
        """Forget a token that the site refused, so that a new one is fetched; keep the device id. Never raises."""
        self._token = None
        self._slot.put(None, is_unkept=True)
        await self.keep()

    def is_unkept(self) -> bool:
        """Return whether the token, or its removal, is not stored yet."""
        return self._slot.is_unkept

    async def keep(self) -> None:
        """Store the token or its removal. Never raises: the next call retries."""
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
            if stored is not None and _age_ms(stored) < -CLOCK_SET_MS:  # its age is unknown
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
            # Stopped during the call: its token is for the next connection.
            await asyncio.wait({call}, timeout=FAREWELL_SECONDS)
            if call.done() and not call.cancelled() and call.exception() is None:
                await self._take(call.result(), device_id, asked_ms)
            raise
        finally:
            if not call.done():
                call.cancel()
                await asyncio.wait({call})

    async def _take(self, answer: ImToken, device_id: str, asked_ms: int) -> SocketToken:
        """Use a token that was just fetched, and store it if the database works."""
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
        """Return the age from which a token is not used for another registration if a new one can be fetched."""
        return min(self._renewal_ms, token.life_ms - min(MARGIN_MS, token.life_ms // 2))


def _age_ms(token: SocketToken) -> int:
    return steady_ms() - token.obtained_steady_ms


def _is_good(token: SocketToken) -> bool:
    return _age_ms(token) < token.life_ms
