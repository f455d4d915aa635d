"""Answers to requests with an idempotency key: a row is reserved before the change, and answered once.

The change writes its result to the same row, in its own transaction. So after a crash between the change and its
answer, the row without an answer shows whether the change was made.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import msgspec
from sqlalchemy import Connection, Row, delete, exists, or_, select, update

from shoal.clock import now_ms, present_clock
from shoal.errors import InvalidInput, LockTimeout
from shoal.storage.database import Database
from shoal.storage.history_tables import ops
from shoal.storage.upserts import insert_or

Also = Callable[[Connection], object]
"""What is done in the transaction of a change."""

KEPT_MS = 24 * 3600 * 1000
"""How long a key is valid for its request."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyedRequest:
    """A request with an idempotency key. A user's key on one path with one method belongs to one ``request_hash``."""

    user_id: int
    actor: str
    key: str
    method: str
    path: str
    request_hash: str
    token_id: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredAnswer:
    """A final answer, to be repeated byte for byte."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Reservation:
    """The op of a request. ``is_new``: it was never tried before. ``answer``: its final answer.

    ``is_held``: another node that lives may be at it.
    """

    op_id: str
    is_new: bool
    answer: StoredAnswer | None = None
    path: str = ""
    is_held: bool = False


def nothing(_: Connection) -> None:
    """Do nothing in the transaction of a change."""


def done_by(op_id: str) -> Also:
    """Return what notes in the transaction of a change that its op is done, so that it is not done again.

    It is for changes that do not store their op id themselves.
    """
    statement = update(ops).where(ops.c.op_id == op_id).values(changed=True)
    return lambda connection: connection.execute(statement)


class IdempotencyKeys:
    """The requests with keys, and their answers."""

    def __init__(
        self,
        database: Database,
        *,
        wait_seconds: float,
        secret: bytes = b"",
        now_ms: Callable[[], int] = now_ms,
    ) -> None:
        """``wait_seconds``: how long a request waits for a request with the same key. ``secret`` keys its hash."""
        self._database = database
        self._wait_seconds = wait_seconds
        self._secret = secret
        self._now_ms = now_ms
        self._under_way: list[str] = []
        self._turns: WeakValueDictionary[tuple[str, str, str], asyncio.Lock] = WeakValueDictionary()

    def hash_of(self, content: bytes) -> str:
        """Return a hash to compare requests. It is keyed, so that readers of the database cannot guess passwords."""
        return hmac.new(self._secret, content, "sha256").hexdigest()

    @asynccontextmanager
    async def turn(self, request: KeyedRequest) -> AsyncIterator[None]:
        """Run requests with the same key one at a time, first come first served. Raises ``LockTimeout``; the limit
        covers the wait."""
        key = _scoped(request.user_id, request.key, request.token_id)
        scope = (key, request.method, request.path)
        lock = self._turns.setdefault(scope, asyncio.Lock())
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._wait_seconds):
                await lock.acquire()
        except TimeoutError:
            raise LockTimeout(
                "the first request with this key is not answered yet",
                operation=f"{request.method} {request.path}",
                held_seconds=round(time.monotonic() - began, 1),
            ) from None
        self._under_way.append(key)
        try:
            yield
        finally:
            self._under_way.remove(key)
            lock.release()

    def is_under_way(self, user_id: int, key: str, token_id: int | None = None) -> bool:
        """Return whether a request of that user (with that API token) and that key is running on this server."""
        return _scoped(user_id, key, token_id) in self._under_way

    async def reserve(self, request: KeyedRequest, op_id: str) -> Reservation:
        """Return the op of the request: ``op_id`` when its key is new, or was used longer than ``KEPT_MS`` ago.

        Raises ``InvalidInput`` (``idempotency_mismatch``) when the key belongs to another request.
        """
        now, may_expire = self._now_ms(), present_clock().is_sure
        row = {
            "op_id": op_id,
            "actor": request.actor,
            "idem_key": _scoped(request.user_id, request.key, request.token_id),
            "method": request.method,
            "path": request.path,
            "request_hash": request.request_hash,
            "at_ms": now,
            "expires_at_ms": now + KEPT_MS,
            **self._mine(),
        }

        def job(connection: Connection) -> Reservation:
            found = _find(connection, row)
            if found is not None and may_expire and found.expires_at_ms <= now:
                released = {"idem_key": None, "status": None, "answer": None, "request_hash": "", "reserved_by": None}
                connection.execute(update(ops).where(ops.c.op_id == found.op_id).values(**released))
                found = None
            if found is None:
                statement = insert_or(connection, ops).values(**row).on_conflict_do_nothing().returning(ops.c.op_id)
                if connection.execute(statement).first() is not None:
                    return Reservation(op_id=op_id, is_new=True)
                found = _find(connection, row)  # another node was faster
            if found is None or found.request_hash != request.request_hash:
                raise InvalidInput("this key belongs to another request", code="idempotency_mismatch")
            return Reservation(op_id=found.op_id, is_new=False, answer=_answer_of(found))

        return await self._database.write(job)

    def _mine(self) -> dict[str, Any]:
        """Return what a row says of who is at its request: a single server says nothing."""
        return {}

    async def keep(self, op_id: str, answer: StoredAnswer) -> None:
        """Store the final answer of a reserved op. The first one stays."""
        packed = msgspec.json.encode({"headers": answer.headers, "body": answer.body}).decode()
        statement = (
            update(ops).where(ops.c.op_id == op_id, ops.c.status.is_(None)).values(status=answer.status, answer=packed)
        )
        await self._database.write(lambda connection: connection.execute(statement).rowcount)

    async def release(self, op_id: str) -> None:
        """Free the key: its request could not be read."""
        statement = delete(ops).where(ops.c.op_id == op_id, ops.c.account_id.is_(None), ops.c.status.is_(None))
        await self._database.write(lambda connection: connection.execute(statement).rowcount)

    async def close(self) -> None:
        """End what goes on beside requests: nothing on a single server."""

    async def forget_expired(self, *, rows: int = 2_000) -> int:
        """Delete expired answers, and free their keys; the ops stay. Return how many.

        It frees ``rows`` keys per transaction, and finds them by an index of the keyed ops only.
        """
        expired = (
            select(ops.c.op_id)
            .where(ops.c.expires_at_ms <= self._now_ms(), or_(ops.c.idem_key.is_not(None), ops.c.request_hash != ""))
            .limit(rows)
        )
        blank = {"idem_key": None, "status": None, "answer": None, "request_hash": "", "expires_at_ms": None}
        statement = update(ops).where(ops.c.op_id.in_(expired)).values(**blank)
        freed, last = 0, rows
        while last == rows:
            last = await self._database.write(lambda connection: connection.execute(statement).rowcount)
            freed += last
        return freed

    async def is_noted_done(self, op_id: str) -> bool:
        """Return whether ``done_by`` noted that op."""
        query = select(exists().where(ops.c.op_id == op_id, ops.c.account_id.is_(None), ops.c.changed))
        return await self._database.read(lambda connection: bool(connection.scalar(query)))

    async def begun(self, op_id: str) -> bool:
        """Return whether anything of that op was applied: the op itself, or a part of its batch."""
        applied = or_(ops.c.account_id.is_not(None), ops.c.changed)
        mine = or_(ops.c.op_id == op_id, ops.c.op_id.startswith(f"{op_id}:", autoescape=True))
        query = select(exists().where(applied, mine))
        return await self._database.read(lambda connection: bool(connection.scalar(query)))

    async def newest(self, user_id: int, actor: str, key: str, token_id: int | None = None) -> Reservation | None:
        """Return the last request of that user (with that API token) and that key, on any path."""
        query = (
            select(ops)
            .where(ops.c.actor == actor, ops.c.idem_key == _scoped(user_id, key, token_id))
            .order_by(ops.c.at_ms.desc(), ops.c.op_id)
            .limit(1)
        )
        row = await self._database.read(lambda connection: connection.execute(query).first())
        if row is None:
            return None
        return Reservation(op_id=row.op_id, is_new=False, answer=_answer_of(row), path=row.path)


def _scoped(user_id: int, key: str, token_id: int | None) -> str:
    """A key belongs to its user; with an API token it belongs to the token, because another token may have fewer
    permissions."""
    return f"u{user_id}:{key}" if token_id is None else f"u{user_id}t{token_id}:{key}"


def _find(connection: Connection, row: dict[str, Any]) -> Row[Any] | None:
    scope = (ops.c[name] == row[name] for name in ("actor", "idem_key", "method", "path"))
    return connection.execute(select(ops).where(*scope)).one_or_none()


def _answer_of(row: Row[Any]) -> StoredAnswer | None:
    if row.status is None:
        return None
    packed = msgspec.json.decode(row.answer)
    headers = tuple((name, value) for name, value in packed["headers"])
    return StoredAnswer(status=row.status, headers=headers, body=packed["body"])
