"""The event stream, as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, aclosing, nullcontext
from typing import Annotated

from fastapi import Header, Query
from fastapi.responses import StreamingResponse
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from shoal.api.http.caller import SessionToken, TheServer, WhoReads
from shoal.api.http.event_feed import PublishedEvent, account_events
from shoal.api.http.openapi_errors import READING, Responses
from shoal.api.http.problems import answer_to
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
_EXAMPLE = (
    'id: 120\ndata: {"type":"snapshot","rev":120,"accounts":[]}\n\n'
    'id: 121\ndata: {"type":"change","rev":121,"account":"my-shop","generation":8,"changes":{"enabled":[true,false]},'
    '"actor":"user:admin","at":"2026-01-02T03:04:05.000Z"}\n\n'
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
    ) -> None:
        """``place`` is held as long as the stream is open."""
        super().__init__(chunks, status_code, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._chunks = chunks
        self._place = place or nullcontext()

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
        """Send until the stream ends or the client disconnects."""
        async with aclosing(self._chunks):
            await super().stream_response(send)


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
    after: Annotated[int | None, Query(ge=0, description="Only changes after this `rev`.")] = None,
    last_event_id: Annotated[
        str | None, Header(description="The same, as browsers send it; it takes precedence over `after`.")
    ] = None,
) -> EventStream:
    """Stream a snapshot, then every later change in order (`id` is its `rev`) and each account's newest state.

    The stream contains only accounts that the caller may see. `reset` means that events were lost; a new snapshot
    follows. A new snapshot also follows, without a reset, when an account is shared with the caller or no longer
    shared. The stream ends with the session or the token.
    """
    cursor = after if last_event_id is None else _cursor(last_event_id)
    return EventStream(_chunks(server, who, token or "", cursor), place=server.live_streams.one_more(who.id))


def _cursor(last_event_id: str) -> int | None:
    """Return the rev of an event id. An invalid id counts as lost, so that the reader gets a reset."""
    text = last_event_id.strip()
    if not text:
        return None
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 2**62


async def _chunks(server: Server, who: Principal, token: str, cursor: int | None) -> AsyncGenerator[bytes, None]:
    yield _OPENING
    feed = account_events(server, who, cursor, beat_seconds=BEAT_SECONDS)
    async with aclosing(while_signed_in(server, who.id, token, feed)) as events:
        async for event in events:
            if event is not None:
                yield _chunk(event)
            elif await is_over(server, token):
                return
            else:
                yield _BEAT


def _chunk(event: PublishedEvent) -> bytes:
    identity = b"" if event.rev is None else b"id: %d\n" % event.rev
    return b"%bdata: %b\n\n" % (identity, event.as_json())
