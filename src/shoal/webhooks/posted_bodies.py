"""The bodies that webhooks are sent: an event that is posted again has the same one, byte by byte.

What an order or an incident says changes after its event, so the first body is stored beside the event's row. Bodies of
the other events follow from rows that do not change.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, bindparam, select, update

from shoal.accounts.positions import EventId, Stream
from shoal.messages.message_log import Direction
from shoal.storage.notice_tables import incident_events
from shoal.storage.order_tables import order_events
from shoal.streams.stored_events import StoredEvent

_STORED: Final = {Stream.ORDERS: order_events, Stream.INCIDENTS: incident_events}


def name_of(event: StoredEvent) -> str:
    """Return the id of an event for receivers: the same whenever it is posted, and no other event's.

    After an older backup was restored, rows get ids again that others had; the time distinguishes them.
    """
    return f"{event.id}-{event.at_ms}"


def body_of(event: StoredEvent) -> bytes:
    """Return the body for an event; of an order or incident whose body is stored that one."""
    if event.posted is not None:
        return event.posted.encode()
    facts = event.facts
    if event.kind == "message":  # what is decided, and that a person wrote, is seen later
        is_ours = event.type == "message.sent"
        facts = {name: value for name, value in facts.items() if name != "decision"}
        facts |= {"direction": Direction.OUT.value} if is_ours else {}
    named: dict[str, Any] = {"event": name_of(event), "account_id": event.account_id or None}
    return _body(event.type, event.at_ms, {**named, **facts})


def body_of_test(at_ms: int) -> bytes:
    """Return the body of a test."""
    return _body("webhook.test", at_ms, {"event": f"test-{at_ms}", "account_id": None})


def _body(kind: str, at_ms: int, data: dict[str, Any]) -> bytes:
    at = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return msgspec.json.encode({"type": kind, "timestamp": at, "data": data})


def is_unstored(event: StoredEvent) -> bool:
    """Return whether the event's body must be stored before it is posted."""
    return event.posted is None and event.id.stream in _STORED


def is_forgotten(event: StoredEvent) -> bool:
    """Return whether the event's buyer was forgotten: its body cannot be made again, so it is not posted any more."""
    if event.kind == "message":
        return not any(event.facts[name] for name in ("text", "sender_id", "sender_name"))
    return event.posted == ""


def store_bodies(connection: Connection, events: Sequence[StoredEvent]) -> dict[EventId, str]:
    """Store the bodies of events that have none; return those that are stored then, which another may have stored."""
    stored: dict[EventId, str] = {}
    for stream, table in _STORED.items():
        rows = [
            {"number": event.id.id, "body": body_of(event).decode()} for event in events if event.id.stream is stream
        ]
        if rows:
            first = update(table).where(table.c.id == bindparam("number"), table.c.posted.is_(None))
            connection.execute(first.values(posted=bindparam("body")), rows)
            mine = select(table.c.id, table.c.posted).where(table.c.id.in_([row["number"] for row in rows]))
            stored |= {EventId(stream, number): body for number, body in connection.execute(mine)}
    return stored
