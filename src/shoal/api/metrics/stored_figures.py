"""Figures that only the database knows: what waits, what needs somebody, what is in stock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Select, and_, case, func, select, text

from shoal.assistant.budget import MICROFEN, day_of
from shoal.clock import now_ms
from shoal.concurrency.single_flight import SingleFlight
from shoal.errors import StoreError
from shoal.messages.message_log import Direction
from shoal.messages.model_source import RunState
from shoal.orders.order_waits import waiting_since
from shoal.storage.assistant_tables import OPEN_RUN, ai_provider_states, ai_providers, ai_runs, ai_usage
from shoal.storage.database import Database
from shoal.storage.database_stats import DatabaseStats
from shoal.storage.goods_tables import UNIT_FREE, goods, units
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.notice_tables import LIVE, TO_SEND, incidents, notices, webhooks
from shoal.storage.schema import OUTBOX_OPEN, UNHANDLED, messages, outbox

FRESH_SECONDS: Final = 15.0
"""For how long figures are shown again: a scrape every second must not read the database every second."""
WAIT_SECONDS: Final = 2.0
"""How long a scrape waits for them: a database that does not answer must not hide all other figures."""

Kinds = dict[tuple[str, ...], float]
_DRAFTED: Final = RunState.DRAFTED.value
_OF_ORDERS = (IncidentKind.ORDER_PROBLEM.value, IncidentKind.REFUND_ASKED.value)


class StoredFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What was read, and when (by ``time.monotonic``)."""

    read_at: float
    stats: DatabaseStats
    outbox: Kinds
    incidents: Kinds
    order_problems: Kinds
    units_free: Kinds
    webhooks: Kinds
    orders_waiting: int
    oldest_order_wait_seconds: float
    messages_waiting: int
    notices_waiting: int
    drafts_waiting: int
    providers_resting: int
    model_budget_used: float


class KeptFigures:
    """The newest figures, read at most once in ``FRESH_SECONDS``, by one of all servers of the database."""

    def __init__(self, database: Database, stats: SingleFlight[DatabaseStats], owns: Callable[[], bool]) -> None:
        """``owns`` returns whether this server is the one that shows them."""
        self._database = database
        self._owns = owns
        self._stats = stats
        self._reading = SingleFlight(self._read, name="figures of the database")
        self._newest: StoredFigures | None = None

    async def newest(self) -> StoredFigures | None:
        """Return the newest figures that can be had in a moment, if this server shows any."""
        if not self._owns():
            self._newest = None
            return None
        kept = self._newest
        if kept is None or time.monotonic() - kept.read_at >= FRESH_SECONDS:
            with suppress(StoreError, TimeoutError):
                async with asyncio.timeout(WAIT_SECONDS):
                    return await self._reading.result()
        return self._newest

    async def close(self) -> None:
        """End a reading that is under way."""
        await self._reading.close()

    async def _read(self) -> StoredFigures:
        stats = await self._stats.result()
        self._newest = await self._database.read(lambda connection: read_figures(connection, stats))
        return self._newest


def read_figures(connection: Connection, stats: DatabaseStats) -> StoredFigures:
    """Count by indexes that hold only what is counted."""
    count = func.count().label("count")
    is_open = (text(LIVE), incidents.c.closed_at_ms.is_(None))
    stock = select(units.c.goods_id, count).where(text(UNIT_FREE)).group_by(units.c.goods_id).subquery()
    webhook = case((~webhooks.c.active, "off"), (webhooks.c.failing_since_ms.is_not(None), "failing"), else_="on")
    unanswered = (text(UNHANDLED), messages.c.direction == Direction.IN.value)

    def kinds(query: Select[Any]) -> Kinds:
        return {(row[0],): row[1] for row in connection.execute(query)}

    def number(query: Select[Any]) -> int:
        return connection.scalar(query) or 0

    at_ms = now_ms()
    waiting = connection.execute(waiting_since(at_ms)).all()
    oldest_ms = min((since_ms for _, _, since_ms in waiting), default=at_ms)
    return StoredFigures(
        read_at=time.monotonic(),
        stats=stats,
        orders_waiting=sum(count for _, count, _ in waiting),
        oldest_order_wait_seconds=(at_ms - oldest_ms) / 1000,
        outbox=kinds(select(outbox.c.outcome, count).where(text(OUTBOX_OPEN)).group_by(outbox.c.outcome)),
        incidents=kinds(select(incidents.c.kind, count).where(*is_open).group_by(incidents.c.kind)),
        order_problems=kinds(
            select(incidents.c.detail, count)
            .where(*is_open, incidents.c.kind.in_(_OF_ORDERS))
            .group_by(incidents.c.detail)
        ),
        units_free=kinds(
            select(goods.c.kind, func.sum(stock.c.count))
            .join_from(goods, stock, goods.c.id == stock.c.goods_id)
            .group_by(goods.c.kind)
        ),
        webhooks=kinds(select(webhook, count).group_by(webhook)),
        messages_waiting=number(select(count).select_from(messages).where(*unanswered)),
        notices_waiting=number(select(count).select_from(notices).where(text(TO_SEND))),
        drafts_waiting=number(select(count).select_from(ai_runs).where(text(OPEN_RUN), ai_runs.c.state == _DRAFTED)),
        providers_resting=number(
            select(count).select_from(ai_provider_states).where(ai_provider_states.c.resting_until_ms > now_ms())
        ),
        model_budget_used=_budget_used(connection),
    )


def _budget_used(connection: Connection) -> float:
    """Return the largest share of its money of the day in China that a provider with a limit has spent; at most 1."""
    day, state = day_of("", now_ms()), ai_provider_states.c
    checks = case((state.checks_day == day, state.checks_cost_microfen), else_=0)
    query = (
        select(ai_providers.c.fen_per_day, checks, func.sum(ai_usage.c.cost_microfen))
        .join_from(ai_providers, ai_provider_states, state.provider_id == ai_providers.c.id)
        .outerjoin(ai_usage, and_(ai_usage.c.provider_id == ai_providers.c.id, ai_usage.c.day == day))
        .where(ai_providers.c.fen_per_day.is_not(None))
        .group_by(ai_providers.c.id, ai_providers.c.fen_per_day, state.checks_day, state.checks_cost_microfen)
    )
    shares = (
        (int(of_checks) + int(of_shops or 0)) / (limit * MICROFEN) if limit else 1.0
        for limit, of_checks, of_shops in connection.execute(query)
    )
    return min(1.0, max(shares, default=0.0))
