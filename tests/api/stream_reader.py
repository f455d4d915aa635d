"""A reader of ``GET /events``, and a change for it to read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import httpx

from shoal.accounts.positions import Position
from shoal.api.http.event_feed import account_events, row_slices
from shoal.api.http.published_events import PublishedEvent
from shoal.auth.authorization import Principal
from support.servers.doors import Door

Event = tuple[str | None, dict[str, Any]]


async def _events(answer: httpx.Response) -> AsyncIterator[Event | str]:
    """What a stream holds: ``(id, data)``, or a comment."""
    identity: str | None = None
    async for line in answer.aiter_lines():
        if line.startswith("id: "):
            identity = line[4:]
        elif line.startswith("data: "):
            yield identity, json.loads(line[6:])
            identity = None
        elif line.startswith(":"):
            yield line


class Reader:
    """Reads a stream, event by event."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self._events = _events(answer)

    async def next(self) -> Event:
        """The next event that is no comment."""
        async with asyncio.timeout(60):
            async for event in self._events:
                if not isinstance(event, str):
                    return event
        raise EOFError

    async def next_of(self, kind: str) -> Event:
        """The next event of that type."""
        while True:
            event = await self.next()
            if event[1]["type"] == kind:
                return event

    async def next_raw(self) -> Event | str:
        """The next event or comment."""
        async with asyncio.timeout(60):
            return await anext(self._events)


@asynccontextmanager
async def reading(url: str, door: Door, **request: Any) -> AsyncIterator[Reader]:
    headers = {"Authorization": door.client.headers["authorization"], **request.pop("headers", {})}
    async with (
        httpx.AsyncClient(timeout=60) as client,
        client.stream("GET", f"{url}/events", headers=headers, **request) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Reader(answer)


async def set_remark(door: Door, text: str) -> int:
    rev: int = (await door.call("PUT", "/cookies/shop/remark", json={"remark": text}))["rev"]
    return rev


async def one_by_one(
    door: Door, who: Principal, after: Position | None = None, *, beat_seconds: float = 15, queue_limit: int = 10_000
) -> AsyncGenerator[PublishedEvent | None, None]:
    """A reader's events, each for itself; ``None`` where the list is empty."""
    feed = account_events(door.server, who, after, beat_seconds=beat_seconds, queue_limit=queue_limit)
    async with aclosing(feed):
        async for batch in feed:
            for event in batch:
                yield event
            if not batch:
                yield None


async def rows_of(door: Door, who: Principal, snapshot: PublishedEvent | None) -> list[dict[str, Any]]:
    """The accounts of a snapshot, as a reader gets them."""
    assert snapshot is not None
    assert snapshot.accounts is not None
    async with aclosing(row_slices(door.server, who, snapshot.accounts)) as slices:
        return [json.loads(row) async for rows, _ in slices for row in rows]


async def next_event(events: AsyncGenerator[PublishedEvent | None, None]) -> PublishedEvent:
    async with asyncio.timeout(60):
        told = await anext(events)
    assert told is not None
    return told
