"""The console's WebSocket: a snapshot, then changed rows in batches. Its events are those of ``/events``.

Messages to the page, as JSON texts (``docs/api.md`` shows them):

- ``part``: some accounts of the snapshot that follows, of which a long one is sent in parts;
- ``snapshot``: all other accounts, and the ``rev`` to resume after;
- ``batch``: accounts that differ now, deleted ones, the changes that led there, and events in chats;
- ``reset``: events were lost, because the cursor was too old or the reader too slow; a snapshot follows;
- ``beat``: nothing happened, and the connection works.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from typing import Final

import msgspec
from fastapi import WebSocket
from starlette.websockets import WebSocketDisconnect

from shoal.accounts.positions import LOST, Position
from shoal.api.http.event_feed import QUEUE_LIMIT, account_events, row_slices
from shoal.api.http.published_events import PublishedEvent
from shoal.api.http.route_rules import SIGNED_IN_BY_ITSELF
from shoal.api.http.routing import Routes
from shoal.api.http.session_cookie import cookie_token, is_own_origin
from shoal.api.http.streams import is_over, until_over
from shoal.api.schemas.kept_accounts import with_accounts
from shoal.api.server import Server
from shoal.auth.authorization import Principal
from shoal.console.session import note_foreign_page
from shoal.errors import TooManyCalls

routes = Routes(dependencies=[SIGNED_IN_BY_ITSELF])

BEAT_SECONDS: Final = 5.0
"""The beat of an idle socket. A page that receives nothing for three beats treats the connection as dead."""
BATCH_SECONDS: Final = 0.02
"""The first change is sent at once; changes within this time after it are sent together."""
_BEAT: Final = b'{"type":"beat"}'
_OF_ACCOUNTS: Final = frozenset({"change", "state"})
"""The events that change an account's row; the others are about chats."""
SIGNED_OUT: Final = 4401
"""The close code of a socket without a valid session."""
TOO_MANY: Final = 4429
"""The close code of a socket beyond the user's limit."""
SERVER_STOPS: Final = 1012


@routes.websocket("/console/live")
async def follow(socket: WebSocket) -> None:
    """Send a signed-in page the events of its accounts until it disconnects. ``?after=REV`` resumes."""
    server: Server = socket.app.state.server
    if not is_own_origin(socket):
        await note_foreign_page(socket, server)
        await socket.close()  # not accepted yet: the handshake is answered with 403
        return
    token = cookie_token(socket)
    session = await server.sessions.of(token) if token else None
    await socket.accept()
    if session is None or token is None:
        await socket.close(SIGNED_OUT)
        return
    try:
        with server.live_streams.one_more(session.user.id):
            await _follow(socket, server, Principal(user=session.user, session=session), token)
    except TooManyCalls as error:
        await socket.close(TOO_MANY, error.code)


async def _follow(socket: WebSocket, server: Server, who: Principal, token: str) -> None:
    publishing = asyncio.create_task(_publish(socket, server, who, token), name=f"console:{who.id}")
    try:
        async with until_over(server, who.id, token) as over:
            await _until_gone(socket, publishing, over)
            signed_out = over.done() and not publishing.done()
    finally:
        publishing.cancel()
        with suppress(asyncio.CancelledError):
            await publishing
    if signed_out:
        with suppress(RuntimeError):  # the page disconnected at the same moment
            await socket.close(SIGNED_OUT)


async def _until_gone(socket: WebSocket, publishing: asyncio.Task[None], over: asyncio.Task[None]) -> None:
    """Wait until either side ends. Messages from the page are ignored: it makes changes through the API."""
    while not publishing.done() and not over.done():
        receiving = asyncio.create_task(socket.receive())
        await asyncio.wait({receiving, publishing, over}, return_when=asyncio.FIRST_COMPLETED)
        if not receiving.done():
            receiving.cancel()
            with suppress(asyncio.CancelledError):
                await receiving
        elif (await receiving)["type"] == "websocket.disconnect":
            return


async def _publish(socket: WebSocket, server: Server, who: Principal, token: str) -> None:
    with suppress(WebSocketDisconnect):
        feed = account_events(server, who, _cursor(socket), beat_seconds=BEAT_SECONDS, queue_limit=QUEUE_LIMIT)
        async with aclosing(feed):
            await _send_feed(socket, server, who, token, feed)


async def _send_feed(
    socket: WebSocket, server: Server, who: Principal, token: str, feed: AsyncGenerator[list[PublishedEvent], None]
) -> None:
    loop = asyncio.get_running_loop()
    seen_at = loop.time()
    async for batch in feed:
        if not batch or loop.time() - seen_at >= BEAT_SECONDS:
            seen_at = loop.time()
            if await is_over(server, token):
                await socket.close(SIGNED_OUT)
                return
        async for text in _texts(server, who, batch):
            await socket.send_text(text.decode())
        if batch:
            await asyncio.sleep(BATCH_SECONDS)  # the subscription collects events during the sleep, up to its limit
    await socket.close(SERVER_STOPS)


async def _texts(server: Server, who: Principal, batch: Sequence[PublishedEvent]) -> AsyncGenerator[bytes, None]:
    """Yield the messages for waiting events: chat events as they are, changes and states as account rows."""
    if not batch:
        yield _BEAT
    elif batch[0].accounts is not None:
        async for rows, is_last in row_slices(server, who, batch[0].accounts):
            yield with_accounts(batch[0].body if is_last else {"type": "part"}, rows)
    elif batch[0].body["type"] == "reset":
        yield msgspec.json.encode(batch[0].body)
    else:
        yield _rows(server, who, batch)


def _rows(server: Server, who: Principal, batch: Sequence[PublishedEvent]) -> bytes:
    """Return a batch with each changed account once, as published now."""
    rows, gone = [], []
    about = [event for event in batch if event.body["type"] in _OF_ACCOUNTS]
    for account_id in dict.fromkeys(str(event.body["account"]) for event in about):
        account = server.manager.accounts.get(account_id)
        permission = server.authorization.permission_on(who, account) if account is not None else None
        if account is None or permission is None:
            gone.append(account_id)
        else:
            rows.append(server.kept_accounts.body(account, permission))
    changes = [event for event in batch if event.rev is not None]
    body = {
        "type": "batch",
        "rev": changes[-1].rev if changes else None,
        "removed": gone,
        "changes": [event.json() for event in changes],
        "talks": [event.json() for event in batch if event.body["type"] not in _OF_ACCOUNTS],
    }
    return with_accounts(body, rows)


def _cursor(socket: WebSocket) -> Position | None:
    text = socket.query_params.get("after", "")
    if not text:
        return None
    return Position(int(text)) if text.isascii() and text.isdecimal() and len(text) < 19 else LOST
