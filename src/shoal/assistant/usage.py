"""What models cost, per day and shop: as it is stored, reservations of calls under way included."""

from __future__ import annotations

from collections.abc import Collection

import msgspec
from sqlalchemy import func, select

from shoal.storage.among import among
from shoal.storage.assistant_tables import ai_usage
from shoal.storage.database import Database


class DayUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What one shop asked on one of its days, of all providers together."""

    day: str
    account_id: str
    calls: int
    tokens_in: int
    tokens_out: int
    cost_microfen: int


class Usage:
    """Reads what was used."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def days(self, account_ids: Collection[str], since_day: str) -> list[DayUsage]:
        """Return the days of these shops from that one on (``YYYY-MM-DD``), the oldest first."""
        sums = [
            func.sum(ai_usage.c[name]).label(name) for name in ("calls", "tokens_in", "tokens_out", "cost_microfen")
        ]
        query = (
            select(ai_usage.c.day, ai_usage.c.account_id, *sums)
            .where(among(ai_usage.c.account_id, account_ids), ai_usage.c.day >= since_day)
            .group_by(ai_usage.c.day, ai_usage.c.account_id)
            .order_by(ai_usage.c.day, ai_usage.c.account_id)
        )
        rows = await self._database.read(lambda connection: connection.execute(query).mappings().all())
        return [
            DayUsage(
                day=row["day"], account_id=row["account_id"], calls=int(row["calls"]), tokens_in=int(row["tokens_in"]),
                tokens_out=int(row["tokens_out"]), cost_microfen=int(row["cost_microfen"]),
            )
            for row in rows
        ]  # fmt: skip
