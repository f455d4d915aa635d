"""Events as their readers get them: made into JSON once, for every stream and every open console."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import WeakKeyDictionary

import msgspec

from shoal.accounts.account import Account
from shoal.accounts.events import AccountChanged, AccountStateChanged, MessageEvent, StockChanged
from shoal.accounts.journal import JournalEntry
from shoal.api.schemas.responses import action_of, maybe_rfc3339, rfc3339

AccountEvent = AccountChanged | AccountStateChanged | MessageEvent | StockChanged


@dataclass(slots=True)
class PublishedEvent:
    """One event for its readers, who all get the same bytes.

    ``rev`` is the cursor to resume after it; ``None`` for an event without a revision. ``account_id`` and ``owner_id``
    name the account that the event is about; both are empty when the event is about all accounts, and only the id is
    when it is about the goods of that owner. ``accounts``: those of a snapshot, which each reader gets as rows of its
    own (``event_feed.row_slices``).
    """

    body: dict[str, Any]
    rev: int | None = None
    account_id: str = ""
    owner_id: int = 0
    accounts: Sequence[Account] | None = None
    _chunk: bytes = field(default=b"", init=False, repr=False)

    def chunk(self) -> bytes:
        """Return the event as a stream sends it."""
        if not self._chunk:
            self._chunk = b"%bdata: %b\n\n" % (self.head(), msgspec.json.encode(self.body))
        return self._chunk

    def head(self) -> bytes:
        """Return the line before the data."""
        return b"" if self.rev is None else b"id: %d\n" % self.rev

    def json(self) -> msgspec.Raw:
        """Return the event as JSON."""
        return msgspec.Raw(memoryview(self.chunk())[len(self.head()) + len(b"data: ") : -len(b"\n\n")])


_made: Final[WeakKeyDictionary[AccountEvent, PublishedEvent]] = WeakKeyDictionary()
"""What was made of an event, as long as the event waits for some reader."""


def published(event: AccountEvent) -> PublishedEvent:
    """Return an event as its readers get it: the same object for each of them."""
    made = _made.get(event)
    if made is None:
        made = _made[event] = _publish(event)
    return made


def published_entry(entry: JournalEntry) -> PublishedEvent:
    """Return a change from the journal as a reader gets it."""
    return PublishedEvent(_change(entry), entry.rev, entry.account_id, entry.owner_id)


def _publish(event: AccountEvent) -> PublishedEvent:
    if isinstance(event, AccountChanged):
        return published_entry(event.entry)
    if isinstance(event, StockChanged):
        body = {"type": "stock", "account": "", "goods_id": event.goods_id, "at": rfc3339(event.at_ms)}
        return PublishedEvent(body, None, "", event.owner_id)
    body = _talk(event) if isinstance(event, MessageEvent) else _state(event)
    return PublishedEvent(body, None, event.account_id, event.owner_id)


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
