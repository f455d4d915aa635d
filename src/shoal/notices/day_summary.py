"""The summary of a day, for users who ask for it: an incident that has no end, once a day at nine in the morning."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, and_, exists, func, not_, or_, select

from shoal.rules.schedule import DEFAULT_TIMEZONE
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.incident_rows import Opening, open_incidents, user_subject
from shoal.storage.notice_tables import channels, incidents, subscriptions
from shoal.storage.schema import accounts
from shoal.storage.user_tables import grants, users

HOUR: Final = 9
LATEST_MS: Final = 6 * 3_600_000
"""How late a summary may be, such as after a night without a server."""
_DAY_MS: Final = 24 * 3_600_000
_ASKED: Final = (
    select(channels.c.user_id, func.min(channels.c.quiet_zone).label("zone"))
    .join(users, users.c.id == channels.c.user_id)
    .join(subscriptions, subscriptions.c.channel_id == channels.c.id)
    .where(channels.c.active, users.c.active, not_(users.c.leaving), subscriptions.c.kinds.contains('"day"'))
    .group_by(channels.c.user_id)
)


def due_summaries(connection: Connection, now_ms: int) -> list[int]:
    """Return the users whose summary is due and was not made today."""
    return [
        user_id for user_id, moment_ms in _asked(connection, now_ms) if not _is_made(connection, user_id, moment_ms)
    ]


def make_summaries(connection: Connection, now_ms: int) -> int:
    """Make the summaries that are due. Return how many there were."""
    made = due_summaries(connection, now_ms)
    open_incidents(connection, [_summary(connection, user_id, now_ms) for user_id in made])
    return len(made)


def _asked(connection: Connection, now_ms: int) -> Iterator[tuple[int, int]]:
    """Yield the users who ask for a summary, and since when that of today is due."""
    for user_id, zone in connection.execute(_ASKED).all():
        local = datetime.fromtimestamp(now_ms / 1000, _zone(zone))
        moment = local.replace(hour=HOUR, minute=0, second=0, microsecond=0)
        moment_ms = round((moment if moment <= local else moment - timedelta(days=1)).timestamp() * 1000)
        if now_ms - moment_ms < LATEST_MS:
            yield user_id, moment_ms


def _zone(name: str) -> ZoneInfo:
    """Return a time zone, or that of most users when this machine does not know it."""
    with suppress(LookupError, ValueError, OSError):
        return ZoneInfo(name or DEFAULT_TIMEZONE)
    return ZoneInfo(DEFAULT_TIMEZONE)


def _is_made(connection: Connection, user_id: int, moment_ms: int) -> bool:
    mine = (incidents.c.subject == user_subject(user_id), incidents.c.kind == IncidentKind.DAY.value)
    return bool(connection.scalar(select(exists().where(*mine, incidents.c.opened_at_ms >= moment_ms))))


def _summary(connection: Connection, user_id: int, now_ms: int) -> Opening:
    granted = and_(
        grants.c.account_id == accounts.c.id,
        grants.c.user_id == user_id,
        grants.c.account_since_ms == accounts.c.created_at_ms,
    )
    shops = select(accounts.c.id).where(
        not_(accounts.c.deleted), or_(accounts.c.owner_id == user_id, exists().where(granted))
    )
    theirs: Any = or_(
        incidents.c.account_id.in_(shops), and_(incidents.c.account_id.is_(None), incidents.c.user_id == user_id)
    )
    kinds = incidents.c.kind.not_in([IncidentKind.DAY.value, IncidentKind.BUYER_WAITS.value])
    count = select(func.count()).select_from(incidents).where(theirs, kinds)
    facts = {
        "opened": connection.scalar(count.where(incidents.c.opened_at_ms > now_ms - _DAY_MS)),
        "still_open": connection.scalar(count.where(incidents.c.closed_at_ms.is_(None))),
    }
    kind = IncidentKind.DAY
    return Opening(subject=user_subject(user_id), kind=kind, at_ms=now_ms, user_id=user_id, facts=facts)
