"""HTTP over the server's own protocol, in memory: everything of a request but the socket."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import httptools
import httpx
import uvicorn
from uvicorn.server import ServerState

from shoal.network.connections import STATE_KEY, Connection, Connections, Limits
from shoal.server.listener import entry
from shoal.server.reply_server import Application
from shoal.server.request_head_limit import RequestHeadLimit


class ProtocolTransport(httpx.AsyncBaseTransport):
    """Sends each request over a connection of its own, in one piece."""

    def __init__(self, app: Application, *, client: tuple[str, int] = ("127.0.0.1", 123)) -> None:
        self._client = client
        self._connections = Connections(Limits(total=10_000, per_address=10_000, silent_seconds=600.0), ())
        self._config = uvicorn.Config(
            entry(app, app.settings, self._connections),
            http=RequestHeadLimit,
            ws="none",
            proxy_headers=False,
            lifespan="off",
            log_config=None,
            log_level=None,
            access_log=False,
            server_header=False,
        )
        self._state = ServerState()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request, and wait for the whole answer."""
        head = b"%b %b HTTP/1.1\r\n" % (request.method.encode(), request.url.raw_path)
        head += b"".join(b"%b: %b\r\n" % header for header in request.headers.raw)
        with self.connected() as (protocol, line):
            line.bodiless = request.method == "HEAD"
            await self._send(protocol, line, head + b"\r\n", request)
            await line.until_answered(1)
        answer = line.answers[0]
        return httpx.Response(answer.status, headers=answer.headers, content=bytes(answer.body), request=request)

    @contextmanager
    def connected(self) -> Iterator[tuple[RequestHeadLimit, Line]]:
        """Open a connection; closed at the end."""
        connection = self._connections.admit(self._client[0])
        assert connection is not None
        protocol = RequestHeadLimit(config=self._config, server_state=self._state, app_state={STATE_KEY: connection})
        line = Line(self._client, connection)
        protocol.connection_made(line)
        try:
            yield protocol, line
        finally:
            line.close()
            protocol.connection_lost(None)
            self._connections.leave(connection)

    @staticmethod
    async def _send(protocol: RequestHeadLimit, line: Line, head: bytes, request: httpx.Request) -> None:
        """Send head and body, in one piece if the body is known; stop when the server answers."""
        parts = cast("httpx.AsyncByteStream", request.stream)
        if "transfer-encoding" not in request.headers:
            protocol.data_received(head + b"".join([part async for part in parts]))
            return
        protocol.data_received(head)
        async for part in parts:
            await line.reads.wait()
            if line.answers:
                return
            protocol.data_received(b"%x\r\n%b\r\n" % (len(part), part))
        protocol.data_received(b"0\r\n\r\n")


class Answer:
    """One answer, as a parser finds it."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = bytearray()


class Line(asyncio.Transport):
    """The transport of one connection, and the answers that came over it."""

    def __init__(self, client: tuple[str, int], connection: Connection) -> None:
        super().__init__({"peername": client, "sockname": ("127.0.0.1", 8080)})
        self.connection = connection
        self.answers: list[Answer] = []
        self._parser = httptools.HttpResponseParser(self)
        self._answer = Answer()
        self._came = asyncio.Event()
        self._closing = False
        self.bodiless = False
        """Whether answers have no body, whatever their head says: those to HEAD."""
        self.reads = asyncio.Event()
        self.reads.set()

    async def until_answered(self, times: int) -> None:
        """Wait until so many answers came. Raises ``httpx.RemoteProtocolError`` when the server closes before that."""
        while len(self.answers) < times:
            if self._closing:
                raise httpx.RemoteProtocolError("the server closed the connection")
            self._came.clear()
            await self._came.wait()

    # ── what the parser calls ───────────────────────────────────────────────────────────────────────────────────

    def on_header(self, name: bytes, value: bytes) -> None:
        self._answer.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self.bodiless:
            self.on_message_complete()

    def on_body(self, part: bytes) -> None:
        self._answer.body += part

    def on_message_complete(self) -> None:
        self._answer.status = self._parser.get_status_code()
        self.answers.append(self._answer)
        self._answer, self._parser = Answer(), httptools.HttpResponseParser(self)
        self._came.set()

    # ── what the server calls ───────────────────────────────────────────────────────────────────────────────────

    def write(self, data: Any) -> None:
        self._parser.feed_data(bytes(data))

    def writelines(self, parts: Any) -> None:
        self.write(b"".join(parts))

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._closing = True
        self._came.set()

    def pause_reading(self) -> None:
        self.reads.clear()

    def resume_reading(self) -> None:
        self.reads.set()

    def get_write_buffer_size(self) -> int:
        return 0

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        raise AssertionError(f"{cast('Any', protocol)}: no upgrade is expected")
