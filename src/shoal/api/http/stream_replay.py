"""The changes after a cursor, with several nodes: in the order of the stream, up to what this node has sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from shoal.accounts.follower import Follower
from shoal.accounts.journal_stream import StreamPlace
from shoal.accounts.positions import Position
from shoal.api.http.published_events import PublishedEvent, published_entry
from shoal.api.server import Server
from shoal.auth.authorization import Principal

_PAGE: Final = 1_000
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
