"""The access token of one connection: used again as long as it is good, renewed by one call before it ends."""

from __future__ import annotations

import structlog
from aiolimiter import AsyncLimiter

from shoal.clock import now_ms
from shoal.errors import TemporaryFailure
from shoal.site_login import SiteLogin, SocketToken
from shoal.xianyu.mtop import MtopClient

log = structlog.get_logger("shoal.tokens")

MARGIN_MS = 5 * 60_000
"""A token is renewed so long before it ends; one of a short life when half of it is over."""

SHORTEST_USE_MS = 10 * 60_000
"""A token that works is used at least so long, however soon the site says that it ends."""

FIRST_WAIT_MS, LONGEST_WAIT_MS = 60_000, 10 * 60_000
"""How long a renewal that failed waits before it is tried again, while the old token is good."""


class TokenRenewed(Exception):
    """A new token is here, and the site may fall silent on the socket of the old one: it must be replaced now."""


class SocketTokens:
    """Keeps one token at a time. The call for one is what risk control watches most, so it is rationed."""

    def __init__(self, login: SiteLogin, mtop: MtopClient, calls: AsyncLimiter, *, renewal_ms: int) -> None:
        """``calls`` spaces the calls of all accounts; ``renewal_ms`` is the longest that one token is used."""
        self._login = login
        self._mtop = mtop
        self._calls = calls
        self._renewal_ms = renewal_ms
        self._token: SocketToken | None = None
        self._not_before_ms = 0
        self._wait_ms = FIRST_WAIT_MS

    async def current(self) -> SocketToken:
        """The token to register with: the one in hand, that of an earlier connection, or else a new one.

        Raises ``NeedsOwner``, ``TemporaryFailure`` or ``StoreError``.
        """
        if self._token is None or self._ends_at_ms(self._token) <= now_ms():
            self._token = await self._kept() or await self._fetched()
        return self._token

    def is_due(self) -> bool:
        """Whether the token in hand should be renewed now."""
        token, now = self._token, now_ms()
        if token is None or now < self._not_before_ms:
            return False
        return now >= max(self._ends_at_ms(token), token.obtained_at_ms + SHORTEST_USE_MS)

    async def renew(self) -> None:
        """Fetch the next token and raise ``TokenRenewed``.

        When that fails for now, it returns and is due again later, as long as the old token is good. Raises
        ``NeedsOwner`` or ``StoreError``, and ``TemporaryFailure`` once the old token has ended.
        """
        token = self._token
        try:
            self._token = await self._fetched()
        except TemporaryFailure as failure:
            if token is None or token.expires_at_ms <= now_ms():
                raise
            self._not_before_ms = now_ms() + self._wait_ms
            log.warning("token not renewed", account=self._login.account_id, why=failure.code, wait_ms=self._wait_ms)
            self._wait_ms = min(LONGEST_WAIT_MS, self._wait_ms * 2)
            return
        self._wait_ms = FIRST_WAIT_MS
        log.info("token renewed", account=self._login.account_id)
        raise TokenRenewed

    async def distrust(self) -> None:
        """The site fell silent on the token's socket. It is given a second chance; after that it is forgotten.

        One that is younger than ``SHORTEST_USE_MS`` is kept all the same, so that no mistake of ours asks for many.
        """
        token = self._token
        if token is not None and token.is_cached and now_ms() >= token.obtained_at_ms + SHORTEST_USE_MS:
            await self.forget()

    async def forget(self) -> None:
        """The site refused the token: the next one is fetched. The device stays."""
        self._token = None
        await self._login.forget_token()

    async def _kept(self) -> SocketToken | None:
        token = await self._login.cached_token()
        return None if token is None or self._ends_at_ms(token) <= now_ms() else token

    async def _fetched(self) -> SocketToken:
        device_id = await self._login.device_id()
        await self._calls.acquire()
        return await self._login.keep_token(await self._mtop.im_token(device_id), device_id)

    def _ends_at_ms(self, token: SocketToken) -> int:
        """When a token is not used for another registration any more."""
        life_ms = token.expires_at_ms - token.obtained_at_ms
        return token.obtained_at_ms + min(self._renewal_ms, life_ms - min(MARGIN_MS, life_ms // 2))
