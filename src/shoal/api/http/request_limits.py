"""Marks each connection as waiting for the client or for the server, and limits requests per address.

The limit is for requests that one trusted proxy passes on for the same address at the same time.
"""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shoal.api.http.problems import problem_answer
from shoal.network.connections import SLOWEST_BYTES_PER_SECOND, STATE_KEY, Connection, Connections, grouped

RETRY_AFTER_SECONDS = 5


class RequestLimits:
    """Counts requests. It needs the client's real address in ``scope["client"]``, as named by a trusted proxy."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def through(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Count a request while ``app`` answers it; refuse it when too many of its address are in progress."""
        connection: Connection | None = scope.get("state", {}).get(STATE_KEY)
        if connection is None:
            await app(scope, receive, send)
            return
        connection.begin_request()
        try:
            if scope["type"] == "http":
                receive = _Body(receive, connection, self._connections.limits.silent_seconds)
            client = scope["client"][0] if scope.get("client") else ""
            if not connection.exempt or grouped(client) == connection.address:
                await app(scope, receive, send)
                return
            with self._connections.in_flight(client) as may_go_on:
                await (app if may_go_on else _refuse)(scope, receive, send)
        finally:
            connection.end_request()


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 429."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1013})  # closed before it is accepted: the client gets a 403
        return
    language = Headers(scope=scope).get("accept-language")
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    params = {"retry_after": RETRY_AFTER_SECONDS}
    await problem_answer("too_many_requests", language, params, headers=headers)(scope, receive, send)


class _Body:
    """A body that must arrive in time: each part that is received gives the client time for the next one."""

    __slots__ = ("_connection", "_credit", "_receive", "_silent_seconds", "_whole")

    def __init__(self, receive: Receive, connection: Connection, silent_seconds: float) -> None:
        self._receive = receive
        self._connection = connection
        self._silent_seconds = silent_seconds
        self._credit = silent_seconds
        self._whole = False

    async def __call__(self) -> Message:
        if self._whole:
            return await self._receive()
        self._connection.wait_for_client(self._credit)
        left_at = self._connection.deadline
        message = await self._receive()
        left = left_at - asyncio.get_running_loop().time()
        self._credit = min(
            self._silent_seconds, max(left, 0.0) + len(message.get("body", b"")) / SLOWEST_BYTES_PER_SECOND
        )
        self._whole = not message.get("more_body", False)
        self._connection.work()
        return message
