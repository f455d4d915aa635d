"""What this server publishes, sent to another server of the same database that has readers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

from fastapi import Request
from fastapi.responses import StreamingResponse

from shoal.accounts.events import Event
from shoal.api.http.caller import TheServer
from shoal.api.http.event_feed import QUEUE_LIMIT
from shoal.api.http.idempotency import ignores_keys
from shoal.api.http.route_rules import ANYBODY
from shoal.api.http.routing import Routes
from shoal.api.server import Server
from shoal.cluster.call_signing import CallSigner, NotSigned
from shoal.cluster.node_calls import CALL_HEADER, STREAM_PATH
from shoal.streams.event_links import BEAT_SECONDS, EVENTS, line_of
from shoal.streams.published_ids import PublishedIds

routes = Routes(include_in_schema=False)

BATCH_SECONDS = 0.01
"""What is published within this time after an event is sent together."""


@routes.post(f"{STREAM_PATH}/{EVENTS}", dependencies=[ANYBODY])
@ignores_keys
async def stream_events(request: Request, server: TheServer) -> StreamingResponse:
    """Tell another server what happens here, until it leaves. It signs by the key that all share; no person calls."""
    calls, published_ids = server.node_calls, server.published_ids
    if calls is None or published_ids is None:
        raise NotSigned("a single server serves this database")
    content = await request.body()
    name, inc = calls.me
    key, number = calls.signer.check(request.headers.get(CALL_HEADER, ""), EVENTS, content, me=name, my_inc=inc)
    lines = _lines(server, published_ids, key, number)
    return StreamingResponse(lines, media_type="application/jsonl", headers={"X-Accel-Buffering": "no"})


async def _lines(server: Server, published_ids: PublishedIds, key: bytes, number: str) -> AsyncGenerator[bytes, None]:
    """Yield signed lines until the server stops, or too much waits: then the other node connects again."""
    bus = server.events
    with bus.subscribe(QUEUE_LIMIT, for_another_node=True) as subscription:
        published_ids.listeners.add(subscription.wake)
        try:
            events: list[Event] = []
            count = 0
            while not (subscription.lost or subscription.ended):
                # what is sent by ``mine`` was put into the subscription before, so it is in this line or an earlier one
                line = line_of(events, published_ids.mine, bus.newest)
                yield b"%b %b\n" % (CallSigner.answer(key, f"{number}/{count}", line).encode(), line)
                count += 1
                await asyncio.sleep(BATCH_SECONDS)
                events = []
                with suppress(TimeoutError):
                    async with asyncio.timeout(BEAT_SECONDS):
                        events = await subscription.take()
        finally:
            published_ids.listeners.discard(subscription.wake)
