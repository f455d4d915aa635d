"""Turns that are over within seconds: a connection that drops and is back is not posted to webhooks.

A state of a shop counts when it lasts ``HOLD_MS`` or is at rest, and an incident of a kind that is held before people
are notified counts when it lasts as long. What counts is posted if it differs from what counted before. All of it
follows from the rows, so a page that is read again is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Table,
    and_,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
)

from shoal.accounts.account import AccountState
from shoal.accounts.positions import EventId, Position, Stream
from shoal.storage.history_tables import state_moves
from shoal.storage.incident_kinds import POLICIES
from shoal.storage.notice_tables import incident_events, incidents
from shoal.streams.stored_events import newest

HOLD_MS: Final = 5_000
"""For how long a turn is looked at before it is posted, or not."""
_AT_REST: Final = [state.value for state in AccountState if state.at_rest]
_HELD: Final = [kind.value for kind, policy in POLICIES.items() if policy.hold_ms and not policy.is_event]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Turns:
    """The rows of a stream as turns of a subject.

    ``word``: what is the case after a turn, ``first`` what is before the first one; ``at_once``: whether a turn counts
    though the next one follows soon; ``held``: whether turns of this subject are looked at.
    """

    table: Table
    subject: str
    first: str
    word: Callable[[FromClause], ColumnElement[str]]
    at_once: Callable[[FromClause], ColumnElement[bool]]
    held: Callable[[FromClause], ColumnElement[bool]]

    def lasted(self, row: FromClause) -> ColumnElement[bool]:
        """Whether the next turn of the subject did not follow soon."""
        after = self.table.alias()
        same = and_(after.c[self.subject] == row.c[self.subject], after.c.id > row.c.id)
        next_ms = select(after.c.at_ms).where(same).order_by(after.c.id).limit(1).scalar_subquery()
        return func.coalesce(not_((next_ms - row.c.at_ms).between(0, HOLD_MS - 1)), true())

    def before(self, row: FromClause) -> ColumnElement[str]:
        """What counted last before a turn."""
        earlier = self.table.alias()
        same = and_(earlier.c[self.subject] == row.c[self.subject], earlier.c.id < row.c.id)
        counted = select(self.word(earlier)).where(same, or_(self.at_once(earlier), self.lasted(earlier)))
        last = counted.order_by(earlier.c.id.desc()).limit(1).scalar_subquery()
        return func.coalesce(last, literal(self.first))


def _is_of_held_kind(row: FromClause) -> ColumnElement[bool]:
    kind = select(incidents.c.kind).where(incidents.c.id == row.c.incident_id).scalar_subquery()
    return kind.in_(_HELD)


_TURNS: Final = {
    Stream.STATES: _Turns(
        table=state_moves,
        subject="account_id",
        first="",
        word=lambda row: row.c.state.concat(" ").concat(row.c.reason),
        at_once=lambda row: row.c.state.in_(_AT_REST),
        held=lambda _: true(),
    ),
    Stream.INCIDENTS: _Turns(
        table=incident_events,
        subject="incident_id",
        first="closed",
        word=lambda row: row.c.phase,
        at_once=lambda _: false(),
        held=_is_of_held_kind,
    ),
}


def readable(
    connection: Connection, start: Position, until: Position | None, streams: Iterable[Stream], now_ms: int
) -> Position | None:
    """Return up to where webhooks can be posted to now: ``until``, but not beyond a turn that may be over soon."""
    ends: dict[Stream, int] = {}
    for stream in _TURNS.keys() & set(streams):
        turns, last = _TURNS[stream], start.last(stream)
        row = turns.table.alias()
        is_new = and_(row.c.id > (last or 0), row.c.at_ms > now_ms - HOLD_MS, row.c.at_ms <= now_ms)
        first = connection.scalar(select(func.min(row.c.id)).where(is_new, not_(turns.at_once(row)), turns.held(row)))
        if first is not None:
            ends[stream] = first - 1
    if not ends:
        return until
    end = newest(connection) if until is None else until
    return Position._make(
        last if stream not in ends else min(last or 0, ends[stream]) for stream, last in zip(Stream, end, strict=True)
    )


def short_turns(connection: Connection, events: Collection[EventId]) -> frozenset[EventId]:
    """Return those of the events that are turns which do not count, or bring nothing new."""
    found: set[EventId] = set()
    for stream, turns in _TURNS.items():
        ids = [event.id for event in events if event.stream is stream]
        if not ids:
            continue
        row = turns.table.alias()
        counts = and_(or_(turns.at_once(row), turns.lasted(row)), turns.word(row) != turns.before(row))
        query = select(row.c.id).where(row.c.id.in_(ids), turns.held(row), not_(counts))
        found |= {EventId(stream, number) for number in connection.scalars(query)}
    return frozenset(found)
