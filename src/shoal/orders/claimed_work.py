"""Settles what shops without a connection had under way on the server that ran them before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Final

import structlog
from sqlalchemy import Connection, and_, not_, or_, select, text, union

from shoal.accounts.account import AccountState
from shoal.accounts.ownership import Fence, carrying
from shoal.errors import StoreError
from shoal.messages.message_log import MessageLog
from shoal.messages.outbox_rows import SendOutcome
from shoal.orders.interruptions import note_interrupted
from shoal.orders.order_store import OrderStore
from shoal.storage.database import Database
from shoal.storage.history_tables import observed
from shoal.storage.order_tables import order_actions
from shoal.storage.schema import OUTBOX_OPEN, accounts, outbox

log = structlog.get_logger("shoal.interruptions")

AT_ONCE: Final = 50
"""How many shops are settled at a time; their writes share transactions."""


class ClaimedWork:
    """A ``ShardListener`` that is called before the shops start: a shop that starts settles its own work."""

    def __init__(
        self,
        database: Database,
        message_log: MessageLog,
        order_store: OrderStore,
        fence: Callable[[str], Fence | None],
    ) -> None:
        self._database = database
        self._message_log = message_log
        self._order_store = order_store
        self._fence = fence

    async def claimed(self, shards: Collection[int]) -> None:
        """Settle it for shops that are disabled or parked. What a failing database refuses is settled at their next
        start."""
        room = asyncio.Semaphore(AT_ONCE)
        try:
            names = await self._database.read(lambda connection: _cut_off(connection, shards))
            await asyncio.gather(*(self._settle(name, room) for name in names))
        except StoreError as error:
            log.warning("what shops without a connection had under way is not settled", why=error.code)

    async def _settle(self, account_id: str, room: asyncio.Semaphore) -> None:
        async with room:
            fence = self._fence(account_id)
            with carrying([fence] if fence is not None else []):
                await note_interrupted(self._message_log, self._order_store, account_id)

    async def losing(self, shards: Collection[int]) -> None:
        """Do nothing: no work goes on after ``claimed``."""

    async def lost(self, shards: Collection[int]) -> None:
        """Do nothing: no work goes on after ``claimed``."""

    def lapsed(self) -> None:
        """Do nothing: no work goes on after ``claimed``."""


def _cut_off(connection: Connection, shards: Collection[int]) -> list[str]:
    """Return the accounts of these shards that do not start by themselves and had something under way."""
    sending = select(outbox.c.account_id).where(text(OUTBOX_OPEN), outbox.c.outcome == SendOutcome.SENDING.value)
    acting = select(order_actions.c.account_id).where(text("state = 'intended'"))
    parked = observed.c.state == AccountState.PARKED.value
    rests = and_(not_(accounts.c.deleted), or_(not_(accounts.c.enabled), parked))
    query = (
        select(accounts.c.id)
        .join(observed, observed.c.account_id == accounts.c.id, isouter=True)
        .where(accounts.c.shard.in_(shards), rests, accounts.c.id.in_(union(sending, acting)))
        .order_by(accounts.c.id)
    )
    return list(connection.scalars(query))
