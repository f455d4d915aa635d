"""Counts received messages, sent replies and failed ones, in equal time spans."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, Table, case, func, select

from shoal.messages.message_log import Direction
from shoal.messages.outbox_rows import SendOutcome
from shoal.storage.among import among
from shoal.storage.database import Database
from shoal.storage.schema import messages, outbox

_FAILED = (SendOutcome.REFUSED.value, SendOutcome.UNCERTAIN.value)


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """One time span starting at ``from_ms``: buyers' ``messages``, answers ``sent``, answers ``failed``.

    An answer of several parts counts once, by its first part. Refused and uncertain both count as failed.
    """

    from_ms: int
    messages: int = 0
    sent: int = 0
    failed: int = 0


async def activity(
    database: Database, account_ids: Sequence[str], *, since_ms: int, until_ms: int, span_ms: int
) -> list[Span]:
    """Return all spans from ``since_ms`` that begin before ``until_ms``, including empty ones."""

    def job(connection: Connection) -> list[Span]:
        counts: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
        came = _counted(messages, account_ids, since_ms, until_ms, span_ms, func.count())
        for slot, count in connection.execute(came.where(messages.c.direction == Direction.IN.value)):
            counts[slot][0] = count
        sent = func.sum(case((outbox.c.outcome == SendOutcome.SENT.value, 1), else_=0))
        failed = func.sum(case((outbox.c.outcome.in_(_FAILED), 1), else_=0))
        left = _counted(outbox, account_ids, since_ms, until_ms, span_ms, sent, failed)
        for slot, good, bad in connection.execute(left.where(outbox.c.part == 0)):
            counts[slot][1:] = [good, bad]
        slots = range((until_ms - since_ms + span_ms - 1) // span_ms)
        return [
            Span(
                from_ms=since_ms + slot * span_ms,
                messages=counts[slot][0],
                sent=counts[slot][1],
                failed=counts[slot][2],
            )
            for slot in slots
        ]

    return await database.read(job)


def _counted(
    table: Table, account_ids: Sequence[str], since_ms: int, until_ms: int, span_ms: int, *what: ColumnElement[int]
) -> Select[Any]:
    slot = ((table.c.created_at_ms - since_ms) // span_ms).label("slot")
    return (
        select(slot, *what)
        .where(among(table.c.account_id, account_ids))
        .where(table.c.created_at_ms >= since_ms, table.c.created_at_ms < until_ms)
        .group_by(slot)
    )
