"""Webhooks as rows: which have something to post, what comes next, and how that ended. Each is one transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, RowMapping, and_, not_, or_, select, update

from shoal.accounts.positions import EventId, Position
from shoal.auth.users import USER_COLUMNS, User, user_of
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.incident_rows import Opening, open_incidents, webhook_subject
from shoal.storage.notice_tables import webhooks
from shoal.storage.user_tables import users
from shoal.streams.stored_events import KINDS, StoredEvent, newest, read_after, streams_of
from shoal.webhooks.posted_bodies import is_forgotten
from shoal.webhooks.short_turns import readable, short_turns
from shoal.webhooks.webhooks import Attempt, add_attempts, listed

PAGE: Final = 100
"""How many events are read at once."""
FIRST_TRY_AGAIN_MS: Final = 5_000
LONGEST_TRY_AGAIN_MS: Final = 3_600_000
REFUSED_TRY_AGAIN_MS: Final = 300_000
"""The same while the receiver refuses an event: with each try the other accounts' newer events are posted too."""
PASS_OVER_MS: Final = 24 * 3_600_000
"""After which time an event that the receiver refuses is passed over."""
SWITCH_OFF_MS: Final = 3 * 24 * 3_600_000
"""After which time a receiver at which nothing arrives is switched off."""
GONE: Final = 410
"""The status by which a receiver says that it wants no more, for ever."""
REFUSED: Final = frozenset({400, 405, 406, 409, 411, 413, 414, 415, 422, 431})
"""Statuses that speak of the event, not of the receiver."""
_PRESENT = and_(webhooks.c.active, users.c.active, not_(users.c.leaving))


class Page(msgspec.Struct, frozen=True):
    """What a webhook posts next, after ``start``. ``row``: its columns; ``user``: whose it is."""

    row: RowMapping
    user: User
    start: Position
    kinds: frozenset[str]
    accounts: frozenset[str]
    events: tuple[StoredEvent, ...]
    left_out: frozenset[EventId] = frozenset()
    """Events that are posted to nobody: a turn that was over within seconds, or of a buyer who was forgotten."""

    @property
    def is_last(self) -> bool:
        """Whether nothing follows it now."""
        return len(self.events) < PAGE

    @property
    def end(self) -> Position:
        """The position after its last event."""
        position = self.start
        for event in self.events:
            position = position.reached(*event.id)
        return position

    def wants(self, event: StoredEvent) -> bool:
        """Return whether the webhook asks for the event."""
        of_webhook = event.kind in self.kinds and (not self.accounts or event.account_id in self.accounts)
        return of_webhook and event.id not in self.left_out


@dataclass(frozen=True, slots=True)
class Result:
    """How far a page came. ``position``: after what arrived or was left out; ``failed``: the first call that failed."""

    position: Position
    attempts: tuple[Attempt, ...]
    failed: Attempt | None = None
    failed_position: Position | None = None
    """After the event that failed, when everything before it is settled."""
    retry_after: float | None = None
    refused_of: frozenset[str] = frozenset()
    """The accounts of which the receiver refused an event, when it took or refused all that it was called with."""


Looked = tuple[int, Position]
"""A version of a webhook, and up to where nothing was found to post for it."""


def webhooks_with_work(
    connection: Connection, now_ms: int, looked: Mapping[int, Looked], until: Position | None = None
) -> list[int]:
    """Return the webhooks that may have something to post now; with ``until`` nothing beyond that position."""
    columns = (webhooks.c.id, webhooks.c.kinds, webhooks.c.position, webhooks.c.version)
    is_due = or_(webhooks.c.due_at_ms.is_(None), webhooks.c.due_at_ms <= now_ms)
    query = select(*columns).join(users, users.c.id == webhooks.c.user_id).where(_PRESENT, is_due)
    rows = connection.execute(query.order_by(webhooks.c.id)).all()
    if not rows:
        return []
    end = newest(connection) if until is None else until
    return [row.id for row in rows if _is_behind(_start(row, looked.get(row.id)), end, listed(row.kinds) or KINDS)]


def _start(row: Any, looked: Looked | None) -> Position:
    stored = Position.of(row.position)
    if looked is None or looked[0] != row.version:
        return stored
    return Position._make(max(one or 0, other or 0) for one, other in zip(stored, looked[1], strict=True))


def _is_behind(position: Position, end: Position, kinds: Collection[str]) -> bool:
    return any((position.last(stream) or 0) < (end.last(stream) or 0) for stream in streams_of(kinds))


def next_page(
    connection: Connection, webhook_id: int, looked: Looked | None, now_ms: int, until: Position | None = None
) -> Page | None:
    """Return what a webhook posts next, with ``until`` nothing beyond that; ``None`` when it, or its user, is off or
    gone."""
    query = select(webhooks).join(users, users.c.id == webhooks.c.user_id)
    found = connection.execute(query.where(_PRESENT, webhooks.c.id == webhook_id)).one_or_none()
    if found is None:
        return None
    row, start = found._mapping, _start(found, looked)  # noqa: SLF001  the public way to a row's mapping
    kinds = frozenset(listed(row["kinds"]) or KINDS)
    until = readable(connection, start, until, streams_of(kinds), now_ms)
    events = read_after(connection, start, limit=PAGE, kinds=kinds, until=until)
    left_out = short_turns(connection, [event.id for event in events])
    left_out |= {event.id for event in events if is_forgotten(event)}
    whose = select(*USER_COLUMNS).where(users.c.id == row["user_id"])
    user = user_of(connection.execute(whose).mappings().one())
    return Page(row, user, start, kinds, frozenset(listed(row["accounts"])), tuple(events), left_out)


def page_after(connection: Connection, page: Page, now_ms: int, until: Position | None = None) -> Page | None:
    """Return what follows a page; ``None`` when the webhook is not as it was, or ``next_page`` returns none."""
    following = next_page(connection, page.row["id"], (page.row["version"], page.end), now_ms, until)
    return following if following is not None and following.row["version"] == page.row["version"] else None


def note_beyond(connection: Connection, page: Page, attempts: Collection[Attempt], now_ms: int) -> bool:
    """Store calls beyond an event that is refused: the position stays. Return whether the webhook is as it was."""
    mine = (webhooks.c.id == page.row["id"], webhooks.c.version == page.row["version"], webhooks.c.active)
    has_arrived = any(attempt.arrived for attempt in attempts)
    values = {"arrived_at_ms": now_ms, "failing_since_ms": now_ms} if has_arrived else {}
    as_it_was = update(webhooks).where(*mine).values(version=webhooks.c.version, **values)
    if connection.execute(as_it_was).rowcount != 1:
        return False
    add_attempts(connection, page.row["id"], attempts)
    return True


def settle(connection: Connection, page: Page, result: Result, host: str, now_ms: int) -> str:
    """Store how far a page came. Return why the webhook was switched off by that, if it was.

    A webhook that was replayed, changed or removed in the meantime stays as it is.
    """
    webhook_id, row = page.row["id"], page.row
    mine = (webhooks.c.id == webhook_id, webhooks.c.version == row["version"], webhooks.c.position == row["position"])
    values, off = _after(row, result, now_ms)
    if connection.execute(update(webhooks).where(*mine).values(values)).rowcount != 1:
        return ""
    add_attempts(connection, webhook_id, result.attempts)
    if off:
        opening = Opening(
            subject=webhook_subject(webhook_id),
            kind=IncidentKind.WEBHOOK_OFF,
            at_ms=now_ms,
            user_id=row["user_id"],
            detail=off,
            facts={"host": host},
        )
        open_incidents(connection, [opening])
    return off


def _after(row: RowMapping, result: Result, now_ms: int) -> tuple[dict[str, Any], str]:
    values: dict[str, Any] = {"position": str(result.position)}
    has_arrived = any(attempt.arrived for attempt in result.attempts)
    fresh = {"tries": 0, "failing_since_ms": None, "tried_since_ms": None, "due_at_ms": None}
    if has_arrived:
        values |= {**fresh, "arrived_at_ms": now_ms}
    if result.failed is None:
        return (values if has_arrived or row["tries"] == 0 else {**values, **fresh}), ""
    moved = values["position"] != row["position"]
    tries = 1 if moved else row["tries"] + 1
    since_ms = now_ms if has_arrived or row["failing_since_ms"] is None else row["failing_since_ms"]
    tried_ms = now_ms if moved or row["tried_since_ms"] is None else row["tried_since_ms"]
    if result.failed.status in REFUSED and now_ms - tried_ms >= PASS_OVER_MS and result.failed_position is not None:
        return {**values, **fresh, "position": str(result.failed_position), "failing_since_ms": since_ms}, ""
    longest_ms = REFUSED_TRY_AGAIN_MS if result.refused_of else LONGEST_TRY_AGAIN_MS
    wait_ms = min(FIRST_TRY_AGAIN_MS << min(tries - 1, 20), longest_ms)
    asked_ms = round((result.retry_after or 0.0) * 1000)
    values |= {
        "tries": tries,
        "failing_since_ms": since_ms,
        "tried_since_ms": tried_ms,
        "due_at_ms": now_ms + max(wait_ms, asked_ms),
    }
    off = "gone" if result.failed.status == GONE else "down" if now_ms - since_ms >= SWITCH_OFF_MS else ""
    return ({**values, "active": False, "off_reason": off, "due_at_ms": None} if off else values), off
