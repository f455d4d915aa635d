"""Counts of each account's messages and replies since a moment, for the list of accounts."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Final

import msgspec
from sqlalchemy import ColumnElement, Connection, Table, func, select

from shoal.messages.message_log import Direction
from shoal.messages.outbox_rows import SendOutcome
from shoal.storage.among import among
from shoal.storage.database import Database
from shoal.storage.schema import messages, outbox

KEPT_SECONDS: Final = 10.0
"""For how long counts are given again: many pages ask, and none needs them newer."""
MOST_KEPT: Final = 32


class ShopCount(msgspec.Struct, frozen=True):
    """Buyers' messages of an account, and replies that were sent; one of several parts counts once."""

    messages: int = 0
    replies: int = 0


class ShopCounts:
    """Counts for one caller at a time, by two queries for all accounts, for each caller once in ``KEPT_SECONDS``."""

    def __init__(self, database: Database, *, now: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._now = now
        self._turn = asyncio.Lock()
        self._kept: OrderedDict[Hashable, tuple[float, dict[str, ShopCount]]] = OrderedDict()

    async def of(self, account_ids: Sequence[str], since_ms: int) -> dict[str, ShopCount]:
        """Return the counts by account; those without messages and replies are left out. Raises ``StoreError``."""
        key = (since_ms, frozenset(account_ids))
        async with self._turn:
            at, found = self._kept.get(key, (0.0, None))
            if found is None or self._now() - at >= KEPT_SECONDS:
                began = self._now()
                found = await self._database.read(lambda connection: _counted(connection, account_ids, since_ms))
                self._kept[key] = began, found
            self._kept.move_to_end(key)
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return found


def _counted(connection: Connection, account_ids: Sequence[str], since_ms: int) -> dict[str, ShopCount]:
    came = _by_account(connection, messages, account_ids, since_ms, messages.c.direction == Direction.IN.value)
    is_reply = (outbox.c.outcome == SendOutcome.SENT.value) & (outbox.c.part == 0)
    left = _by_account(connection, outbox, account_ids, since_ms, is_reply)
    return {name: ShopCount(came.get(name, 0), left.get(name, 0)) for name in {*came, *left}}


def _by_account(
    connection: Connection, table: Table, account_ids: Sequence[str], since_ms: int, which: ColumnElement[bool]
) -> dict[str, int]:
    query = (
        select(table.c.account_id, func.count().label("number"))
        .where(among(table.c.account_id, account_ids), table.c.created_at_ms >= since_ms, which)
        .group_by(table.c.account_id)
    )
    return {row.account_id: row.number for row in connection.execute(query)}
