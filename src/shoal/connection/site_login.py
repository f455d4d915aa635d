"""An account's credentials for the site: cookie with the site's updates, device id, socket token."""

from __future__ import annotations

import secrets
from random import Random

import structlog

from shoal.accounts.account import Account
from shoal.clock import now_ms, steady_ms
from shoal.errors import StoreError
from shoal.storage.credentials import Credentials
from shoal.storage.token_cache import SocketToken, TokenSlot
from shoal.xianyu.cookie_jar import pairs_for, take_over
from shoal.xianyu.cookie_string import SITE_DOMAIN, merge, parse_cookie
from shoal.xianyu.identity import device_id as make_device_id

log = structlog.get_logger("shoal.login")


class SiteLogin:
    """One connection's login. It belongs to one cookie version and never overwrites a newer one."""

    def __init__(self, account: Account, credentials: Credentials, jar: dict[str, str] | None) -> None:
        self._account = account
        self._credentials = credentials
        self._slot = credentials.shelf.slot(account)
        self._jar = dict(self._slot.unkept_jar or jar or {})

    @classmethod
    async def open(cls, account: Account, credentials: Credentials) -> SiteLogin:
        """Read the cookie jar of the account's cookie. Raise ``StoreError``."""
        return cls(account, credentials, await credentials.jar(account))

    @property
    def account_id(self) -> str:
        """Return the id of the login's account."""
        return self._account.id

    def header(self, host: str = SITE_DOMAIN) -> str:
        """Return the owner's cookie with the site's later updates, as a request to that host carries it."""
        return merge(self._account.cookie, pairs_for(self._jar, host))

    async def rotated(self, updates: dict[str, str]) -> None:
        """Use cookies that the site set, and store them unless the owner has set a newer cookie.

        Never raises: a jar that could not be stored must not hide the result of the call that brought it.
        """
        before = dict(self._jar)
        take_over(self._jar, updates, parse_cookie(self._account.cookie))
        if self._jar == before:
            return  # such as a deletion for one host that comes with every answer
        self._slot.unkept_jar = dict(self._jar)
        log.debug("cookies rotated", account=self._account.id, names=sorted(updates))
        await self.keep_jar()

    @property
    def has_unkept_jar(self) -> bool:
        """Return whether updated cookies are not stored yet."""
        return self._slot.unkept_jar is not None

    async def keep_jar(self) -> None:
        """Store the updated cookies. Never raises: the next call retries."""
        jar = self._slot.unkept_jar
        if jar is None:
            return
        try:
            kept = await self._credentials.save_jar(self._account.id, jar, self._account.cookie_version)
        except StoreError as error:
            log.warning("rotated cookies not kept", account=self._account.id, why=error.code)
            return
        log.debug("jar stored", account=self._account.id, kept=kept)
        if self._slot.unkept_jar is jar:
            self._slot.unkept_jar = None

    async def device_id(self) -> str:
        """Return the account's device id, which never changes."""
        return await self._credentials.device_id(self._account.id, self._new_device_id)

    def _new_device_id(self) -> str:
        return make_device_id(self._account.unb, Random(secrets.randbits(128)))  # noqa: S311  seeded by the system

    def token_slot(self) -> TokenSlot:
        """Return the cache entry of the account's token in this process."""
        return self._slot

    async def cached_token(self) -> SocketToken | None:
        """Return the token that an earlier process stored, if it is still valid and belongs to this cookie.

        Its time is in the future when the machine's clock was set back since. Raise ``StoreError``.
        """
        stored = await self._credentials.token(self._account)
        if stored is None:
            return None
        return SocketToken(
            access_token=stored.access_token,
            device_id=stored.device_id,
            obtained_steady_ms=steady_ms() - (now_ms() - stored.obtained_at_ms),
            life_ms=stored.expires_at_ms - stored.obtained_at_ms,
            is_cached=True,
        )

    async def keep_token(self, token: SocketToken) -> None:
        """Store a token for the next process. Raise ``StoreError``."""
        obtained_at_ms = now_ms() - (steady_ms() - token.obtained_steady_ms)
        await self._credentials.save_token(
            self._account.id,
            device_id=token.device_id,
            access_token=token.access_token,
            obtained_at_ms=obtained_at_ms,
            expires_at_ms=obtained_at_ms + token.life_ms,
            based_on=self._account.cookie_version,
        )

    async def forget_token(self) -> None:
        """Delete the stored token, which the site refused; keep the device id. Raise ``StoreError``."""
        await self._credentials.forget_token(self._account.id)
