"""Idempotency keys of several nodes: one of them at a time is at a request; the others wait for its answer.

The row of a request names the life of the node that is at it. Once that life has ended, another node goes on with the
request as after a restart: under the same op id, which does nothing twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import Context
from dataclasses import replace
from typing import Any, Final

import structlog
from sqlalchemy import Connection, and_, exists, literal_column, or_, select, update

from shoal.accounts.ownership import always_stands, beginning_in
from shoal.clock import now_ms
from shoal.errors import LockTimeout, StoreError
from shoal.storage.database import Database
from shoal.storage.history_tables import ops
from shoal.storage.idempotency_keys import IdempotencyKeys, KeyedRequest, Reservation, StoredAnswer
from shoal.storage.node_tables import nodes

log = structlog.get_logger("shoal.idempotency")

LOOK_SECONDS: Final = 0.1
"""How long a request waits before it asks again whether another node has answered; each time twice as long."""
LONGEST_LOOK_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 1.0
_NOW: Final = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
_LIVES: Final = exists().where(
    nodes.c.name == ops.c.reserved_by,
    nodes.c.inc == ops.c.reserved_inc,
    ~nodes.c.dead,
    nodes.c.expires_at_ms >= literal_column(_NOW),
)
"""Whether the life that reserved a request goes on."""


class SharedIdempotencyKeys(IdempotencyKeys):
    """The requests with keys of all nodes."""

    def __init__(
        self,
        database: Database,
        *,
        wait_seconds: float,
        me: Callable[[], tuple[str, int]],
        secret: bytes = b"",
        now_ms: Callable[[], int] = now_ms,
    ) -> None:
        """``me``: the name of this node, and the number of its life."""
        super().__init__(database, wait_seconds=wait_seconds, secret=secret, now_ms=now_ms)
        self._me = me
        self._open: dict[KeyedRequest, str] = {}
        """The ops of the requests that this node is at."""
        self._answered: set[str] = set()
        self._giving_back: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Stop trying to give back what the database did not take: the end of this life gives it back."""
        for task in self._giving_back:
            task.cancel()
        await asyncio.gather(*self._giving_back, return_exceptions=True)

    @asynccontextmanager
    async def turn(self, request: KeyedRequest) -> AsyncIterator[None]:
        """Run requests with the same key one at a time on this node, as on a single server. Raises ``LockTimeout``.

        What they change is committed in the present life only, else ``GET /ops`` could not know what never will be.
        """
        async with super().turn(request):
            try:
                with beginning_in(self._database.group_writer.standing()):
                    yield
            finally:
                op_id = self._open.pop(request, None)
                if op_id in self._answered:
                    self._answered.discard(op_id)
                elif op_id is not None:
                    self._give_back_soon(op_id)

    async def reserve(self, request: KeyedRequest, op_id: str) -> Reservation:
        """Return the op of the request as on a single server, once no other node that lives is at it.

        Raises ``LockTimeout`` when that takes too long, and ``InvalidInput``.
        """
        began, pause = time.monotonic(), LOOK_SECONDS
        while True:
            with beginning_in(always_stands):  # who is refused later in this life gets the op
                found = await super().reserve(request, op_id)
            if found.answer is not None:
                return found
            if found.is_new or await self._take(found.op_id):
                self._open[request] = found.op_id
                return found
            waited = time.monotonic() - began
            if waited >= self._wait_seconds:
                raise LockTimeout(
                    "another server is at the first request with this key",
                    operation=f"{request.method} {request.path}",
                    held_seconds=round(waited, 1),
                )
            await asyncio.sleep(min(pause, self._wait_seconds - waited))
            pause = min(pause * 2, LONGEST_LOOK_SECONDS)

    async def keep(self, op_id: str, answer: StoredAnswer) -> None:
        """Store the final answer of a reserved op. The first one stays.

        Also in a later life than that of the request: what it answers was committed in its own.
        """
        with beginning_in(always_stands):
            await super().keep(op_id, answer)
        self._no_longer(op_id)

    async def release(self, op_id: str) -> None:
        """Free the key: its request could not be read."""
        with beginning_in(always_stands):
            await super().release(op_id)
        self._no_longer(op_id)

    async def newest(self, user_id: int, actor: str, key: str, token_id: int | None = None) -> Reservation | None:
        """Return the last request of that user (with that API token) and that key, on any path."""
        found = await super().newest(user_id, actor, key, token_id)
        if found is None or found.answer is not None:
            return found
        query = select(exists().where(ops.c.op_id == found.op_id, ops.c.status.is_(None), _LIVES))
        return replace(found, is_held=await self._database.read(lambda connection: bool(connection.scalar(query))))

    def _mine(self) -> dict[str, Any]:
        name, inc = self._me()
        return {"reserved_by": name, "reserved_inc": inc}

    async def _take(self, op_id: str) -> bool:
        """Take over a request that its node has left. Return whether this node may go on with it."""
        mine = self._mine()
        is_mine = and_(*(ops.c[name] == value for name, value in mine.items()))
        free = or_(ops.c.reserved_by.is_(None), is_mine, ~_LIVES)
        statement = update(ops).where(ops.c.op_id == op_id, ops.c.status.is_(None), free).values(**mine)
        return await self._database.write(lambda connection: connection.execute(statement).rowcount == 1)

    def _no_longer(self, op_id: str) -> None:
        if op_id in self._open.values():
            self._answered.add(op_id)

    def _give_back_soon(self, op_id: str) -> None:
        """Let other nodes go on with a request that this one did not answer to the end."""
        # In a context of its own: no fence of a shop stands before it.
        task = asyncio.create_task(self._give_back(op_id, self._mine()), name=f"key:{op_id}", context=Context())
        self._giving_back.add(task)
        task.add_done_callback(self._giving_back.discard)

    async def _give_back(self, op_id: str, mine: dict[str, Any]) -> None:
        where = (ops.c[name] == value for name, value in mine.items())
        statement = update(ops).where(ops.c.op_id == op_id, ops.c.status.is_(None), *where)
        blank = statement.values(reserved_by=None, reserved_inc=None)

        def job(connection: Connection) -> int:
            return connection.execute(blank).rowcount

        while op_id not in self._open.values():  # else it is tried again here
            try:
                await self._database.write(job)
            except StoreError as error:
                log.warning("a request is not given back yet", op_id=op_id, why=error.code)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return
