"""Reports the shops in which paid orders wait for long: one incident per shop, until none waits so any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog
from sqlalchemy import Connection, select, text

from shoal.clock import now_ms
from shoal.errors import StoreError
from shoal.orders.order_waits import waiting_since
from shoal.storage.database import Database
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.incident_rows import Opening, account_subject, close_incidents, open_incidents
from shoal.storage.notice_tables import LIVE, incidents
from shoal.storage.order_tables import orders
from shoal.storage.schema import accounts

LOOK_SECONDS: Final = 10.0
"""How often it looks. One look reads by an index that has only what is open."""

log = structlog.get_logger("shoal.orders")


class WaitingWatch:
    """Compares the incidents that are open with the orders that wait. A shop that is off has none: its owner knows."""

    def __init__(self, database: Database, *, wait_seconds: float, now_ms: Callable[[], int] = now_ms) -> None:
        """``wait_seconds``: how long an order may wait before it is reported."""
        self._database = database
        self._wait_ms = int(wait_seconds * 1000)
        self._now_ms = now_ms

    async def run(self) -> None:
        """Look until this is cancelled. A look that fails is tried again at the next one."""
        while True:
            try:
                await self.look()
            except StoreError as error:
                log.warning("waiting orders not looked at", why=error.code)
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Open and close incidents, when any is to be. Raises ``StoreError``."""
        changed = await self._database.read(lambda connection: self._openings_and_ends(connection, self._now_ms()))
        if any(changed):
            await self._database.write(self._note)

    def _note(self, connection: Connection) -> None:
        at_ms = self._now_ms()
        openings, ended = self._openings_and_ends(connection, at_ms)
        open_incidents(connection, openings)
        close_incidents(connection, ended, [IncidentKind.ORDERS_WAIT], at_ms)

    def _openings_and_ends(self, connection: Connection, at_ms: int) -> tuple[list[Opening], list[str]]:
        """Return the incidents to open, and the subjects of those to close."""
        query = (
            waiting_since(at_ms - self._wait_ms)
            .join(accounts, accounts.c.id == orders.c.account_id)
            .where(accounts.c.enabled)
        )
        waiting = {name: (count, since_ms) for name, count, since_ms in connection.execute(query)}
        is_open = (incidents.c.kind == IncidentKind.ORDERS_WAIT.value, incidents.c.closed_at_ms.is_(None))
        opened = set(connection.scalars(select(incidents.c.subject).where(text(LIVE), *is_open)))
        openings = [
            Opening(
                subject=account_subject(name),
                kind=IncidentKind.ORDERS_WAIT,
                at_ms=at_ms,
                account_id=name,
                facts={"orders": count, "minutes": max(1, round((at_ms - since_ms) / 60_000))},
            )
            for name, (count, since_ms) in waiting.items()
            if account_subject(name) not in opened
        ]
        return openings, sorted(opened - {account_subject(name) for name in waiting})
