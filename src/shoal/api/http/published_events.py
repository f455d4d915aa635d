"""Events as their readers get them: made into JSON once, for every stream and every open console."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import WeakKeyDictionary

import msgspec

from shoal.accounts.account import Account
from shoal.accounts.events import (
    AccountChanged,
    AccountStateChanged,
    IncidentMoved,
    MessageEvent,
    StockChanged,
    StreamEvent,
)
from shoal.accounts.journal import JournalEntry
from shoal.accounts.positions import EventId, Position, Stream
from shoal.api.schemas.responses import action_of, maybe_rfc3339, rfc3339
from shoal.streams.stored_events import StoredEvent


@dataclass(slots=True)
class PublishedEvent:
    """One event for its readers, who all get the same bytes.

    ``rev`` is that of a change or a snapshot. ``position``: after which a reader resumes who got it. ``account_id`` and
    ``owner_id`` name the account that the event is about; both are empty when the event is about all accounts, and only
    the id is when it is about that user, or ``OF_SERVER``. ``place``: of the row, where it names one. ``accounts``:
    those of a snapshot, which each reader gets as rows of its own (``event_feed.row_slices``).
    """

    body: dict[str, Any]
    position: Position | None = None
    rev: int | None = None
    account_id: str = ""
    owner_id: int = 0
    place: EventId | None = None
    accounts: Sequence[Account] | None = None
    _chunk: bytes = field(default=b"", init=False, repr=False)

    def chunk(self) -> bytes:
        """Return the event as a stream sends it."""
        if not self._chunk:
            self._chunk = b"%bdata: %b\n\n" % (self.head(), msgspec.json.encode(self.body))
        return self._chunk

    def head(self) -> bytes:
        """Return the line before the data."""
        return b"" if self.position is None else b"id: %b\n" % str(self.position).encode()

    def json(self) -> msgspec.Raw:
        """Return the event as JSON."""
        return msgspec.Raw(memoryview(self.chunk())[len(self.head()) + len(b"data: ") : -len(b"\n\n")])


_made: Final[WeakKeyDictionary[StreamEvent, PublishedEvent]] = WeakKeyDictionary()
"""What was made of an event, as long as the event waits for some reader."""


def published(event: StreamEvent, position: Position) -> PublishedEvent:
    """Return an event as its readers get it: the same object for each of them."""
    made = _made.get(event)
    if made is None:
        made = _made[event] = _publish(event, position)
    return made


def published_entry(entry: JournalEntry, position: Position) -> PublishedEvent:
    """Return a change from the journal as a reader gets it."""
    return PublishedEvent(_change(entry), position, entry.rev, entry.account_id, entry.owner_id)


def published_stored(event: StoredEvent, owner_id: int, position: Position) -> PublishedEvent:
    """Return an event that was read again, as a reader gets it. ``owner_id``: of its account now."""
    account_id, at_ms = event.account_id, event.at_ms
    if event.kind == "incident":
        body = _incident(account_id, event.facts, at_ms)
    else:
        kind = "order" if event.kind == "delivery" else event.kind
        body = _talk(MessageEvent(account_id=account_id, kind=kind, key="", facts=event.facts, at_ms=at_ms))
    return PublishedEvent(body, position, None, account_id, owner_id, event.id)


def _publish(event: StreamEvent, position: Position) -> PublishedEvent:
    if isinstance(event, AccountChanged):
        return published_entry(event.entry, position)
    if isinstance(event, StockChanged):
        body = {"type": "stock", "account": "", "goods_id": event.goods_id, "at": rfc3339(event.at_ms)}
        return PublishedEvent(body, position, None, "", event.owner_id)
    if isinstance(event, IncidentMoved):
        facts = {name: getattr(event, name) for name in ("incident_id", "phase", "kind", "detail")}
        body = _incident(event.account_id, facts, event.at_ms)
        place = EventId(Stream.INCIDENTS, event.event_id)
        return PublishedEvent(body, position, None, event.account_id, event.owner_id, place)
    if isinstance(event, MessageEvent):
        return PublishedEvent(_talk(event), position, None, event.account_id, event.owner_id, event.place)
    return PublishedEvent(_state(event), position, None, event.account_id, event.owner_id)


def _incident(account_id: str, facts: Mapping[str, Any], at_ms: int) -> dict[str, Any]:
    named = {"incident_id": facts["incident_id"], "phase": facts["phase"], "kind": facts["kind"]}
    return {"type": "incident", "account": account_id, **named, "reason": facts["detail"], "at": rfc3339(at_ms)}


def _change(entry: JournalEntry) -> dict[str, Any]:
    return {
        "type": "change",
        "rev": entry.rev,
        "account": entry.account_id,
        "generation": entry.generation,
        "changes": entry.changes,
        "actor": entry.actor,
        "origin": entry.origin,
        "at": rfc3339(entry.at_ms),
    }


def _talk(event: MessageEvent) -> dict[str, Any]:
    facts = {
        name.removesuffix("_ms"): maybe_rfc3339(value) if name.endswith("_ms") else value
        for name, value in event.facts.items()
    }
    return {"type": event.kind, "account": event.account_id, **facts, "at": rfc3339(event.at_ms)}


def _state(event: AccountStateChanged) -> dict[str, Any]:
    seen = event.observation
    link, text = action_of(seen)
    return {
        "type": "state",
        "account": event.account_id,
        "state": seen.state.value,
        "reason": seen.reason,
        "since": rfc3339(seen.since_ms),
        "next_attempt_at": maybe_rfc3339(seen.next_attempt_at_ms),
        "action_url": link,
        "action_text": text,
        "observed_generation": seen.observed_generation,
        "at": rfc3339(event.at_ms),
    }
