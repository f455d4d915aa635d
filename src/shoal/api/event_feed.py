"""One person's events, in order and without a gap: a snapshot, then everything later, or an explicit reset."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from shoal.api.shapes import account_body, maybe_rfc3339, rfc3339
from shoal.events import AccountChanged, AccountStateChanged, Event, Subscription, Talk
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
    """Tell a person's events until the server stops, one by one; ``None`` every ``beat_seconds``.

    With ``after``: first the changes since then, in order, and then the snapshot. A cursor that is too old, or not
    ours, and a reader who is too slow, get a reset and a new snapshot.
    """
    batches = account_event_batches(server, user_id, after, beat_seconds=beat_seconds, queue_limit=queue_limit)
    async with aclosing(batches):
        async for batch in batches:
            for told in batch:
                yield told
            if not batch:
                yield None


async def account_event_batches(
    server: Server, user_id: int, after: int | None, *, beat_seconds: float, queue_limit: int = QUEUE_LIMIT
) -> AsyncGenerator[list[Told], None]:
    """The same, with everything that waits together; empty every ``beat_seconds``, so that the reader knows we live."""
    cursor = after
    while True:
        with server.events.subscribe(queue_limit) as subscription:
            # Listening began before the snapshot is taken, on the same turn of the loop: nothing falls between.
            rev = server.manager.newest_rev
            snapshot = _snapshot(server, user_id, rev)
            told_already: set[int] = set()
            if cursor is not None:
                async for missed in _missed(server, user_id, cursor, rev):
                    told_already.update(told.rev for told in missed if told.rev is not None)
                    yield missed
            yield [snapshot]
            async for batch in _live(subscription, user_id, beat_seconds):
                # Another machine's change stands in the journal before it is published, and so is told, here.
                news = [told for told in batch if told.rev not in told_already]
                if news or not batch:
                    yield news
            if subscription.ended:
                return
        yield [Told({"type": "reset"})]
        cursor = None


async def _live(subscription: Subscription, user_id: int, beat_seconds: float) -> AsyncIterator[list[Told]]:
    """What happens from now on, all that waits at once; ends when events were lost, or none come. Empty is the beat."""
    loop = asyncio.get_running_loop()
    beat_at = loop.time() + beat_seconds
    while True:
        if loop.time() >= beat_at:  # also when something happens all the time
            yield []
            beat_at = loop.time() + beat_seconds
        try:
            async with asyncio.timeout_at(beat_at):
                events = await subscription.take()
        except TimeoutError:
            continue
        if not events:
            return
        if mine := [_told(event) for event in events if event.owner_id == user_id]:
            yield mine


async def _missed(server: Server, user_id: int, after: int, rev: int) -> AsyncIterator[list[Told]]:
    """The changes beyond ``after`` up to ``rev``, page by page, or one reset."""
    if after > rev or rev - after > MISSED_LIMIT:
        yield [Told({"type": "reset"})]
        return
    place = after
    while place < rev:
        page = await server.store.journal(after_rev=place, limit=_PAGE)
        if place < await server.store.oldest_rev():  # asked last: it may have been pruned just before the page was read
            yield [Told({"type": "reset"})]
            return
        mine = [entry for entry in page if entry.rev <= rev and entry.owner_id == user_id]
        if mine:
            yield [Told(_change(entry), entry.rev) for entry in mine]
        place = page[-1].rev if page else rev


def _snapshot(server: Server, user_id: int, rev: int) -> Told:
    mine = [account for account in server.manager.accounts.values() if account.owner_id == user_id]
    accounts = [account_body(server.manager, account).model_dump(mode="json") for account in mine]
    return Told({"type": "snapshot", "rev": rev, "accounts": accounts}, rev)


def _told(event: Event) -> Told:
    if isinstance(event, AccountChanged):
        return Told(_change(event.entry), event.entry.rev)
    if isinstance(event, Talk):
        return Told(_talk(event))
    return Told(_state(event))


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


def _talk(event: Talk) -> dict[str, Any]:
    facts = {
        name.removesuffix("_ms"): maybe_rfc3339(value) if name.endswith("_ms") else value
        for name, value in event.facts.items()
    }
    return {"type": event.kind, "account": event.account_id, **facts, "at": rfc3339(event.at_ms)}


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
