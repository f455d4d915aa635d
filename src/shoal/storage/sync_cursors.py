"""How far each account has received the site's feed of pushes: one row per account (docs/protocol.md §3.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, select

from shoal.clock import now_ms
from shoal.storage.database import Database
from shoal.storage.schema import sync_positions
from shoal.storage.upserts import insert_or_renew


@dataclass(frozen=True, kw_only=True, slots=True)
class Position:
    """Everything up to ``pts`` (microseconds, the site's count) is stored here; known at ``known_at_ms``.

    ``ahead_ms``: how far the site's clock was ahead of the server's then. ``has_first_orders``: what was paid shortly
    before the first start of an account that moved in was read.
    """

    pts: int
    known_at_ms: int
    ahead_ms: int = 0
    has_first_orders: bool = False


class SyncCursors:
    """The positions of all accounts. They are observations, not settings: no generation, no journal."""

    def __init__(self, database: Database, *, now_ms: Callable[[], int] = now_ms) -> None:
        self._database = database
        self._now_ms = now_ms

    async def position(self, account_id: str) -> Position | None:
        """Return the account's last position; ``None`` when it was never connected. Raises ``StoreError``."""
        query = select(sync_positions).where(sync_positions.c.account_id == account_id)
        row = await self._database.read(lambda connection: connection.execute(query).one_or_none())
        if row is None:
            return None
        kept = msgspec.json.decode(row.position, type=dict[str, int])
        return Position(
            pts=kept.get("pts", 0),
            known_at_ms=row.updated_at_ms,
            ahead_ms=kept.get("ahead_ms", 0),
            has_first_orders=bool(kept.get("first_orders")),
        )

    async def keep(self, account_id: str, pts: int, ahead_ms: int = 0, *, has_first_orders: bool = False) -> None:
        """Record that everything up to ``pts`` is stored, and the rest of a ``Position``. Raises ``StoreError``."""
        numbers = {"pts": pts, "ahead_ms": ahead_ms, "first_orders": int(has_first_orders)}
        position = {name: number for name, number in numbers.items() if number or name == "pts"}
        row = {
            "account_id": account_id,
            "position": msgspec.json.encode(position).decode(),
            "updated_at_ms": self._now_ms(),
        }

        def job(connection: Connection) -> None:
            connection.execute(insert_or_renew(connection, sync_positions, ("position", "updated_at_ms")), [row])

        await self._database.write(job)
