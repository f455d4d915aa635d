"""The event stream, as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, aclosing, nullcontext
from typing import Annotated

import msgspec
from fastapi import Header, Query
from fastapi.responses import StreamingResponse
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from shoal.accounts.positions import FORM, LOST, Position
from shoal.api.http.caller import SessionToken, TheServer, WhoReads
from shoal.api.http.event_feed import account_events, may_read, row_slices
from shoal.api.http.openapi_errors import READING, Responses
from shoal.api.http.problems import answer_to
from shoal.api.http.published_events import PublishedEvent
from shoal.api.http.refusals import note_refusal
from shoal.api.http.routing import Routes
from shoal.api.http.streams import is_over, while_signed_in
from shoal.api.server import Server
from shoal.auth.authorization import Principal
from shoal.errors import TooManyCalls

routes = Routes(tags=["events"])

BEAT_SECONDS = 15.0
_OPENING = b"retry: 2000\n\n"
_BEAT = b": still here\n\n"
_PIECE = 64 * 1024
"""What waits for a reader is sent together up to this size in bytes, and one event more."""
_EXAMPLE = (
    'id: 120.s88.m4051.o17.i5\ndata: {"type":"snapshot","rev":120,"accounts":[]}\n\n'
    'id: 121.s88.m4051.o17.i5\ndata: {"type":"change","rev":121,"account":"my-shop","generation":8,'
    '"changes":{"enabled":[true,false]},"actor":"user:admin","at":"2026-01-02T03:04:05.000Z"}\n\n'
)


class EventStream(StreamingResponse):
    """An event stream that unsubscribes as soon as the client disconnects."""

    media_type = "text/event-stream"

    def __init__(
        self,
        chunks: AsyncGenerator[bytes, None],
        status_code: int = 200,
        *,
        place: AbstractContextManager[None] | None = None,
        signed_in: AbstractAsyncContextManager[None] | None = None,
    ) -> None:
        """``place`` is held as long as the stream is open; ``signed_in`` ends it."""
        super().__init__(chunks, status_code, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._chunks = chunks
        self._place = place or nullcontext()
        self._signed_in = signed_in or nullcontext()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse when the user has too many streams open."""
        try:
            self._place.__enter__()
        except TooManyCalls as error:
            request = Request(scope)
            await note_refusal(request, error)
            await answer_to(error, request)(scope, receive, send)
            return
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._place.__exit__(None, None, None)

    async def stream_response(self, send: Send) -> None:
        """Send until the stream or the session ends, or the client disconnects."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with self._signed_in, aclosing(self._chunks):
            async for chunk in self._chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _as_json(failures: Responses) -> Responses:
    """Declare the errors of this route as JSON, although its success is an event stream."""
    return {
        status: {
            "description": failure["description"],
            "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{failure['model'].__name__}"}}},
        }
        for status, failure in failures.items()
    }


@routes.get(
    "/events",
    summary="Stream changes and states",
    response_class=EventStream,
    responses={
        200: {"description": "Server-sent events", "content": {"text/event-stream": {"example": _EXAMPLE}}},
        **_as_json(READING),
    },
)
async def get_events(
    server: TheServer,
    who: WhoReads,
    token: SessionToken,
    after: Annotated[
        str | None,
        Query(pattern=FORM, description="Only what happened after this event's `id`, or changes after this `rev`."),
    ] = None,
    last_event_id: Annotated[
        str | None, Header(description="The same, as browsers send it; it takes precedence over `after`.")
    ] = None,
) -> EventStream:
    """Stream a snapshot, then every later change in order, and what happens to states, messages, orders and incidents.

    Each event has an `id`. After a gap, what was stored since the last one comes first, then a snapshot.

    The stream contains only accounts that the caller may see. `reset` means that events were lost; a new snapshot
    follows. A new snapshot also follows, without a reset, when an account is shared with the caller or no longer
    shared. The stream ends with the session or the token.
    """
    cursor = _cursor(after or "") if last_event_id is None else _cursor(last_event_id)
    chunks = _chunks(server, who, token or "", cursor)
    signed_in = while_signed_in(server, who.id, token or "")
    return EventStream(chunks, place=server.live_streams.one_more(who.id), signed_in=signed_in)


def _cursor(last_event_id: str) -> Position | None:
    """Return the position of an event id. An invalid id counts as lost, so that the reader gets a reset."""
    text = last_event_id.strip()
    if not text:
        return None
    try:
        return Position.of(text)
    except ValueError:
        return LOST


async def _chunks(server: Server, who: Principal, token: str, cursor: Position | None) -> AsyncGenerator[bytes, None]:
    yield _OPENING
    async with aclosing(account_events(server, who, cursor, beat_seconds=BEAT_SECONDS)) as batches:
        async for batch in batches:
            if not batch:
                if await is_over(server, token):
                    return
                yield _BEAT
            elif batch[0].accounts is not None:
                async for piece in _of_snapshot(server, who, batch[0]):
                    yield piece
            else:
                for piece in _joined(server, who, batch):
                    yield piece
            del batch


async def _of_snapshot(server: Server, who: Principal, event: PublishedEvent) -> AsyncGenerator[bytes, None]:
    """Yield a snapshot piece by piece: one of many accounts is large."""
    begin = b"%bdata: %b" % (event.head(), msgspec.json.encode(event.body)[:-1] + b',"accounts":[')
    comma = b""
    async for rows, is_last in row_slices(server, who, event.accounts or ()):
        yield b"%b%b%b%b" % (begin, comma if rows else b"", b",".join(rows), b"]}\n\n" if is_last else b"")
        begin, comma = b"", b"," if rows else comma


def _joined(server: Server, who: Principal, batch: Sequence[PublishedEvent]) -> Iterator[bytes]:
    """Yield what waits in few pieces. While one is sent the reader may lose an account."""
    parts: list[bytes] = []
    size = 0
    for event in batch:
        if may_read(server, who, event):
            parts.append(event.chunk())
            size += len(parts[-1])
            if size >= _PIECE:
                yield b"".join(parts)
                parts, size = [], 0
    if parts:
        yield b"".join(parts)
