"""The HTTP protocol of the server: plain requests reach their route without the layers, the others through them.

A plain read whose caller is known is answered while its bytes are read: no task is made for it.
"""

from __future__ import annotations

import logging
from contextvars import copy_context
from typing import Any, Final, cast

from fastapi import Response
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import (
    HEADER_RE,
    HEADER_VALUE_RE,
    STATUS_LINE,
    RequestResponseCycle,
)
from uvicorn.protocols.utils import get_client_addr, get_path_with_query_string

from shoal.api.http.plain_requests import PlainRequest, PlainRequests
from shoal.api.http.safety_headers import SafetyHeaders, safe_headers
from shoal.network.connections import STATE_KEY, Connection
from shoal.server.request_head_limit import RequestHeadLimit
from shoal.traces import request_began

_WHOLE: Final = frozenset({Response, JSONResponse})
"""The kinds of answers whose body is known before the head is sent."""
_LARGE: Final = 16 * 1024
"""A body above it is not copied to be sent in one piece with its head."""
_BY_THE_SERVER: Final = frozenset({b"connection", b"transfer-encoding"})


class PlainAnswers:
    """What every connection needs to answer plain requests, once for the server."""

    def __init__(self, requests: PlainRequests, *, hsts: bool) -> None:
        self.requests = requests
        self.hsts = hsts
        self._safe = safe_headers(hsts=hsts)
        self._safe_names = frozenset(name for name, _ in self._safe)
        self._all_safe = _lines(self._safe)

    def head(self, response: Response, defaults: list[tuple[bytes, bytes]], *, keeps_alive: bool) -> bytes | None:
        """Return the head of an answer; ``None`` for an answer that the layers must send."""
        status, headers = response.status_code, response.raw_headers
        names = {name for name, _ in headers}
        if type(response) not in _WHOLE or response.background is not None or not 200 <= status < 400:
            return None
        if b"content-length" not in names or not _BY_THE_SERVER.isdisjoint(names):
            return None
        for name, value in headers:
            if HEADER_RE.search(name) or HEADER_VALUE_RE.search(value):
                return None
        safe = self._all_safe
        if not self._safe_names.isdisjoint(names):
            safe = _lines([one for one in self._safe if one[0] not in names])
        ending = b"\r\n" if keeps_alive else b"connection: close\r\n\r\n"
        return b"".join([STATUS_LINE[status], _lines(defaults), _lines(headers), safe, ending])


def _lines(headers: list[tuple[bytes, bytes]]) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])


class HttpProtocol(RequestHeadLimit):
    """Begins each request: by the short way if it is plain, else by the application with its layers."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.plain: PlainAnswers | None = None
        self._has_answered = False
        """Whether a request was answered at once in this turn of the loop: one only, so that connections take turns."""
        self._logs_each = logging.getLogger("shoal").isEnabledFor(logging.DEBUG)
        if not self._logs_each:
            self.access_logger = cast("logging.Logger", _Refusals(self.access_logger))

    def data_received(self, data: bytes) -> None:
        """Parse the data."""
        self._has_answered = False
        super().data_received(data)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Begin a request, in a context of its own."""
        copy_context().run(self._begin, cycle, app)

    def _begin(self, cycle: RequestResponseCycle, app: Any) -> None:
        request_began()
        plain = self.plain
        found = None if plain is None else plain.requests.find(*_asgi(cycle))
        if plain is None or found is None:
            super()._start_asgi_task(cycle, app)
        elif not self._answered_at_once(cycle, plain, found):
            super()._start_asgi_task(cycle, cast("Any", self._answering(cycle, plain, found, app)))

    def _answered_at_once(self, cycle: RequestResponseCycle, plain: PlainAnswers, found: PlainRequest) -> bool:
        """Answer a prompt request now, if nothing waits on this connection. Return whether that was done."""
        if not found.is_prompt or self._has_answered or self.pipeline or self.flow.write_paused:
            return False
        response = found.answer_at_once()
        head = None if response is None else plain.head(response, cycle.default_headers, keeps_alive=cycle.keep_alive)
        if response is None or head is None:
            return False
        self._has_answered = True
        _connection_of(cycle).keep()
        self._send(cycle, head, response)
        return True

    def _answering(
        self, cycle: RequestResponseCycle, plain: PlainAnswers, found: PlainRequest, app: ASGIApp
    ) -> ASGIApp:
        """Return the application that answers a plain request; ``app`` answers if more is found to be needed."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if cycle.more_body:  # it arrives slowly, and has a time limit there
                await app(scope, receive, send)
                return
            connection = _connection_of(cycle)
            connection.begin_request()
            try:
                await self._answer(cycle, plain, found, app)
            finally:
                connection.end_request()

        return answer

    async def _answer(
        self, cycle: RequestResponseCycle, plain: PlainAnswers, found: PlainRequest, app: ASGIApp
    ) -> None:
        scope, receive, send = _asgi(cycle)
        try:
            response = await found.answer(bytes(cycle.body))
        except Exception as error:  # noqa: BLE001  the layers have an answer to every failure
            await plain.requests.answer_failure(error, scope, receive, send)
            return
        if response is None:
            await app(scope, receive, send)
            return
        head = plain.head(response, cycle.default_headers, keeps_alive=cycle.keep_alive)
        if head is None:
            await SafetyHeaders(response, hsts=plain.hsts)(scope, receive, send)
            return
        if self.flow.write_paused and not cycle.disconnected:
            await self.flow.drain()
        if not cycle.disconnected:
            self._send(cycle, head, response)

    def _send(self, cycle: RequestResponseCycle, head: bytes, response: Response) -> None:
        """Send a whole answer, and expect the next request."""
        body = bytes(response.body)
        if self._logs_each:
            of = cycle.scope
            facts = get_client_addr(of), of["method"], get_path_with_query_string(of), of["http_version"]
            self.access_logger.info('%s - "%s %s HTTP/%s" %d', *facts, response.status_code)
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        if len(body) > _LARGE:
            self.transport.writelines([head, body])
        else:
            self.transport.write(head + body)
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()
        cycle.on_response = _nothing


def _asgi(cycle: RequestResponseCycle) -> tuple[Scope, Receive, Send]:
    return cast("Scope", cycle.scope), cast("Receive", cycle.receive), cast("Send", cycle.send)


def _connection_of(cycle: RequestResponseCycle) -> Connection:
    connection: Connection = cycle.scope["state"][STATE_KEY]
    return connection


def _nothing() -> None:
    """Stand for what is done after an answer, once it was done."""


class _Refusals:
    """The log of requests without those that succeeded: making a record for nothing costs more than a read."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log

    def info(self, text: str, *values: Any) -> None:
        """Log a request that was refused."""
        if values[-1] >= 400:
            self._log.info(text, *values)
