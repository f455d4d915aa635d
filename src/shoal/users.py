"""The people who may sign in, and their sessions. A password or a token is stored only as its hash."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, RowMapping, Select, delete, func, select, update

from shoal.clock import now_ms
from shoal.database import Database
from shoal.errors import Conflict, InvalidInput
from shoal.schema import sessions, users

ADMIN_NAME = "admin"
MAX_PASSWORD_CHARACTERS = 1_024
MAX_LABEL_CHARACTERS = 300
_LAST_USED_STEP_MS = 60_000
"""A session's last use is stored at most once a minute."""
_SPEAKABLE = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"


class Role(StrEnum):
    """What a person may do."""

    ADMIN = "admin"
    """Everything, for every account."""
    OWNER = "owner"
    """Everything, for the own accounts."""
    STAFF = "staff"
    """Read and answer, for the accounts that are shared with them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class User:
    """One person, without the password's hash."""

    id: int
    username: str
    email: str | None
    role: Role
    active: bool
    created_at_ms: int
    updated_at_ms: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """A valid sign-in. ``token_hash`` names it; the token itself is known to the caller alone."""

    token_hash: str
    user: User
    created_at_ms: int
    expires_at_ms: int
    last_used_ms: int
    kind: str
    user_agent: str
    address: str


class Users:
    """People and sessions. ``close`` ends the hashing threads."""

    def __init__(
        self,
        database: Database,
        *,
        now_ms: Callable[[], int] = now_ms,
        hasher: PasswordHasher | None = None,
    ) -> None:
        self._database = database
        self._now_ms = now_ms
        self._hasher = hasher or PasswordHasher()
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="shoal-password")
        self._nobody = ""

    async def close(self) -> None:
        """End the hashing threads."""
        await asyncio.to_thread(self._threads.shutdown)

    # ── people ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def create(self, username: str, password: str, *, role: Role = Role.OWNER, email: str | None = None) -> User:
        """Add a person. Raises ``Conflict`` (``username_taken``, ``email_taken``)."""
        now = self._now_ms()
        row = {
            "username": username,
            "email": _email(email),
            "password_hash": await self._hash(password),
            "role": role.value,
            "active": True,
            "created_at_ms": now,
            "updated_at_ms": now,
        }

        def job(connection: Connection) -> User:
            _check_free(connection, username=username, email=_email(email))
            added = connection.execute(users.insert().values(**row).returning(*_USER_COLUMNS)).mappings().one()
            return _user(added)

        return await self._database.write(job)

    async def get(self, user_id: int) -> User | None:
        """One person by id."""
        return await self._one(users.c.id == user_id)

    async def by_name(self, username: str) -> User | None:
        """One person by user name."""
        return await self._one(users.c.username == username)

    async def by_email(self, email: str) -> User | None:
        """One person by e-mail address."""
        return await self._one(users.c.email == _email(email))

    async def list_users(self) -> list[User]:
        """Everybody, by id."""
        query = select(*_USER_COLUMNS).order_by(users.c.id)
        return await self._database.read(
            lambda connection: [_user(row) for row in connection.execute(query).mappings()]
        )

    async def verify(self, name: str, password: str) -> User | None:
        """The active person with that user name (or e-mail) and password. Takes as long for an unknown name."""
        column = users.c.email if "@" in name else users.c.username
        query = select(users).where(column == (_email(name) if "@" in name else name))
        row = await self._database.read(lambda connection: connection.execute(query).mappings().first())
        stored = row["password_hash"] if row is not None else await self._hash_of_nobody()
        matches = await self._in_thread(self._matches, stored, password)
        if row is None or not matches or not row["active"]:
            return None
        if self._hasher.check_needs_rehash(stored):
            renewed = await self._hash(password)
            statement = update(users).where(users.c.id == row["id"], users.c.password_hash == stored)
            await self._database.write(
                lambda connection: connection.execute(statement.values(password_hash=renewed)).rowcount
            )
        return _user(row)

    async def set_password(self, user_id: int, password: str, *, keep_token: str | None = None) -> bool:
        """Replace a password and close the person's sessions (but the one of ``keep_token``). False: no such person."""
        hashed = await self._hash(password)
        kept = token_hash(keep_token) if keep_token else ""

        def job(connection: Connection) -> bool:
            statement = update(users).where(users.c.id == user_id)
            changed = connection.execute(statement.values(password_hash=hashed, updated_at_ms=self._now_ms())).rowcount
            connection.execute(delete(sessions).where(sessions.c.user_id == user_id, sessions.c.token_hash != kept))
            return changed == 1

        return await self._database.write(job)

    async def update(
        self,
        user_id: int,
        *,
        role: Role | None = None,
        active: bool | None = None,
        email: str | None = None,
    ) -> User | None:
        """Change what is not ``None``; ``None`` when there is no such person. Deactivating closes the sessions."""
        values: dict[str, Any] = {"updated_at_ms": self._now_ms()}
        if role is not None:
            values["role"] = role.value
        if active is not None:
            values["active"] = active
        if email is not None:
            values["email"] = _email(email)

        def job(connection: Connection) -> User | None:
            _check_free(connection, email=values.get("email"), but=user_id)
            statement = update(users).where(users.c.id == user_id).values(**values).returning(*_USER_COLUMNS)
            row = connection.execute(statement).mappings().first()
            if active is False:
                connection.execute(delete(sessions).where(sessions.c.user_id == user_id))
            return None if row is None else _user(row)

        return await self._database.write(job)

    async def delete(self, user_id: int) -> bool:
        """Remove a person and the sessions; the accounts must be gone before. False: no such person."""

        def job(connection: Connection) -> bool:
            connection.execute(delete(sessions).where(sessions.c.user_id == user_id))
            return connection.execute(delete(users).where(users.c.id == user_id)).rowcount == 1

        return await self._database.write(job)

    async def ensure_admin(self, password: str | None = None) -> str | None:
        """On an empty table add ``admin`` with that password, or a generated one; returns it, this once.

        ``None`` when there are people already.
        """
        if await self._database.read(lambda connection: connection.scalar(select(func.count()).select_from(users))):
            return None
        chosen = password or "-".join("".join(secrets.choice(_SPEAKABLE) for _ in range(5)) for _ in range(4))
        try:
            await self.create(ADMIN_NAME, chosen, role=Role.ADMIN)
        except Conflict:  # another node was faster
            return None
        return chosen

    # ── sessions ────────────────────────────────────────────────────────────────────────────────────────────────

    async def open_session(
        self,
        user_id: int,
        lifetime_seconds: float,
        *,
        kind: str = "login",
        user_agent: str = "",
        address: str = "",
    ) -> str:
        """Sign a person in; returns the token (256 random bits), which is stored nowhere."""
        token = secrets.token_urlsafe(32)
        now = self._now_ms()
        row = {
            "token_hash": token_hash(token),
            "user_id": user_id,
            "created_at_ms": now,
            "expires_at_ms": now + int(lifetime_seconds * 1000),
            "last_used_ms": now,
            "kind": kind,
            "user_agent": user_agent[:MAX_LABEL_CHARACTERS],
            "address": address[:MAX_LABEL_CHARACTERS],
        }

        def job(connection: Connection) -> None:
            connection.execute(delete(sessions).where(sessions.c.expires_at_ms <= now))
            connection.execute(sessions.insert().values(**row))

        await self._database.write(job)
        return token

    async def session(self, token: str) -> Session | None:
        """The session of a token; ``None`` when it is unknown or over, or its person is not active."""
        now = self._now_ms()
        hashed = token_hash(token)
        query = _session_query().where(sessions.c.token_hash == hashed, sessions.c.expires_at_ms > now, users.c.active)
        row = await self._database.read(lambda connection: connection.execute(query).mappings().first())
        if row is None:
            return None
        if now - row["last_used_ms"] >= _LAST_USED_STEP_MS and not self._database.degraded:
            statement = update(sessions).where(sessions.c.token_hash == hashed).values(last_used_ms=now)
            await self._database.write(lambda connection: connection.execute(statement).rowcount)
        return _session(row)

    async def sessions(self, user_id: int) -> list[Session]:
        """A person's sessions, newest first."""
        query = (
            _session_query()
            .where(sessions.c.user_id == user_id, sessions.c.expires_at_ms > self._now_ms())
            .order_by(sessions.c.created_at_ms.desc())
        )
        return await self._database.read(
            lambda connection: [_session(row) for row in connection.execute(query).mappings()]
        )

    async def close_session(self, token: str) -> None:
        """Sign out. Repeating it is harmless."""
        await self.close_session_by_hash(token_hash(token))

    async def close_session_by_hash(self, hashed: str, *, user_id: int | None = None) -> bool:
        """End the session of that ``token_hash`` (only if it is that person's). False: there was none."""
        statement = delete(sessions).where(sessions.c.token_hash == hashed)
        if user_id is not None:
            statement = statement.where(sessions.c.user_id == user_id)
        return await self._database.write(lambda connection: connection.execute(statement).rowcount == 1)

    # ── inside ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _one(self, where: Any) -> User | None:
        query = select(*_USER_COLUMNS).where(where)
        row = await self._database.read(lambda connection: connection.execute(query).mappings().first())
        return None if row is None else _user(row)

    async def _hash(self, password: str) -> str:
        if not 1 <= len(password) <= MAX_PASSWORD_CHARACTERS:
            raise InvalidInput(f"a password has 1 to {MAX_PASSWORD_CHARACTERS} characters", code="bad_password")
        hashed: str = await self._in_thread(self._hasher.hash, password)
        return hashed

    async def _hash_of_nobody(self) -> str:
        if not self._nobody:
            self._nobody = await self._hash(secrets.token_urlsafe(16))
        return self._nobody

    def _matches(self, stored: str, password: str) -> bool:
        try:
            return len(password) <= MAX_PASSWORD_CHARACTERS and self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)


_USER_COLUMNS = [users.c[entry.name] for entry in fields(User)]


def token_hash(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def _email(email: str | None) -> str | None:
    return email.strip().lower() or None if email else None


def _check_free(
    connection: Connection, *, username: str | None = None, email: str | None = None, but: int | None = None
) -> None:
    for column, value, code in ((users.c.username, username, "username_taken"), (users.c.email, email, "email_taken")):
        if value is not None and connection.scalar(select(users.c.id).where(column == value)) not in {None, but}:
            raise Conflict("somebody else has that name or address", code=code)


def _user(row: RowMapping) -> User:
    values = {entry.name: row[entry.name] for entry in fields(User)}
    return User(**{**values, "role": Role(row["role"])})


def _session_query() -> Select[Any]:
    columns = [column.label(f"session_{column.name}") for column in sessions.columns]
    return select(*columns, *_USER_COLUMNS, sessions.c.last_used_ms).join(users, users.c.id == sessions.c.user_id)


def _session(row: RowMapping) -> Session:
    names = [entry.name for entry in fields(Session) if entry.name != "user"]
    return Session(user=_user(row), **{name: row[f"session_{name}"] for name in names})
