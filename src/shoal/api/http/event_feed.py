"""One user's events in order and without a gap: a snapshot, then every later event, or an explicit reset."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from shoal.accounts.events import AccessChanged, AccountChanged, AccountStateChanged, Event, MessageEvent, Subscription
from shoal.accounts.journal import JournalEntry
from shoal.api.schemas.kept_accounts import with_accounts
from shoal.api.schemas.responses import action_of, maybe_rfc3339, rfc3339
from shoal.api.server import Server
from shoal.auth.authorization import Principal

QUEUE_LIMIT = 10_000
MISSED_LIMIT = 50_000
"""A cursor further behind gets a reset, because a snapshot is quicker to read."""
_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class SnapshotRow:
    """One account of a snapshot, as JSON."""

    account_id: str
    owner_id: int
    text: bytes


@dataclass(frozen=True, slots=True)
class PublishedEvent:
    """One event for the reader.

    ``rev`` is the cursor to resume after it; ``None`` for an event without a revision. ``account_id`` and ``owner_id``
    name the account that the event is about; empty when the event is about all accounts. ``rows``: the accounts of a
    snapshot.
    """

    body: dict[str, Any]
    rev: int | None = None
    account_id: str = ""
    owner_id: int = 0
    rows: tuple[SnapshotRow, ...] | None = None

    def as_json(self) -> bytes:
        """Return the event as JSON."""
        if self.rows is not None:
            return with_accounts(self.body, [row.text for row in self.rows])
        return msgspec.json.encode(self.body)


async def account_events(
    server: Server, who: Principal, after: int | None, *, beat_seconds: float, queue_limit: int = QUEUE_LIMIT
) -> AsyncGenerator[PublishedEvent | None, None]:
    """Yield a user's events one by one until the server stops.

    Yield ``None`` every ``beat_seconds``, and when the accounts that the reader may see have changed: the caller then
    checks whether the user is still signed in. After such a change a new snapshot follows, and no more events of an
    account that the reader lost.

    With ``after``, first yield the changes since then in order, and then the snapshot. A cursor that is too old or
    invalid, and a reader who is too slow, get a reset and a new snapshot.
    """
    batches = account_event_batches(server, who, after, beat_seconds=beat_seconds, queue_limit=queue_limit)
    async with aclosing(batches):
        async for batch in batches:
            for event in batch:
                if _is_for(server, who, event):  # still: the reader may have been slow
                    yield event
            if not batch:
                yield None


async def account_event_batches(
    server: Server, who: Principal, after: int | None, *, beat_seconds: float, queue_limit: int = QUEUE_LIMIT
) -> AsyncGenerator[list[PublishedEvent], None]:
    """Yield the same events, all waiting ones together; an empty list where ``account_events`` yields ``None``."""
    cursor = after
    while True:
        await server.kept_accounts.make_ready(server.authorization.permissions_of(who))
        with server.events.subscribe(queue_limit) as subscription:
            # The subscription starts before the snapshot, in the same turn of the event loop: no event is lost in
            # between.
            rev = server.manager.newest_rev
            snapshot = _snapshot(server, who, rev)
            sent_revs: set[int] = set()
            if cursor is not None:
                async for missed in _missed(server, who, cursor, rev):
                    sent_revs.update(event.rev for event in missed if event.rev is not None)
                    yield missed
                snapshot = _without_lost(server, who, snapshot)
            yield [snapshot]
            async for events in _live(subscription, beat_seconds):
                # A change by another machine is read from the journal before it is published, so skip it here.
                news = [event for event in _readable(server, who, events) if event.rev not in sent_revs]
                anew = _snapshot(server, who, server.manager.newest_rev) if _differs(who, events) else None
                if news:
                    yield news
                if anew is not None or not events:
                    yield []
                if anew is not None:
                    yield [_without_lost(server, who, anew)]
            if subscription.ended:
                return
        yield [PublishedEvent({"type": "reset"})]
        cursor = None


async def _live(subscription: Subscription, beat_seconds: float) -> AsyncIterator[list[Event]]:
    """Yield new events, all waiting ones at once; an empty list is the beat. End when the subscription ends."""
    loop = asyncio.get_running_loop()
    beat_at = loop.time() + beat_seconds
    while True:
        if loop.time() >= beat_at:  # the beat also comes while events keep arriving
            yield []
            beat_at = loop.time() + beat_seconds
        try:
            async with asyncio.timeout_at(beat_at):
                events = await subscription.take()
        except TimeoutError:
            continue
        if not events:
            return
        yield events


def _is_for(server: Server, who: Principal, event: PublishedEvent) -> bool:
    return not event.account_id or server.authorization.may_see(who, event.account_id, event.owner_id)


def _differs(who: Principal, events: Sequence[Event]) -> bool:
    """Return whether the accounts that the reader may see changed."""
    return any(isinstance(event, AccessChanged) and event.user_id == who.id for event in events)


def _without_lost(server: Server, who: Principal, snapshot: PublishedEvent) -> PublishedEvent:
    """Return the snapshot without accounts that the reader lost after it was taken."""
    readable = {account.id for account in server.authorization.accounts_of(who)}
    rows = snapshot.rows or ()
    kept = tuple(row for row in rows if row.account_id in readable or row.owner_id == who.id)
    return snapshot if len(kept) == len(rows) else replace(snapshot, rows=kept)


def _readable(server: Server, who: Principal, events: Sequence[Event]) -> list[PublishedEvent]:
    """Return the events that the reader may see now."""
    published = (_published(event) for event in events if not isinstance(event, AccessChanged))
    return [one for one in published if _is_for(server, who, one)]


async def _missed(server: Server, who: Principal, after: int, rev: int) -> AsyncIterator[list[PublishedEvent]]:
    """Yield the changes after ``after`` up to ``rev``, page by page, or one reset."""
    if after > rev or rev - after > MISSED_LIMIT:
        yield [PublishedEvent({"type": "reset"})]
        return
    place = after
    while place < rev:
        page = await server.store.journal(after_rev=place, limit=_PAGE)
        if place < await server.store.oldest_rev():  # checked last: entries may be pruned just before the page is read
            yield [PublishedEvent({"type": "reset"})]
            return
        mine = [entry for entry in page if entry.rev <= rev and server.authorization.may_see_entry(who, entry)]
        if mine:
            yield [_published_change(AccountChanged(entry=entry)) for entry in mine]
        place = page[-1].rev if page else rev


def _snapshot(server: Server, who: Principal, rev: int) -> PublishedEvent:
    rows = tuple(
        SnapshotRow(account.id, account.owner_id, server.kept_accounts.body(account, permission))
        for account, permission in server.authorization.permissions_of(who)
    )
    return PublishedEvent({"type": "snapshot", "rev": rev}, rev, rows=rows)


def _published(event: AccountChanged | AccountStateChanged | MessageEvent) -> PublishedEvent:
    if isinstance(event, AccountChanged):
        return _published_change(event)
    body = _talk(event) if isinstance(event, MessageEvent) else _state(event)
    return PublishedEvent(body, None, event.account_id, event.owner_id)


def _published_change(event: AccountChanged) -> PublishedEvent:
    return PublishedEvent(_change(event.entry), event.entry.rev, event.account_id, event.owner_id)


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
