"""Data from the site, stored encrypted: the rotated cookies (the jar) and the access token with its device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec
from sqlalchemy import Connection, not_, select, update

from shoal.accounts.account import Account
from shoal.clock import now_ms
from shoal.errors import NotApplied, StoreError
from shoal.storage.database import Database
from shoal.storage.schema import accounts, cookie_jars, tokens
from shoal.storage.token_cache import TokenCache
from shoal.storage.upserts import insert_new, insert_or_renew
from shoal.storage.vault import Vault

_JAR = "cookie_jars.sealed"
_TOKEN = "tokens.sealed"  # noqa: S105 - a column's name


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredToken:
    """An access token: with its device and the version of the owner's cookie that it was fetched with."""

    device_id: str
    access_token: str = field(repr=False)
    obtained_at_ms: int
    expires_at_ms: int
    based_on: int


class Credentials:
    """Cookie jars and tokens. They are observations, not settings: no generation, no journal.

    Each names the ``cookie_version`` it is based on, and is invalid once the owner has set a newer cookie. ``shelf``
    holds the tokens of this process, including those that the database did not store.
    """

    def __init__(self, database: Database, vault: Vault, *, now_ms: Callable[[], int] = now_ms) -> None:
        self._database = database
        self._vault = vault
        self._now_ms = now_ms
        self.shelf = TokenCache()

    async def jar(self, account: Account) -> dict[str, str] | None:
        """Return the cookies as the site last rotated them; ``None`` when there are none, or the owner's cookie is
        newer."""
        query = select(cookie_jars.c.sealed).where(
            cookie_jars.c.account_id == account.id, cookie_jars.c.based_on == account.cookie_version
        )
        sealed = await self._database.read(lambda connection: connection.scalar(query))
        if sealed is None:
            return None
        text = self._vault.open(sealed, account_id=account.id, column=_JAR)
        try:
            return msgspec.json.decode(text, type=dict[str, str])
        except msgspec.DecodeError:
            raise StoreError(f"the cookie jar of account {account.id} is damaged", code="unreadable_secret") from None

    async def save_jar(self, account_id: str, pairs: Mapping[str, str], based_on: int) -> bool:
        """Store rotated cookies. Return False and store nothing when the owner has set another cookie since."""
        text = msgspec.json.encode(dict(pairs)).decode()
        now = self._now_ms()

        def job(connection: Connection) -> bool:
            if not _still_based_on(connection, account_id, based_on):
                return False
            connection.execute(
                insert_or_renew(connection, cookie_jars, ("sealed", "based_on", "updated_at_ms")),
                [
                    {
                        "account_id": account_id,
                        "sealed": self._vault.seal(text, account_id=account_id, column=_JAR),
                        "based_on": based_on,
                        "updated_at_ms": now,
                    }
                ],
            )
            return True

        return await self._database.write(job)

    async def token(self, account: Account) -> StoredToken | None:
        """Return the cached token; ``None`` when there is none, it has expired, or the owner's cookie is newer."""
        query = select(tokens).where(
            tokens.c.account_id == account.id,
            tokens.c.based_on == account.cookie_version,
            tokens.c.expires_at_ms > self._now_ms(),
            tokens.c.sealed.is_not(None),
        )
        row = await self._database.read(lambda connection: connection.execute(query).one_or_none())
        if row is None:
            return None
        return StoredToken(
            device_id=row.device_id,
            access_token=self._vault.open(row.sealed, account_id=account.id, column=_TOKEN),
            obtained_at_ms=row.obtained_at_ms,
            expires_at_ms=row.expires_at_ms,
            based_on=row.based_on,
        )

    async def save_token(
        self,
        account_id: str,
        *,
        device_id: str,
        access_token: str,
        expires_at_ms: int,
        based_on: int,
        obtained_at_ms: int | None = None,
    ) -> bool:
        """Cache a token. Return False and store nothing when the owner has set another cookie since.

        ``obtained_at_ms`` defaults to now.
        """
        obtained = self._now_ms() if obtained_at_ms is None else obtained_at_ms

        def job(connection: Connection) -> bool:
            if not _still_based_on(connection, account_id, based_on):
                return False
            names = ("device_id", "sealed", "based_on", "obtained_at_ms", "expires_at_ms")
            connection.execute(
                insert_or_renew(connection, tokens, names),
                [
                    {
                        "account_id": account_id,
                        "device_id": device_id,
                        "sealed": self._vault.seal(access_token, account_id=account_id, column=_TOKEN),
                        "based_on": based_on,
                        "obtained_at_ms": obtained,
                        "expires_at_ms": expires_at_ms,
                    }
                ],
            )
            return True

        return await self._database.write(job)

    async def forget_token(self, account_id: str) -> None:
        """Delete the cached token. The device stays."""
        statement = (
            update(tokens)
            .where(tokens.c.account_id == account_id)
            .values(sealed=None, based_on=None, obtained_at_ms=0, expires_at_ms=0)
        )
        await self._database.write(lambda connection: connection.execute(statement).rowcount)
        self.shelf.forgotten(account_id)

    async def device_id(self, account_id: str, make: Callable[[], str]) -> str:
        """Return the account's device: created once, then always the same. The result of ``make`` may be unused."""
        query = select(tokens.c.device_id).where(tokens.c.account_id == account_id)
        stored: str | None = await self._database.read(lambda connection: connection.scalar(query))
        if stored is not None:
            return stored
        made = make()

        def job(connection: Connection) -> str:
            connection.execute(
                insert_new(connection, tokens),
                [{"account_id": account_id, "device_id": made}],
            )
            device: str | None = connection.scalar(query)
            if device is None:
                raise NotApplied(f"no device could be stored for account {account_id}")
            return device

        return await self._database.write(job)


def _still_based_on(connection: Connection, account_id: str, based_on: int) -> bool:
    """Return whether the owner's cookie still has that version. Locks the row on PostgreSQL until the commit."""
    query = select(accounts.c.cookie_version).where(accounts.c.id == account_id, not_(accounts.c.deleted))
    return bool(connection.scalar(query.with_for_update()) == based_on)
