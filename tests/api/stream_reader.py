"""A reader of ``GET /events``, and a change for it to read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from doors import Door
from shoal.api.http.event_feed import PublishedEvent

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


async def next_event(events: AsyncGenerator[PublishedEvent | None, None]) -> PublishedEvent:
    async with asyncio.timeout(60):
        told = await anext(events)
    assert told is not None
    return told
