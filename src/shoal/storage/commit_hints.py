"""Hints between nodes that something was committed, over PostgreSQL's NOTIFY: without content, and never relied on.

They are sent by a connection of their own after the commit: within a transaction NOTIFY would take a lock of the whole
PostgreSQL server until the commit. Several commits are one hint. A lost hint costs the others the time of a poll.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

import psycopg
import structlog
from sqlalchemy.engine import URL

log = structlog.get_logger("shoal.stream")

LEAST_SECONDS: Final = 0.1
"""Between two hints of a node."""
RETRY_SECONDS: Final = 1.0


class CommitHints:
    """Sends and receives hints with two connections, from ``start`` to ``close``. They need sessions of their own: a
    pooler that shares them between transactions loses every hint."""

    def __init__(self, url: URL, received: Callable[[], object], freed: Callable[[], object] | None = None) -> None:
        """``received``: called on the loop when any node committed something; ``freed``: when one ended, and left
        shards without an owner."""
        self._url = url
        self._received = received
        self._freed = freed or (lambda: None)
        self._due = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Listen, and send from now on."""
        for name, work in (("listen for commits", self._listen), ("tell of commits", self._send)):
            self._tasks.append(asyncio.create_task(self._keep(work), name=name))

    def committed(self) -> None:
        """Notify the other nodes soon. Returns at once."""
        self._due.set()

    async def close(self) -> None:
        """Close both connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def _keep(self, work: Callable[[psycopg.AsyncConnection[Any]], Any]) -> None:
        while True:
            try:
                async with await self._connect() as connection:
                    await work(connection)
            except psycopg.Error as error:
                log.info("hints of commits are interrupted", why=type(error).__name__)
            except Exception:  # a defect costs hints only; what is polled goes on
                log.exception("hints of commits met a defect")
            await asyncio.sleep(RETRY_SECONDS)

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        address = self._url.set(drivername="postgresql").render_as_string(hide_password=False)
        return await psycopg.AsyncConnection.connect(
            address, autocommit=True, connect_timeout=4, application_name="shoal hints",
            keepalives_idle=5, keepalives_interval=2, keepalives_count=3, tcp_user_timeout=8000,
        )  # fmt: skip

    async def _listen(self, connection: psycopg.AsyncConnection[Any]) -> None:
        await connection.execute("LISTEN shoal_changes")
        await connection.execute("LISTEN shoal_shards")
        self._received()  # what was sent before
        self._freed()
        async for hint in connection.notifies():
            (self._freed if hint.channel == "shoal_shards" else self._received)()

    async def _send(self, connection: psycopg.AsyncConnection[Any]) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            began = time.monotonic()
            try:
                await connection.execute("NOTIFY shoal_changes")
            except psycopg.Error:
                self._due.set()  # over the next connection
                raise
            await asyncio.sleep(max(0.0, LEAST_SECONDS - (time.monotonic() - began)))
