"""``RuleHits``: counts matches of rules whose reply another program sends, and writes them together a moment later."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, Final

import structlog
from sqlalchemy import Connection

from shoal.errors import CommitUnknown, StoreError
from shoal.messages.decisions import Hits, count_hits, hits_of
from shoal.storage.change_statements import statements_of
from shoal.storage.database import Database

log = structlog.get_logger("shoal.hits")

GATHER_SECONDS: Final = 0.5
LONGEST_WAIT_SECONDS: Final = 30.0


class RuleHits:
    """Hits in memory until they are written. Owns one task, until ``close``.

    A reply does not wait for the disk, and is given while the database cannot be written. A kill loses the hits of the
    last moment: they are figures for the owner, and nothing is decided by them.
    """

    def __init__(
        self, database: Database, *, sleep: Callable[[float], Coroutine[Any, Any, None]] = asyncio.sleep
    ) -> None:
        self._database = database
        self._sleep = sleep
        self._counted: Counter[tuple[str, str]] = Counter()
        self._last_ms: dict[tuple[str, str], int] = {}
        self._turn = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def count(self, account_id: str, rule_id: str, at_ms: int) -> None:
        """Count one hit."""
        self._add((account_id, rule_id), 1, at_ms)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write_later(), name="rule hits")

    async def of(self, account_id: str) -> dict[str, Hits]:
        """Return the account's hits by rule id, with those of this moment as far as they can be written."""
        if any(name == account_id for name, _ in self._counted):
            await self._write()
        return await hits_of(self._database, account_id)

    async def close(self) -> None:
        """Write what is counted."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._write()
        if self._counted:
            log.warning("hits of rules not stored", rules=len(self._counted))

    def _add(self, key: tuple[str, str], hits: int, at_ms: int) -> None:
        self._counted[key] += hits
        self._last_ms[key] = max(self._last_ms.get(key, 0), at_ms)

    async def _write_later(self) -> None:
        wait = GATHER_SECONDS
        while self._counted:
            await self._sleep(wait)
            wait = GATHER_SECONDS if await self._write() else min(wait * 2, LONGEST_WAIT_SECONDS)

    async def _write(self) -> bool:
        """Write what is counted. Return ``False`` when certainly nothing was stored: it stays counted."""
        async with self._turn:
            counted, last_ms = self._counted, self._last_ms
            self._counted, self._last_ms = Counter(), {}
            rows = [
                {"account_id": name, "rule_id": rule_id, "hits": hits, "last_hit_ms": last_ms[name, rule_id]}
                for (name, rule_id), hits in counted.items()
            ]
            try:
                if rows:
                    await self._database.write(partial(_write_rows, rows=rows))
            except CommitUnknown:
                pass  # counted twice would be as wrong
            except StoreError:
                for key, hits in counted.items():
                    self._add(key, hits, last_ms[key])
                return False
            return True


def _write_rows(connection: Connection, rows: list[dict[str, object]]) -> None:
    living = statements_of(connection).generations(str(row["account_id"]) for row in rows)
    kept = [row for row in rows if row["account_id"] in living]
    if kept:
        count_hits(connection, kept)
