"""Events as one node sends them to another: a line of JSON holds those that waited, and how far all were sent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import msgspec

from shoal.accounts.events import AccountStateChanged, Event, IncidentMoved, MessageEvent, StockChanged
from shoal.accounts.positions import EventId, Position, Stream

_KINDS: Final[dict[str, type[AccountStateChanged | MessageEvent | StockChanged | IncidentMoved]]] = {
    "state": AccountStateChanged,
    "talk": MessageEvent,
    "stock": StockChanged,
    "incident": IncidentMoved,
}
_NAMES: Final[dict[type[Any], str]] = {kind: name for name, kind in _KINDS.items()}


class _Line(msgspec.Struct):
    events: list[tuple[str, dict[str, Any]]] = []
    told: str = ""
    newest: str = ""


class Line(NamedTuple):
    """What a node sends."""

    events: list[Event]
    position: Position
    """Up to where this line and those before have all its events with rows."""
    newest: Position
    """The newest of its events with rows, also of those that it published before the first line."""


def line_of(events: Iterable[Event], position: Position, newest: Position) -> bytes:
    """Return a line without its end."""
    rows = [(_NAMES[type(event)], msgspec.to_builtins(event)) for event in events if type(event) in _NAMES]
    return msgspec.json.encode(_Line(events=rows, told=str(position), newest=str(newest)))


def read_line(line: bytes) -> Line:
    """Return what a line holds. Raises ``ValueError``. A kind that only a newer version knows is left out."""
    found = msgspec.json.decode(line, type=_Line)
    events = [_event(_KINDS[name], facts) for name, facts in found.events if name in _KINDS]
    return Line(events, Position.of(found.told), Position.of(found.newest))


def _event(kind: type[Any], facts: dict[str, Any]) -> Event:
    place = facts.get("place")
    if place is not None:
        facts["place"] = EventId(Stream(place[0]), int(place[1]))
    event: Event = msgspec.convert(facts, kind) if kind is not MessageEvent else MessageEvent(**facts)
    return event
