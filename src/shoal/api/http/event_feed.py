"""One user's events in order and without a gap: a snapshot, then every later event, or an explicit reset."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Final

from sqlalchemy import Connection

from shoal.accounts.account import Account
from shoal.accounts.events import OF_SERVER, AccessChanged, Event, Subscription
from shoal.accounts.follower import Follower
from shoal.accounts.journal_stream import StreamPlace
from shoal.accounts.positions import STREAMS, EventId, Position
from shoal.api.http.published_events import PublishedEvent, published, published_entry, published_stored
from shoal.api.server import Server
from shoal.auth.authorization import Principal
from shoal.auth.users import Role
from shoal.streams.stored_events import StoredEvent, is_forgotten, read_after

QUEUE_LIMIT = 10_000
MISSED_LIMIT = 50_000
"""A cursor further behind gets a reset, because a snapshot is quicker to read."""
_PAGE = 1_000
_REPLAYED: Final = ("incident", "state", "message", "order", "delivery")
"""What is read again besides changes."""
_SLICE: Final = 25
"""How many accounts of a snapshot are made into JSON before the event loop gets a turn: about 2.5 ms."""


async def account_events(
    server: Server, who: Principal, after: Position | None, *, beat_seconds: float, queue_limit: int = QUEUE_LIMIT
) -> AsyncGenerator[list[PublishedEvent], None]:
    """Yield a user's events until the server stops, all waiting ones together.

    Yield an empty list every ``beat_seconds``, and when the accounts that the reader may see have changed: the caller
    then checks whether the user is still signed in. After such a change a new snapshot follows, and no more events of
    an account that the reader lost: a caller that sends a list in several steps asks ``may_read`` at each.

    With ``after``, first yield the changes since then in order, then what was stored of the other streams since then,
    and then the snapshot. A position that is too old or of another database, and a reader who is too slow, get a reset
    and a new snapshot.
    """
    links = server.event_links
    async with links.reading() if links is not None else nullcontext():
        cursor = after
        if cursor is not None and server.follower is not None:
            await server.follower.passed(cursor.changes, within_seconds=BEHIND_SECONDS)
        while True:
            with server.events.subscribe(queue_limit) as subscription:
                # The subscription starts before the snapshot: no event is lost in between.
                began = server.events.position
                is_there = cursor is None or await published_up_to(server, cursor, BEHIND_SECONDS)
                snapshot = await _snapshot(server, who)
                sent = _Sent(began)
                if cursor is not None:
                    missing = _missed(server, who, cursor, _position(server), _published_up_to(server))
                    async for missed in missing if is_there else _lost():
                        sent.add(missed)
                        yield missed
                yield [snapshot]
                async for events in _live(subscription, beat_seconds):
                    # What another machine did may be read from the database before it is published: skip it here.
                    news = [event for event in _readable(server, who, events) if event not in sent]
                    differs = _differs(who, events)
                    fresh = await _snapshot(server, who) if differs else None
                    if news:
                        yield news
                    if differs or not events:
                        yield []
                    if fresh is not None:
                        yield [fresh]
                    del events, news, fresh  # nothing large is kept until the next event
                if subscription.ended:
                    return
            yield [PublishedEvent({"type": "reset"})]
            cursor = None


class _Sent:
    """What was read again and may come again from the bus."""

    def __init__(self, began: Position) -> None:
        """``began``: up to where all was sent when the subscription began."""
        self._began = began
        self._rows: set[int | EventId] = set()

    def add(self, events: Sequence[PublishedEvent]) -> None:
        """Note them."""
        self._rows.update(one.rev for one in events if one.rev is not None)
        self._rows.update(one.place for one in events if one.place is not None and self._began.lacks(one.place))

    def __contains__(self, event: PublishedEvent) -> bool:
        return event.rev in self._rows or event.place in self._rows


async def row_slices(
    server: Server, who: Principal, accounts: Sequence[Account]
) -> AsyncGenerator[tuple[list[bytes], bool], None]:
    """Yield the accounts of a snapshot as JSON, in slices, each with whether it is the last one.

    The loop has a turn in between. Left out are accounts that the reader lost or that were deleted since the snapshot.
    """
    for start in range(0, max(len(accounts), 1), _SLICE):
        if start:
            await asyncio.sleep(0)
        rows = (_row(server, who, account) for account in accounts[start : start + _SLICE])
        yield [row for row in rows if row is not None], start + _SLICE >= len(accounts)


def _row(server: Server, who: Principal, account: Account) -> bytes | None:
    now = server.manager.accounts.get(account.id)
    permission = server.authorization.permission_on(who, account)
    if permission is None or now is None or now.created_at_ms != account.created_at_ms:
        return None
    return server.kept_accounts.body(account, permission)


async def _live(subscription: Subscription, beat_seconds: float) -> AsyncIterator[list[Event]]:
    """Yield new events, all waiting ones at once; an empty list is the beat. End when the subscription ends."""
    loop = asyncio.get_running_loop()
    beat_at = loop.time() + beat_seconds

    def beat() -> None:
        nonlocal beat_at
        beat_at = 0.0
        subscription.wake()

    timer = loop.call_later(beat_seconds, beat)
    try:
        while True:
            events = await subscription.take()
            if loop.time() >= beat_at:  # the beat also comes while events keep arriving
                timer.cancel()
                beat_at = loop.time() + beat_seconds
                timer = loop.call_later(beat_seconds, beat)
                yield []
            if events:
                yield events
                del events
            elif subscription.lost or subscription.ended:
                return
    finally:
        timer.cancel()


def may_read(server: Server, who: Principal, event: PublishedEvent) -> bool:
    """Return whether the reader may see what the event reports now."""
    if event.account_id:
        return server.authorization.may_see(who, event.account_id, event.owner_id)
    if not event.owner_id:
        return True
    if who.token is not None and who.token.only_accounts is not None:
        return False
    return who.user.role is Role.ADMIN if event.owner_id == OF_SERVER else event.owner_id == who.id


def _differs(who: Principal, events: Sequence[Event]) -> bool:
    """Return whether the accounts that the reader may see changed."""
    return any(isinstance(event, AccessChanged) and event.user_id == who.id for event in events)


def _readable(server: Server, who: Principal, events: Sequence[Event]) -> list[PublishedEvent]:
    """Return the events that the reader may see now."""
    bus = server.events
    found = (published(one, bus.position_after(one)) for one in events if not isinstance(one, AccessChanged))
    return [one for one in found if may_read(server, who, one)]


async def _missed(
    server: Server, who: Principal, after: Position, until: Position, end: StreamPlace | None
) -> AsyncIterator[list[PublishedEvent]]:
    """Yield what is stored after ``after`` up to ``until``, page by page, or one reset. ``end``: with several nodes the
    place of the changes up to which this one has sent them, since their revs are in no order."""
    streams = STREAMS if end is None else STREAMS[1:]
    asked = [(last, until.last(stream) or 0) for stream in streams if (last := after.last(stream)) is not None]
    if any(last > newest for last, newest in asked) or sum(newest - last for last, newest in asked) > MISSED_LIMIT:
        yield [PublishedEvent({"type": "reset"})]
        return
    if end is not None and server.follower is not None:
        changes = replayed_changes(server, server.follower, who, after, end, most=MISSED_LIMIT)
    else:
        changes = _missed_changes(server, who, after, until)
    async for missed in changes:
        if missed is None:
            yield [PublishedEvent({"type": "reset"})]
            return
        yield missed
    place = after._replace(changes=until.changes)
    while place != until:
        events, forgotten = await server.database.read(partial(_stored_after, place=place, until=until))
        if forgotten:
            yield [PublishedEvent({"type": "reset"})]
            return
        found = []
        for event in events:
            place = place.reached(*event.id)
            owner_id = _owner(server, event)
            if owner_id is not None:
                found.append(published_stored(event, owner_id, place))
        if mine_of_page := [one for one in found if may_read(server, who, one)]:
            yield mine_of_page
        if len(events) < _PAGE:
            return


async def _missed_changes(
    server: Server, who: Principal, after: Position, until: Position
) -> AsyncIterator[list[PublishedEvent] | None]:
    """Yield the changes after ``after`` up to ``until``, page by page; ``None``: some of them were pruned."""
    last = after.changes
    while last < until.changes:
        page = await server.store.journal(after_rev=last, limit=_PAGE)
        if last < await server.store.oldest_rev():
            # checked last: entries may be pruned just before the page is read
            yield None
            return
        mine = [
            entry for entry in page if entry.rev <= until.changes and server.authorization.may_see_entry(who, entry)
        ]
        if mine:
            yield [published_entry(entry, after._replace(changes=entry.rev)) for entry in mine]
        last = page[-1].rev if page else until.changes


async def _lost() -> AsyncIterator[list[PublishedEvent]]:
    """Yield that events were lost."""
    yield [PublishedEvent({"type": "reset"})]


def _published_up_to(server: Server) -> StreamPlace | None:
    return None if server.follower is None else server.follower.place


def _stored_after(connection: Connection, *, place: Position, until: Position) -> tuple[list[StoredEvent], bool]:
    """Return a page of what is stored besides changes, and whether some of it was deleted."""
    events = read_after(connection, place, limit=_PAGE, kinds=_REPLAYED, until=until)
    return events, is_forgotten(connection, place)


def _owner(server: Server, event: StoredEvent) -> int | None:
    """Return whom an event concerns now; ``None``: its account is gone, or is another one of the same id."""
    if not event.account_id:
        return OF_SERVER if event.user_id is None else event.user_id
    account = server.manager.accounts.get(event.account_id)
    return None if account is None or event.at_ms < account.created_at_ms else account.owner_id


def _position(server: Server) -> Position:
    return server.events.position._replace(changes=server.manager.newest_rev)


async def _snapshot(server: Server, who: Principal) -> PublishedEvent:
    """Return a snapshot. A single server makes it in the same turn of the event loop."""
    await server.manager.look(account.id for account in server.authorization.accounts_of(who))
    position = _position(server)
    accounts = server.authorization.accounts_of(who)
    return PublishedEvent({"type": "snapshot", "rev": position.changes}, position, position.changes, accounts=accounts)


BEHIND_SECONDS: Final = 1.0
"""How long to wait until this node has read the position that another node gave the reader."""


async def published_up_to(server: Server, cursor: Position, within_seconds: float) -> bool:
    """Wait until everything can be read again that was published here before, and up to the cursor. Return whether it
    can. A single server need not wait."""
    if server.published_ids is None:
        return True
    newest = server.events.newest
    wanted = Position._make(max(one or 0, other or 0) for one, other in zip(cursor, newest, strict=True))
    return await server.published_ids.passed(wanted, within_seconds=within_seconds)


async def replayed_changes(
    server: Server, follower: Follower, who: Principal, after: Position, end: StreamPlace, *, most: int
) -> AsyncIterator[list[PublishedEvent] | None]:
    """Yield the changes after ``after`` up to ``end``, page by page; ``None``: they are not all there, or more than
    ``most``."""
    stream = follower.stream
    place = await stream.place_of(after.changes)
    if place is None or place > end or await stream.has_more_than(place, most):
        yield None
        return
    while place < end:
        page = await stream.entries(place, limit=_PAGE)
        if await stream.place_of(place.rev) is None:
            # checked last: entries may be pruned just before the page is read
            yield None
            return
        mine = [
            published_entry(entry, after._replace(changes=entry.rev))
            for entry, at in zip(page.entries, page.places, strict=True)
            if at <= end and server.authorization.may_see_entry(who, entry)
        ]
        if mine:
            yield mine
        if not page.places:
            return
        place = page.places[-1]
