"""One person's events, in order and without a gap: a snapshot, then everything later, or an explicit reset."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any

from shoal.api.shapes import account_body, maybe_rfc3339, rfc3339
from shoal.events import AccountChanged, AccountStateChanged, Event, Subscription
from shoal.journal import JournalEntry
from shoal.server import Server

QUEUE_LIMIT = 10_000
MISSED_LIMIT = 50_000
"""A cursor that is further behind gets a reset: reading a snapshot is quicker then."""
_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Told:
    """One event for the reader. ``rev`` is the cursor to resume after it, where there is one."""

    body: dict[str, Any]
    rev: int | None = None


async def account_events(
    server: Server, user_id: int, after: int | None, *, beat_seconds: float, queue_limit: int = QUEUE_LIMIT
) -> AsyncGenerator[Told | None, None]:
    """Tell a person's events for ever; ``None`` every ``beat_seconds``, so that the reader knows we live.

    With ``after``: first the changes since then, in order, and then the snapshot. A cursor that is too old, or not
    ours, and a reader who is too slow, get a reset and a new snapshot.
    """
    cursor = after
    while True:
        with server.events.subscribe(queue_limit) as subscription:
            # Listening began before the snapshot is taken, on the same turn of the loop: nothing falls between.
            rev = server.manager.newest_rev
            snapshot = _snapshot(server, user_id, rev)
            told_already: set[int] = set()
            if cursor is not None:
                async for told in _missed(server, user_id, cursor, rev):
                    told_already.update({told.rev} if told.rev is not None else ())
                    yield told
            yield snapshot
            async for told_or_beat in _live(subscription, user_id, beat_seconds):
                # Another machine's change stands in the journal before it is published, and so is told, here.
                if told_or_beat is None or told_or_beat.rev not in told_already:
                    yield told_or_beat
        yield Told({"type": "reset"})
        cursor = None


async def _live(subscription: Subscription, user_id: int, beat_seconds: float) -> AsyncIterator[Told | None]:
    """What happens from now on; ends when events were lost."""
    loop = asyncio.get_running_loop()
    beat_at = loop.time() + beat_seconds
    while True:
        try:
            async with asyncio.timeout_at(beat_at):
                events = await subscription.take()
        except TimeoutError:
            yield None
            beat_at = loop.time() + beat_seconds
            continue
        if not events:
            return
        for event in events:
            if event.owner_id == user_id:
                yield _told(event)


async def _missed(server: Server, user_id: int, after: int, rev: int) -> AsyncIterator[Told]:
    """The changes beyond ``after`` up to ``rev``, or one reset."""
    if after > rev or rev - after > MISSED_LIMIT:
        yield Told({"type": "reset"})
        return
    place = after
    while place < rev:
        page = await server.store.journal(after_rev=place, limit=_PAGE)
        if place < await server.store.oldest_rev():  # asked last: it may have been pruned just before the page was read
            yield Told({"type": "reset"})
            return
        for entry in page:
            if entry.rev <= rev and entry.owner_id == user_id:
                yield Told(_change(entry), entry.rev)
        place = page[-1].rev if page else rev


def _snapshot(server: Server, user_id: int, rev: int) -> Told:
    mine = [account for account in server.manager.accounts.values() if account.owner_id == user_id]
    accounts = [account_body(server.manager, account).model_dump(mode="json") for account in mine]
    return Told({"type": "snapshot", "rev": rev, "accounts": accounts}, rev)


def _told(event: Event) -> Told:
    if isinstance(event, AccountChanged):
        return Told(_change(event.entry), event.entry.rev)
    return Told(_state(event))


def _change(entry: JournalEntry) -> dict[str, Any]:
    return {
        "type": "change",
        "rev": entry.rev,
        "account": entry.account_id,
        "generation": entry.generation,
        "changes": entry.changes,
        "actor": entry.actor,
        "at": rfc3339(entry.at_ms),
    }


def _state(event: AccountStateChanged) -> dict[str, Any]:
    seen = event.observation
    return {
        "type": "state",
        "account": event.account_id,
        "state": seen.state.value,
        "reason": seen.reason,
        "since": rfc3339(seen.since_ms),
        "next_attempt_at": maybe_rfc3339(seen.next_attempt_at_ms),
        "action_url": seen.action_url,
        "observed_generation": seen.observed_generation,
        "at": rfc3339(event.at_ms),
    }
