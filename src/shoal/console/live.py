"""The console's socket: a snapshot, then the rows that changed, in batches. It carries the same events as the stream.

What is sent, as JSON texts (``docs/api.md`` shows them):

- ``snapshot``: every account, and the ``rev`` at which to resume;
- ``batch``: the accounts that differ now, those that are gone, the changes that led there, and what happened in chats;
- ``reset``: events were lost, because the cursor was too old or the reader too slow; a snapshot follows;
- ``beat``: nothing happened, but the server is there.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from typing import Any, Final

from fastapi import WebSocket
from starlette.websockets import WebSocketDisconnect

from shoal.api.http.event_feed import QUEUE_LIMIT, Told, account_event_batches
from shoal.api.http.route_rules import SIGNED_IN_BY_ITSELF
from shoal.api.http.routing import Routes
from shoal.api.http.session_cookie import cookie_token, is_own_origin
from shoal.api.http.streams import is_over, until_over
from shoal.api.schemas.responses import account_body
from shoal.api.server import Server
from shoal.auth.authorization import Principal
from shoal.console.session import note_foreign_page
from shoal.errors import TooManyCalls

routes = Routes(dependencies=[SIGNED_IN_BY_ITSELF])

BEAT_SECONDS: Final = 5.0
"""How often an idle socket says something: a reader who hears nothing for three of these counts the line as dead."""
BATCH_SECONDS: Final = 0.02
"""The first change leaves at once; what follows within this time travels together."""
_OF_ACCOUNTS: Final = frozenset({"change", "state"})
"""The events after which an account's row differs; the others are about chats."""
SIGNED_OUT: Final = 4401
"""The close code of a socket whose session is over, or never was."""
TOO_MANY: Final = 4429
"""The close code of one more than a person may hold open."""
SERVER_STOPS: Final = 1012


@routes.websocket("/console/live")
async def follow(socket: WebSocket) -> None:
    """Tell a signed-in page about its accounts until it leaves. ``?after=REV`` resumes."""
    server: Server = socket.app.state.server
    if not is_own_origin(socket):
        await note_foreign_page(socket, server)
        await socket.close()  # before it was accepted: the handshake is answered with 403
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
    telling = asyncio.create_task(_publish(socket, server, who, token), name=f"console:{who.id}")
    try:
        async with until_over(server, who.id, token) as over:
            await _until_gone(socket, telling, over)
            signed_out = over.done() and not telling.done()
    finally:
        telling.cancel()
        with suppress(asyncio.CancelledError):
            await telling
    if signed_out:
        with suppress(RuntimeError):  # the page left at the same moment
            await socket.close(SIGNED_OUT)


async def _until_gone(socket: WebSocket, telling: asyncio.Task[None], over: asyncio.Task[None]) -> None:
    """Wait for the end of either side. What the page says is not heeded: it changes things over the API."""
    while not telling.done() and not over.done():
        hearing = asyncio.create_task(socket.receive())
        await asyncio.wait({hearing, telling, over}, return_when=asyncio.FIRST_COMPLETED)
        if not hearing.done():
            hearing.cancel()
            with suppress(asyncio.CancelledError):
                await hearing
        elif (await hearing)["type"] == "websocket.disconnect":
            return


async def _publish(socket: WebSocket, server: Server, who: Principal, token: str) -> None:
    with suppress(WebSocketDisconnect):
        feed = account_event_batches(server, who, _cursor(socket), beat_seconds=BEAT_SECONDS, queue_limit=QUEUE_LIMIT)
        async with aclosing(feed):
            await _tell_feed(socket, server, who, token, feed)


async def _tell_feed(
    socket: WebSocket, server: Server, who: Principal, token: str, feed: AsyncGenerator[list[Told], None]
) -> None:
    loop = asyncio.get_running_loop()
    seen_at = loop.time()
    async for batch in feed:
        if not batch or loop.time() - seen_at >= BEAT_SECONDS:
            seen_at = loop.time()
            if await is_over(server, token):
                await socket.close(SIGNED_OUT)
                return
        for message in _messages(server, who, batch):
            await socket.send_text(json.dumps(message, ensure_ascii=False, separators=(",", ":")))
        if batch:
            await asyncio.sleep(BATCH_SECONDS)  # meanwhile the subscription gathers, bounded
    await socket.close(SERVER_STOPS)


def _messages(server: Server, who: Principal, batch: Sequence[Told]) -> list[dict[str, Any]]:
    """What to send for the events that waited: those of the stream, but changes and states as the rows they led to."""
    if not batch:
        return [{"type": "beat"}]
    first = batch[0].body
    if first["type"] in {"snapshot", "reset"}:
        return [told.body for told in batch]
    return [_rows(server, who, batch)]


def _rows(server: Server, who: Principal, batch: Sequence[Told]) -> dict[str, Any]:
    """Each account once, as it is published now, however often it changed."""
    rows, gone = [], []
    about = [told for told in batch if told.body["type"] in _OF_ACCOUNTS]
    for account_id in dict.fromkeys(str(told.body["account"]) for told in about):
        account = server.manager.accounts.get(account_id)
        permission = server.authorization.permission_on(who, account) if account is not None else None
        if account is None or permission is None:
            gone.append(account_id)
        else:
            rows.append(account_body(server.manager, account, permission).model_dump(mode="json"))
    changes = [told for told in batch if told.rev is not None]
    return {
        "type": "batch",
        "rev": changes[-1].rev if changes else None,
        "accounts": rows,
        "removed": gone,
        "changes": [told.body for told in changes],
        "talks": [told.body for told in batch if told.body["type"] not in _OF_ACCOUNTS],
    }


def _cursor(socket: WebSocket) -> int | None:
    text = socket.query_params.get("after", "")
    if not text:
        return None
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 2**62
