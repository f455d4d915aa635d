"""Sessions: which users are signed in, from where, for how long. Only the hash of a token is stored."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Final

import structlog
from sqlalchemy import Connection, RowMapping, Select, bindparam, delete, func, select, update

from shoal.auth.recent_reads import RecentReads
from shoal.auth.user_replica import UserReplica
from shoal.auth.users import USER_COLUMNS, User, user_of
from shoal.clock import now_ms, present_clock
from shoal.errors import StoreError, Unauthenticated
from shoal.storage.upserts import insert_or
from shoal.storage.user_tables import invitations, sessions, users

log = structlog.get_logger("shoal.sessions")

Write = Callable[[Callable[[Connection], Sequence[int]]], Awaitable[Sequence[int]]]

MAX_LABEL_CHARACTERS: Final = 300
ID_CHARACTERS: Final = 24
"""How many characters of a token's hash name its session: enough to tell sessions apart, useless for signing in."""
LAST_USED_STEP_MS: Final = 60_000
"""A session's last use is stored at most once a minute."""
HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """A valid session. ``token_hash`` names it; only the caller has the token itself."""

    token_hash: str
    user: User
    created_at_ms: int
    expires_at_ms: int
    last_used_ms: int
    kind: str
    user_agent: str
    address: str

    @property
    def id(self) -> str:
        """The name by which the user may end the session."""
        return self.token_hash[:ID_CHARACTERS]


class Sessions:
    """Opens, finds and ends sessions. ``idle_hours``: a session that is not used for so long ends (0: never)."""

    def __init__(
        self, database: UserReplica, *, hours: float, idle_hours: float, now_ms: Callable[[], int] = now_ms
    ) -> None:
        self.lifetime_seconds = hours * 3600
        self._database = database
        self._idle_ms = int(idle_hours * HOUR_MS)
        self._now_ms = now_ms
        self._recent: RecentReads[Session] = RecentReads(database)
        self._used: dict[str, int] = {}
        self._touching: set[asyncio.Task[None]] = set()
        self._watchers: dict[asyncio.Event, int] = {}

    async def close(self) -> None:
        """Wait until the last reads have ended and the last uses are stored."""
        await self._recent.close()
        await asyncio.gather(*self._touching, return_exceptions=True)

    async def open(
        self,
        user_id: int,
        lifetime_seconds: float | None = None,
        *,
        kind: str = "login",
        user_agent: str = "",
        address: str = "",
        password_hash: str | None = None,
    ) -> str:
        """Sign a user in; return the token (256 random bits), which is stored nowhere.

        While the database takes no writes, the session is kept in memory and written as soon as it does.

        Raises ``Unauthenticated`` (``wrong_login``) when the user is not active, or no longer has the password with the
        hash ``password_hash``, if that is given.
        """
        token = secrets.token_urlsafe(32)
        now, may_delete = self._now_ms(), present_clock().is_sure
        lifetime = self.lifetime_seconds if lifetime_seconds is None else lifetime_seconds
        row = {
            "token_hash": token_hash(token),
            "user_id": user_id,
            "created_at_ms": now,
            "expires_at_ms": now + int(lifetime * 1000),
            "last_used_ms": now,
            "kind": kind,
            "user_agent": user_agent[:MAX_LABEL_CHARACTERS],
            "address": address[:MAX_LABEL_CHARACTERS],
        }
        still = [users.c.id == user_id, users.c.active]
        if password_hash is not None:
            still.append(users.c.password_hash == password_hash)

        def job(connection: Connection) -> bool:
            if may_delete:
                connection.execute(delete(sessions).where(sessions.c.expires_at_ms <= now))
            seen = update(users).where(*still).values(signed_in_at_ms=now)
            if connection.execute(seen).rowcount != 1:
                return False
            connection.execute(insert_or(connection, sessions).values(**row).on_conflict_do_nothing())
            connection.execute(  # a user who knows the password needs no link to set one
                delete(invitations).where(invitations.c.for_user_id == user_id, invitations.c.used_at_ms.is_(None))
            )
            return True

        if not await self._database.write_through(job):
            raise Unauthenticated("no longer the password, or not active", code="wrong_login")
        return token

    async def of(self, token: str, *, in_use: bool = True) -> Session | None:
        """Return the session of a token; ``None`` if it is unknown or has ended, or its user is not active.

        ``in_use``: a user makes a request. False for a check that the session still exists; it does not count as a use.
        """
        hashed = token_hash(token)
        session = await self._recent.get(hashed, lambda: self._read(hashed))
        return self._alive(session, in_use=in_use)

    async def of_user(self, user_id: int) -> list[Session]:
        """Return a user's sessions, newest first."""
        query = (
            _session_query()
            .where(sessions.c.user_id == user_id)
            .order_by(sessions.c.created_at_ms.desc(), sessions.c.token_hash)
        )
        found = await self._database.read(
            lambda connection: [_session(row) for row in connection.execute(query).mappings()]
        )
        now = self._now_ms()
        return [session for session in found if self._is_alive(session, now)]

    async def end(self, token: str) -> Session | None:
        """Sign out; return the session that ended. Repeating it is harmless.

        It takes effect at once, and is written when the database accepts it.
        """
        session = await self.of(token, in_use=False)
        hashed = token_hash(token)
        await self._end(sessions.c.token_hash == hashed, write=self._database.write_through)
        return session

    async def end_one(self, user_id: int, session_id: str) -> bool:
        """End one of a user's sessions by its id. False: the user has no such session."""
        return await self._end(
            sessions.c.user_id == user_id, func.substr(sessions.c.token_hash, 1, ID_CHARACTERS) == session_id
        ) == 1  # fmt: skip

    async def end_all(self, user_id: int, *, but: str = "") -> int:
        """End every session of a user, except the one with the id ``but``. Return how many."""
        shown = func.substr(sessions.c.token_hash, 1, ID_CHARACTERS)
        return await self._end(sessions.c.user_id == user_id, shown != but)

    @contextmanager
    def watching(self, user_id: int) -> Iterator[asyncio.Event]:
        """Yield an event that is set when a session of that user ends here; the caller then checks its own."""
        event = asyncio.Event()
        self._watchers[event] = user_id
        try:
            yield event
        finally:
            del self._watchers[event]

    def look_again(self, user_id: int | None = None) -> None:
        """Set the events of all watchers of that user's sessions (``None``: of every user's)."""
        for event, watched in self._watchers.items():
            if user_id in {None, watched}:
                event.set()

    # ── inside ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _read(self, hashed: str) -> Session | None:
        query = _session_of_token()
        row = await self._database.read(
            lambda connection: connection.execute(query, {"hash": hashed}).mappings().first()
        )
        return None if row is None else _session(row)

    def _alive(self, session: Session | None, *, in_use: bool) -> Session | None:
        """Return the session if it has not ended, and note its use."""
        now = self._now_ms()
        if session is None or not self._is_alive(session, now):
            return None
        hashed = session.token_hash
        if in_use and now - max(session.last_used_ms, self._used.get(hashed, 0)) >= LAST_USED_STEP_MS:
            self._touch(hashed, now)
        return session

    def _is_alive(self, session: Session, now: int) -> bool:
        return session.expires_at_ms > now and not (self._idle_ms and session.last_used_ms <= now - self._idle_ms)

    async def _end(self, *where: Any, write: Write | None = None) -> int:
        statement = delete(sessions).where(*where).returning(sessions.c.user_id)
        ended = await (write or self._database.write)(lambda connection: connection.scalars(statement).all())
        for user_id in set(ended):
            self.look_again(user_id)
        return len(ended)

    def _touch(self, hashed: str, now: int) -> None:
        """Store the last use in the background: a store that takes no writes must not stop a user from reading."""
        if self._database.degraded:
            return
        for other in [name for name, at in self._used.items() if now - at >= LAST_USED_STEP_MS]:
            del self._used[other]
        self._used[hashed] = now
        task = asyncio.create_task(self._store_use(hashed, now), name="session:last-used")
        self._touching.add(task)
        task.add_done_callback(self._touching.discard)

    async def _store_use(self, hashed: str, now: int) -> None:
        statement = update(sessions).where(sessions.c.token_hash == hashed).values(last_used_ms=now)
        try:
            await self._database.write_through(lambda connection: connection.execute(statement).rowcount)
        except StoreError as error:
            log.warning("a session's last use was not stored", why=error.code)


def token_hash(token: str) -> str:
    """Return the hash that is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def _session_query() -> Select[Any]:
    columns = [column.label(f"session_{column.name}") for column in sessions.columns]
    return select(*columns, *USER_COLUMNS, sessions.c.last_used_ms).join(users, users.c.id == sessions.c.user_id)


@cache
def _session_of_token() -> Select[Any]:
    """Built once: it is read for each caller twice a second."""
    return _session_query().where(sessions.c.token_hash == bindparam("hash"), users.c.active)


def _session(row: RowMapping) -> Session:
    names = [entry.name for entry in fields(Session) if entry.name != "user"]
    return Session(user=user_of(row), **{name: row[f"session_{name}"] for name in names})
