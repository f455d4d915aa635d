"""Plans notices: looks at the incidents that are due, and adds a notice for each channel that is notified."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import structlog
from sqlalchemy import BigInteger, Connection, bindparam, exists, func, select, text, update

from shoal.notices.audience import ChannelToNotify, channels_to_notify
from shoal.notices.plans import NoticeState, Phase, notified_from_ms, passes_quiet_hours
from shoal.storage.incident_kinds import POLICIES, IncidentKind
from shoal.storage.incident_rows import REMIND_AFTER_MS
from shoal.storage.notice_tables import TO_PLAN, incidents, notices
from shoal.storage.upserts import insert_new

log = structlog.get_logger("shoal.notices")

AT_ONCE: Final = 20
"""How many incidents one transaction plans. With ten channels each that takes the writer some 30 ms."""
SHORTEST_MS: Final = 5_000
"""What was over sooner is not reported, whatever its kind, unless it was reported by then."""
_IS_DUE = select(exists().where(text(TO_PLAN), incidents.c.due_at_ms <= bindparam("now_ms", type_=BigInteger)))
_DAY_MS: Final = 24 * 3_600_000
_LOOK_AGAIN_MS: Final = 1_000
_AFTER_DEFECT_MS: Final = 3_600_000
_NOTIFIED = frozenset({NoticeState.SENT, NoticeState.UNCERTAIN})


def is_anything_due(connection: Connection, now_ms: int) -> bool:
    """Return whether an incident must be planned now."""
    return bool(connection.scalar(_IS_DUE, {"now_ms": now_ms}))


def plan_due(connection: Connection, now_ms: int) -> int:
    """Plan the notices of the incidents that are due. Return how many incidents there were."""
    due = select(incidents).where(text(TO_PLAN), incidents.c.due_at_ms <= now_ms).order_by(incidents.c.due_at_ms)
    rows = connection.execute(due.limit(AT_ONCE)).mappings().all()
    for row in rows:
        try:
            values = _planned(connection, row, now_ms)
        except (LookupError, TypeError, ValueError):  # a defect of one keeps no other from being reported
            log.exception("an incident cannot be planned", incident=row["id"])
            values = {"due_at_ms": now_ms + _AFTER_DEFECT_MS}
        connection.execute(update(incidents).where(incidents.c.id == row["id"]).values(values))
    return len(rows)


def _planned(connection: Connection, row: Any, now_ms: int) -> dict[str, Any]:
    """Add the notices of one incident; return the columns that change with it."""
    policy, is_open = POLICIES[IncidentKind(row["kind"])], row["closed_at_ms"] is None
    over: dict[str, Any] = {"over": True, "due_at_ms": None}
    if row["told_at_ms"] is None:
        is_over = not is_open and not policy.is_event
        times_before = _times_notified(connection, row, now_ms) if policy.heals else 0
        from_ms = notified_from_ms(policy, row["opened_at_ms"], times_before)
        if is_over and row["closed_at_ms"] < max(from_ms, row["opened_at_ms"] + SHORTEST_MS):
            return over
        if from_ms > now_ms:
            return {"due_at_ms": from_ms}
        if policy.rest_ms and _was_notified(connection, row, now_ms - policy.rest_ms):
            return over
        to_notify = channels_to_notify(connection, row["kind"], row["account_id"], row["user_id"])
        _add(connection, row, Phase.BEGIN, to_notify, now_ms)
        later = {"due_at_ms": now_ms + REMIND_AFTER_MS} if is_open else over
        return {"told_at_ms": now_ms, **later}
    states = _begun(connection, row["id"])
    if not is_open and any(state is NoticeState.SENDING for state, _ in states.values()):
        return {"due_at_ms": now_ms + _LOOK_AGAIN_MS}  # whether its end is reported depends on how that goes
    to_notify = channels_to_notify(connection, row["kind"], row["account_id"], row["user_id"])
    known = [one for one in to_notify if one.id in states and _is_notified(*states[one.id])]
    _add(connection, row, Phase.REMINDER if is_open else Phase.END, known, now_ms)
    return {"due_at_ms": None} if is_open else over


def _times_notified(connection: Connection, row: Any, now_ms: int) -> int:
    same = (incidents.c.subject == row["subject"], incidents.c.kind == row["kind"], incidents.c.id != row["id"])
    recent = (incidents.c.opened_at_ms > now_ms - _DAY_MS, incidents.c.told_at_ms.is_not(None))
    return connection.scalar(select(func.count()).select_from(incidents).where(*same, *recent)) or 0


def _was_notified(connection: Connection, row: Any, since_ms: int) -> bool:
    same = (incidents.c.subject == row["subject"], incidents.c.kind == row["kind"], incidents.c.id != row["id"])
    return bool(connection.scalar(select(exists().where(*same, incidents.c.told_at_ms > since_ms))))


def _begun(connection: Connection, incident_id: int) -> dict[int, tuple[NoticeState, bool]]:
    """Return, by channel, how far the notice of the beginning is, and whether an earlier sending may have arrived."""
    columns = (notices.c.channel_id, notices.c.state, notices.c.maybe_again, notices.c.digest_id)
    mine = select(*columns).where(notices.c.incident_id == incident_id, notices.c.phase == Phase.BEGIN)
    found = {}
    for row in connection.execute(mine).all():
        state, maybe_again = NoticeState(row.state), row.maybe_again
        if row.digest_id is not None and state is NoticeState.WAITING:
            digest = select(notices.c.state, notices.c.maybe_again).where(notices.c.id == row.digest_id)
            whole = connection.execute(digest).one()
            state, maybe_again = NoticeState(whole.state), whole.maybe_again
        found[row.channel_id] = (state, maybe_again)
    return found


def _is_notified(state: NoticeState, maybe_again: bool) -> bool:
    return state in _NOTIFIED or maybe_again


def _add(connection: Connection, incident: Any, phase: Phase, channels: Iterable[ChannelToNotify], now_ms: int) -> None:
    at_once = passes_quiet_hours(phase, POLICIES[IncidentKind(incident["kind"])].level)
    rows = [
        {
            "incident_id": incident["id"],
            "channel_id": channel.id,
            "phase": phase.value,
            "due_at_ms": now_ms if at_once or channel.quiet is None else channel.quiet.end_after(now_ms),
            "dedupe_id": f"i{incident['id']}-c{channel.id}-{phase.value}",
            "created_at_ms": now_ms,
        }
        for channel in channels
    ]
    if rows:
        connection.execute(insert_new(connection, notices, "dedupe_id"), rows)
