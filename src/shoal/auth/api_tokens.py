"""API tokens that users make for their scripts: one scope, a limited time. Only the hash of a token is stored."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import structlog
from sqlalchemy import Connection, RowMapping, delete, func, select, update

from shoal.auth.permission import Permission
from shoal.auth.recent_reads import RecentReads
from shoal.auth.sessions import token_hash
from shoal.auth.user_replica import UserReplica
from shoal.auth.users import USER_COLUMNS, User, user_of
from shoal.clock import now_ms, present_clock
from shoal.errors import Conflict, StoreError
from shoal.storage.idempotency_keys import Also, nothing
from shoal.storage.user_tables import api_tokens, users

log = structlog.get_logger("shoal.tokens")

PREFIX = "shoal_"
"""Marks a token as one of Shoal's, also for programs that search for leaked secrets."""
MOST_TOKENS = 50
"""How many valid tokens one user may have."""
DEFAULT_DAYS = 90
LONGEST_DAYS = 366
_LAST_USED_STEP_MS = 60_000
"""A token's last use is stored at most once a minute."""
_DAY_MS = 24 * 3600 * 1000


class ApiToken(msgspec.Struct, frozen=True, kw_only=True):
    """What a token may do. The token itself is stored nowhere."""

    id: int
    user_id: int
    name: str
    scope: Permission
    only_accounts: frozenset[str] | None
    """The ids of the accounts to which the token is limited; ``None``: all accounts."""
    created_at_ms: int
    expires_at_ms: int
    last_used_ms: int | None

    def covers(self, account_id: str) -> bool:
        """Return whether the token is valid for that account."""
        return self.only_accounts is None or account_id in self.only_accounts


class ApiTokens:
    """Makes, finds and revokes tokens."""

    def __init__(self, database: UserReplica, *, now_ms: Callable[[], int] = now_ms) -> None:
        self._database = database
        self._now_ms = now_ms
        self._recent: RecentReads[tuple[User, ApiToken]] = RecentReads(database)
        self._used: dict[str, int] = {}
        self._touching: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Wait until the last reads have ended and the last uses are stored."""
        await self._recent.close()
        await asyncio.gather(*self._touching, return_exceptions=True)

    async def make(
        self,
        user_id: int,
        name: str,
        scope: Permission,
        *,
        days: int,
        only_accounts: Sequence[str] | None = None,
        also: Also = nothing,
    ) -> tuple[str, ApiToken]:
        """Make a token; return it and what it may do. The token is stored nowhere.

        ``also`` is done in the same transaction.

        Raises ``Conflict`` (``too_many_tokens``).
        """
        token = PREFIX + secrets.token_urlsafe(32)
        now, may_delete = self._now_ms(), present_clock().is_sure
        row = {
            "token_hash": token_hash(token),
            "user_id": user_id,
            "name": name,
            "scope": scope.word,
            "only_accounts": None if only_accounts is None else msgspec.json.encode(sorted(only_accounts)).decode(),
            "created_at_ms": now,
            "expires_at_ms": now + days * _DAY_MS,
        }

        def job(connection: Connection) -> ApiToken:
            also(connection)
            if may_delete:
                connection.execute(delete(api_tokens).where(api_tokens.c.expires_at_ms <= now - LONGEST_DAYS * _DAY_MS))
            living = api_tokens.c.user_id == user_id, api_tokens.c.expires_at_ms > now
            if (connection.scalar(select(func.count()).where(*living)) or 0) >= MOST_TOKENS:
                raise Conflict("this user has many tokens", code="too_many_tokens", limit=MOST_TOKENS)
            return _token(
                connection.execute(api_tokens.insert().values(**row).returning(*api_tokens.c)).mappings().one()
            )

        return token, await self._database.write(job)

    async def find(self, token: str, *, in_use: bool = True) -> tuple[User, ApiToken] | None:
        """Return the user of a token and what it may do; ``None`` if it is unknown or expired, or its user is inactive.

        ``in_use``: a script calls. False for a check that the token still exists; it does not count as a use.
        """
        hashed = token_hash(token)
        found = await self._recent.get(hashed, lambda: self._read(hashed))
        return self._valid(hashed, found, in_use=in_use)

    def _valid(self, hashed: str, found: tuple[User, ApiToken] | None, *, in_use: bool) -> tuple[User, ApiToken] | None:
        """Return what was found if it has not expired, and note its use."""
        now = self._now_ms()
        if found is None or found[1].expires_at_ms <= now:
            return None
        used = max(found[1].last_used_ms or 0, self._used.get(hashed, 0))
        if in_use and now - used >= _LAST_USED_STEP_MS and not self._database.degraded:
            self._touch(hashed, now)
        return found

    async def _read(self, hashed: str) -> tuple[User, ApiToken] | None:
        columns = [column.label(f"token_{column.name}") for column in api_tokens.c]
        query = (
            select(*columns, *USER_COLUMNS)
            .join(users, users.c.id == api_tokens.c.user_id)
            .where(api_tokens.c.token_hash == hashed, users.c.active)
        )
        row = await self._database.read(lambda connection: connection.execute(query).mappings().first())
        return None if row is None else (user_of(row), _token({name: row[f"token_{name}"] for name in _COLUMNS}))

    def _touch(self, hashed: str, now: int) -> None:
        """Store the last use in the background: a store that takes no writes must not stop a script from reading."""
        statement = update(api_tokens).where(api_tokens.c.token_hash == hashed).values(last_used_ms=now)

        async def store() -> None:
            try:
                await self._database.write_through(lambda connection: connection.execute(statement).rowcount)
            except StoreError as error:
                log.warning("a token's last use was not stored", why=error.code)

        for other in [name for name, at in self._used.items() if now - at >= _LAST_USED_STEP_MS]:
            del self._used[other]
        self._used[hashed] = now
        task = asyncio.create_task(store(), name="token:last-used")
        self._touching.add(task)
        task.add_done_callback(self._touching.discard)

    async def list_of(self, user_id: int) -> list[ApiToken]:
        """Return a user's tokens, expired ones included, newest first."""
        query = select(api_tokens).where(api_tokens.c.user_id == user_id).order_by(api_tokens.c.id.desc())
        return await self._database.read(
            lambda connection: [_token(row) for row in connection.execute(query).mappings()]
        )

    async def valid_of_all(self) -> list[tuple[str, ApiToken]]:
        """Return the tokens of all users that have not expired, with the user's name, by user and newest first."""
        query = (
            select(*api_tokens.c, users.c.username)
            .join(users, users.c.id == api_tokens.c.user_id)
            .where(api_tokens.c.expires_at_ms > self._now_ms())
            .order_by(users.c.name_key, api_tokens.c.id.desc())
        )
        return await self._database.read(
            lambda connection: [(str(row["username"]), _token(row)) for row in connection.execute(query).mappings()]
        )

    async def revoke(self, user_id: int, token_id: int) -> ApiToken | None:
        """Delete a token of that user; ``None``: there is none."""
        statement = delete(api_tokens).where(api_tokens.c.user_id == user_id, api_tokens.c.id == token_id)

        def job(connection: Connection) -> ApiToken | None:
            row = connection.execute(statement.returning(*api_tokens.c)).mappings().first()
            return None if row is None else _token(row)

        return await self._database.write(job)


_COLUMNS = [column.name for column in api_tokens.c]


def _token(row: RowMapping | dict[str, Any]) -> ApiToken:
    only = row["only_accounts"]
    values = {name: row[name] for name in ("id", "user_id", "name", "created_at_ms", "expires_at_ms", "last_used_ms")}
    return ApiToken(
        scope=Permission.of(str(row["scope"])),
        only_accounts=None if only is None else frozenset(msgspec.json.decode(str(only), type=list[str])),
        **values,
    )
