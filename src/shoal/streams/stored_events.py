"""Events that are stored, read in order from a position on: the rows of journal, states, messages, orders, incidents.

Nothing is stored for an event beside its row. Within a stream the order is that of the ids, between streams that of
the times.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from heapq import heappop, heappush
from typing import Any, Final

import msgspec
from sqlalchemy import Column, Connection, FromClause, Select, func, select

from shoal.accounts.positions import STREAMS, EventId, Position, Stream
from shoal.messages.message_log import Direction
from shoal.orders.order_actions import Action
from shoal.storage.history_rows import newest_rev
from shoal.storage.history_tables import journal, state_moves
from shoal.storage.notice_tables import incident_events, incidents
from shoal.storage.order_tables import order_events, orders
from shoal.storage.schema import messages

KINDS: Final = ("incident", "state", "message", "order", "delivery", "change")
"""What a reader may ask for."""
_STREAM_OF: Final = {
    "incident": Stream.INCIDENTS,
    "state": Stream.STATES,
    "message": Stream.MESSAGES,
    "order": Stream.ORDERS,
    "delivery": Stream.ORDERS,
    "change": Stream.CHANGES,
}


def streams_of(kinds: Iterable[str]) -> set[Stream]:
    """Return the streams that hold events of these kinds."""
    return {_STREAM_OF[kind] for kind in kinds}


_IDS: Final[Mapping[Stream, Column[int]]] = {
    Stream.CHANGES: journal.c.rev,
    Stream.STATES: state_moves.c.id,
    Stream.MESSAGES: messages.c.id,
    Stream.ORDERS: order_events.c.id,
    Stream.INCIDENTS: incident_events.c.id,
}
_TIMES: Final[Mapping[Stream, Column[int]]] = {
    Stream.CHANGES: journal.c.at_ms,
    Stream.STATES: state_moves.c.at_ms,
    Stream.MESSAGES: messages.c.received_at_ms,
    Stream.ORDERS: order_events.c.at_ms,
    Stream.INCIDENTS: incident_events.c.at_ms,
}


class StoredEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event. ``kind`` is one of ``KINDS``, ``type`` what happened to it. Times among the facts end in ``_ms``.

    It concerns those who see the account ``account_id`` (``owner_id``: who owned it then, where that is known), else
    the user ``user_id``, else administrators. ``posted``: the body that webhooks were sent of it, if what it says may
    change later; empty once the buyer was forgotten.
    """

    id: EventId
    kind: str
    type: str
    at_ms: int
    account_id: str = ""
    owner_id: int | None = None
    user_id: int | None = None
    posted: str | None = None
    facts: dict[str, Any]


def read_after(
    connection: Connection, after: Position, *, limit: int, kinds: Iterable[str] = KINDS, until: Position | None = None
) -> list[StoredEvent]:
    """Return the next events after a position, at most ``limit``; with ``until`` none beyond that position.

    A stream of whose past ``after`` names nothing is left out. Of each stream all is returned that is not of these
    kinds, too, so that the position passes it.
    """
    waiting: list[tuple[int, int, list[StoredEvent]]] = []
    for stream in streams_of(kinds):
        last = after.last(stream)
        if last is None:
            continue
        query = _QUERIES[stream].where(_IDS[stream] > last).order_by(_IDS[stream]).limit(limit)
        if until is not None:
            query = query.where(_IDS[stream] <= (until.last(stream) or 0))
        rows = connection.execute(query).mappings().all()
        found = [_MAKERS[stream](row) for row in reversed(rows)]
        if found:
            heappush(waiting, (found[-1].at_ms, STREAMS.index(stream), found))
    events: list[StoredEvent] = []
    while waiting and len(events) < limit:
        _, place, found = heappop(waiting)
        events.append(found.pop())
        if found:
            heappush(waiting, (found[-1].at_ms, place, found))
    return events


def newest(connection: Connection) -> Position:
    """Return the position after everything that is stored now."""
    others = (connection.scalar(select(func.max(_IDS[stream]))) or 0 for stream in STREAMS[1:])
    return Position(newest_rev(connection), *others)


def is_forgotten(connection: Connection, after: Position) -> bool:
    """Return whether messages or incidents after a position were deleted by age, or may have been."""
    for stream in (Stream.MESSAGES, Stream.INCIDENTS):
        last, oldest = after.last(stream), connection.scalar(select(func.min(_IDS[stream])))
        if last is not None and oldest is not None and last + 1 < oldest:
            return True
    return False


def position_at(connection: Connection, moment_ms: int) -> Position:
    """Return a position after which everything comes that happened at that time or later, and little more."""
    return Position._make(_last_before(connection, stream, moment_ms) for stream in STREAMS)


def position_before(connection: Connection, event: EventId, *, spread_ms: int = 0) -> Position | None:
    """Return a position after which that event comes, and everything since; ``None``: there is no such event.

    ``spread_ms``: by how much times may differ from the order of the ids.
    """
    ids, times = _IDS[event.stream], _TIMES[event.stream]
    at_ms = connection.scalar(select(times).where(ids == event.id))
    if at_ms is None:
        return None
    position = position_at(connection, at_ms - spread_ms)
    place = STREAMS.index(event.stream)
    return Position._make((*position[:place], event.id - 1, *position[place + 1 :]))


def _last_before(connection: Connection, stream: Stream, moment_ms: int) -> int:
    """Return the last id of a stream before that time, found by halving: times rise with ids."""
    ids, times = _IDS[stream], _TIMES[stream]
    low = connection.scalar(select(func.min(ids))) or 1
    high = (connection.scalar(select(func.max(ids))) or 0) + 1
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(select(ids, times).where(ids >= middle).order_by(ids).limit(1)).one()
        if row[1] < moment_ms:
            low = row[0] + 1
        else:
            high = middle
    return low - 1


# ── rows as events ────────────────────────────────────────────────────────────────────────────────────────────────

_ORDER_FACTS: Final = ("chat_id", "item_id", "buyer_id", "amount", "quantity", "problem", "created_at_ms")
_INCIDENT_FACTS: Final = ("kind", "detail", "count", "opened_at_ms", "closed_at_ms")


def _joined_orders() -> FromClause:
    mine = (orders.c.account_id == order_events.c.account_id) & (orders.c.order_id == order_events.c.order_id)
    return order_events.outerjoin(orders, mine)


_QUERIES: Final[Mapping[Stream, Select[Any]]] = {
    Stream.CHANGES: select(journal),
    Stream.STATES: select(state_moves),
    Stream.MESSAGES: select(messages),
    Stream.ORDERS: select(
        order_events, orders.c.status.label("order_status"), *(orders.c[name] for name in _ORDER_FACTS)
    ).select_from(_joined_orders()),
    Stream.INCIDENTS: select(
        incident_events,
        *(incidents.c[name] for name in (*_INCIDENT_FACTS, "account_id", "user_id", "facts")),
    ).join(incidents, incidents.c.id == incident_events.c.incident_id),
}


def _change(row: Any) -> StoredEvent:
    facts = {name: row[name] for name in ("rev", "generation", "actor", "origin")}
    return StoredEvent(
        id=EventId(Stream.CHANGES, row["rev"]),
        kind="change",
        type="change.committed",
        at_ms=row["at_ms"],
        account_id=row["account_id"],
        owner_id=row["owner_id"],
        facts={**facts, "changes": msgspec.json.decode(row["changes"])},
    )


def _state(row: Any) -> StoredEvent:
    return StoredEvent(
        id=EventId(Stream.STATES, row["id"]),
        kind="state",
        type="state.changed",
        at_ms=row["at_ms"],
        account_id=row["account_id"],
        facts={"state": row["state"], "reason": row["reason"], "since_ms": row["at_ms"]},
    )


def _message(row: Any) -> StoredEvent:
    names = ("message_id", "direction", "sender_id", "sender_name", "item_id", "content_type", "text", "created_at_ms")
    is_ours = row["direction"] in {Direction.OUT, Direction.HUMAN}
    return StoredEvent(
        id=EventId(Stream.MESSAGES, row["id"]),
        kind="message",
        type="message.sent" if is_ours else "message.received",
        at_ms=row["received_at_ms"],
        account_id=row["account_id"],
        facts={"chat": row["chat_id"], **{name: row[name] for name in names}, "decision": row["verdict"]},
    )


def _order(row: Any) -> StoredEvent:
    is_delivery = row["act"] == Action.PAID_MESSAGE
    facts = {name: row[name] for name in ("order_id", "source", "outcome", "site_at_ms", *_ORDER_FACTS)}
    status = row["status"] or row["order_status"] or ""
    return StoredEvent(
        id=EventId(Stream.ORDERS, row["id"]),
        kind="delivery" if is_delivery else "order",
        type=f"delivery.{row['outcome']}" if is_delivery else "order.updated",
        at_ms=row["at_ms"],
        account_id=row["account_id"],
        posted=row["posted"],
        facts={**facts, "status": status, "action": row["act"], "detail": row["words"]},
    )


def _incident(row: Any) -> StoredEvent:
    facts = {name: row[name] for name in _INCIDENT_FACTS}
    named = json.loads(row["facts"] or "{}")
    return StoredEvent(
        id=EventId(Stream.INCIDENTS, row["id"]),
        kind="incident",
        type=f"incident.{row['phase']}",
        at_ms=row["at_ms"],
        account_id=row["account_id"] or "",
        user_id=row["user_id"],
        posted=row["posted"],
        facts={"incident_id": row["incident_id"], "phase": row["phase"], **facts, "about": named},
    )


_MAKERS: Final[Mapping[Stream, Callable[[Any], StoredEvent]]] = {
    Stream.CHANGES: _change,
    Stream.STATES: _state,
    Stream.MESSAGES: _message,
    Stream.ORDERS: _order,
    Stream.INCIDENTS: _incident,
}
