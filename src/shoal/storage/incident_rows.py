"""Incidents as rows: opened and closed within the transaction that stores the fact.

One row stands for a subject and a kind until its end is reported. What comes again is counted in it; what comes back
before its end is reported goes on in it. Nothing here reads: the callers know from what they store whether anything
begins or ends, and do not call otherwise. Where something began or ended, a row of ``incident_events`` says so too.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, RowMapping, bindparam, case, cast, delete, func, null, text, update

from shoal.accounts.events import IncidentMoved
from shoal.storage.among import among_bound
from shoal.storage.incident_kinds import POLICIES, IncidentKind
from shoal.storage.notice_tables import LIVE, incident_events, incidents
from shoal.storage.touched import name_incident
from shoal.storage.upserts import insert_for, insert_new

SERVER: Final = "server"
"""The subject of what concerns the whole server."""
REMIND_AFTER_MS: Final = 24 * 3_600_000
"""After which time those who were notified of an incident are reminded of it, once."""
KNOWN: Final = incidents.c.kind.in_(list(IncidentKind))
"""The condition of incidents that this version can report, without those that a later version stored."""

_TURNED: Final = [incidents.c[name] for name in ("id", "kind", "detail", "account_id", "user_id", "turned_at_ms")]


def account_subject(account_id: str) -> str:
    """Return the subject of an account."""
    return f"account:{account_id}"


def order_subject(account_id: str, order_id: str) -> str:
    """Return the subject of an order. An account's id has no slash."""
    return f"order:{account_id}/{order_id}"


def chat_subject(account_id: str, chat_id: str) -> str:
    """Return the subject of a chat."""
    return f"chat:{account_id}/{chat_id}"


def user_subject(user_id: int) -> str:
    """Return the subject of a user."""
    return f"user:{user_id}"


def channel_subject(channel_id: int) -> str:
    """Return the subject of a channel."""
    return f"channel:{channel_id}"


def goods_subject(goods_id: int) -> str:
    """Return the subject of goods."""
    return f"goods:{goods_id}"


def webhook_subject(webhook_id: int) -> str:
    """Return the subject of a webhook."""
    return f"webhook:{webhook_id}"


def provider_subject(provider_id: int) -> str:
    """Return the subject of a provider of language models."""
    return f"provider:{provider_id}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Opening:
    """The beginning of an incident, or one more time of it. One that is not later than the last is no further time.

    ``account_id``: those who see this account are notified; without one the user ``user_id``; without both
    administrators. ``detail``: a word that chooses the sentence. ``facts``: what it names; no words of buyers.
    """

    subject: str
    kind: IncidentKind
    at_ms: int
    account_id: str | None = None
    user_id: int | None = None
    detail: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


def open_incidents(connection: Connection, openings: Sequence[Opening]) -> None:
    """Open incidents, or count one more time of those that are there. Each subject and kind at most once."""
    if openings:
        rows = sorted((_row(opening) for opening in openings), key=lambda row: (row["subject"], row["kind"]))
        found = connection.execute(_opening(connection.dialect.name), rows).mappings().all()
        _note_turns(connection, "opened", [row for row in found if row["turned_at_ms"] == row["last_at_ms"]])


def close_incidents(
    connection: Connection,
    subjects: Collection[str],
    kinds: Collection[IncidentKind],
    at_ms: int,
    *,
    is_well: bool = True,
) -> int:
    """Close the open incidents of these kinds of these subjects. Return how many there were.

    Not ``is_well``: something else ended them than that all is well again, so their end is not reported. That also
    holds for those whose end was to be reported soon.
    """
    if not subjects or not kinds:
        return 0
    values = {"at": at_ms, "subjects": json.dumps(sorted(subjects))}
    closed = connection.execute(_closing(tuple(sorted(kinds)), is_well=is_well), values).mappings().all()
    _note_turns(connection, "closed", closed)
    return len(closed)


def _note_turns(connection: Connection, phase: str, turned: Sequence[RowMapping]) -> None:
    """Note that incidents were opened or closed. One that had been closed at that time already is noted once."""
    if not turned:
        return
    rows = {
        row["id"]: {"incident_id": row["id"], "phase": phase, "at_ms": row["turned_at_ms"]}
        for row in sorted(turned, key=lambda row: row["id"])
    }
    added = insert_new(connection, incident_events, "incident_id", "phase", "at_ms")
    new = connection.execute(added.returning(incident_events.c.id, incident_events.c.incident_id), list(rows.values()))
    event_ids = {row.incident_id: row.id for row in new}
    for row in turned:
        if row["id"] in event_ids:
            name_incident(
                connection,
                IncidentMoved(
                    event_id=event_ids[row["id"]],
                    incident_id=row["id"],
                    phase=phase,
                    kind=row["kind"],
                    detail=row["detail"],
                    account_id=row["account_id"] or "",
                    user_id=row["user_id"],
                    at_ms=row["turned_at_ms"],
                ),
            )


def forget_incidents_of(connection: Connection, user_id: int) -> int:
    """Delete the incidents of a user who is being removed: of goods and sign-ins. Return how many there were."""
    mine = (incidents.c.user_id == user_id, incidents.c.account_id.is_(None))
    return connection.execute(delete(incidents).where(*mine)).rowcount


@cache
def _closing(kinds: tuple[IncidentKind, ...], *, is_well: bool) -> Any:
    table, at = incidents.c, bindparam("at", type_=BigInteger)
    ending = {kind.value: policy.end_hold_ms for kind, policy in POLICIES.items() if kind in kinds and policy.has_end}
    ending = ending if is_well else {}
    due: Any = cast(null(), BigInteger)
    if ending:
        due = case(*((table.kind == kind, at + hold_ms) for kind, hold_ms in ending.items()), else_=due)
    mine: list[Any] = [text(LIVE), among_bound(table.subject, "subjects"), table.kind.in_(kinds)]
    if is_well:
        mine.append(table.closed_at_ms.is_(None))
    return (
        update(incidents)
        .where(*mine)
        .values(
            closed_at_ms=func.coalesce(table.closed_at_ms, case((at > table.last_at_ms, at), else_=table.last_at_ms)),
            due_at_ms=due,
            turned_at_ms=case(
                (table.closed_at_ms.is_not(None), table.turned_at_ms),
                (at > table.last_at_ms, at),
                else_=table.last_at_ms,
            ),
            over=table.kind.not_in(ending),
        )
        .returning(*_TURNED)
    )


def _row(opening: Opening) -> dict[str, Any]:
    policy = POLICIES[opening.kind]
    return {
        "subject": opening.subject,
        "kind": opening.kind.value,
        "account_id": opening.account_id,
        "user_id": opening.user_id,
        "opened_at_ms": opening.at_ms,
        "last_at_ms": opening.at_ms,
        "closed_at_ms": opening.at_ms if policy.is_event else None,
        "turned_at_ms": opening.at_ms,
        "due_at_ms": opening.at_ms + policy.hold_ms,
        "detail": opening.detail,
        "facts": json.dumps(opening.facts, ensure_ascii=False, separators=(",", ":")) if opening.facts else "",
    }


@cache
def _opening(dialect: str) -> Any:
    statement, table = insert_for(dialect, incidents), incidents.c
    new = statement.excluded
    holds = [(table.kind == kind.value, policy.hold_ms) for kind, policy in POLICIES.items() if policy.hold_ms]
    began = table.opened_at_ms + case(*holds, else_=0)
    comes_back = table.closed_at_ms.is_not(None) & new.closed_at_ms.is_(None)
    renewed = statement.on_conflict_do_update(
        index_elements=[table.subject, table.kind],
        index_where=text(LIVE),
        set_={
            "last_at_ms": case((new.last_at_ms > table.last_at_ms, new.last_at_ms), else_=table.last_at_ms),
            "count": table.count + 1,
            "detail": new.detail,
            "facts": new.facts,
            "closed_at_ms": new.closed_at_ms,
            "turned_at_ms": case((comes_back, new.turned_at_ms), else_=table.turned_at_ms),
            "due_at_ms": case(
                (~comes_back, table.due_at_ms),
                (table.told_at_ms.is_(None), began),
                else_=table.told_at_ms + REMIND_AFTER_MS,
            ),
        },
        where=(new.last_at_ms > table.last_at_ms) | comes_back,  # the clock may have been set back since
    )
    return renewed.returning(*_TURNED, table.last_at_ms)
