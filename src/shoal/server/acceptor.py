"""Accepts connections from a listening socket, and counts each before it costs anything, TLS included."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from functools import cache
from typing import Final

import structlog

from shoal.language.catalogue import translate
from shoal.language.choice import Language
from shoal.network.connections import Connection, Connections

log = structlog.get_logger("shoal.listener")

_AT_ONCE: Final = 32
"""How many connections are accepted before the loop continues with other work."""
_PAUSE_SECONDS: Final = 0.2
"""How long accepting pauses when the process has no file handle left."""
_NO_HANDLE: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_QUIET_SECONDS: Final = 60.0
"""The shortest time between two log lines about a full server."""
_SWEEPS_PER_LIMIT: Final = 8
_FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 5\r\ncontent-type: text/plain; "
    b"charset=utf-8\r\ncontent-length: %d\r\n\r\n%s"
)


@cache
def _refusal() -> bytes:
    text = "".join(f"{translate('page.too_many_connections', language)}\n" for language in Language).encode()
    return _FULL % (len(text), text)


class Acceptor:
    """Accepts until it is closed. Raises ``OSError`` when another process listens there already."""

    def __init__(
        self, listening: socket.socket, connections: Connections, context: ssl.SSLContext | None, *, backlog: int
    ) -> None:
        self._listening = listening
        self._connections = connections
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[None]] = set()
        self._closed = False
        self._full_logged_at = -_QUIET_SECONDS
        listening.listen(backlog)
        self._loop.add_reader(listening, self._accept)
        self._sweeping = self._loop.create_task(self._sweep(), name="connections")

    def close(self) -> None:
        """Stop accepting. Open connections stay; TLS handshakes in progress are cancelled."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._listening)
        for task in self._opening:
            task.cancel()

    async def wait_closed(self) -> None:
        """Wait until everything here is closed, and cut off the last connections."""
        self._connections.end_all()
        tasks = [self._sweeping, *self._opening]
        self._sweeping.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(min(1.0, self._connections.limits.silent_seconds / _SWEEPS_PER_LIMIT))
            closed = self._connections.sweep()
            if closed:
                log.debug("silent connections closed", count=closed)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                accepted, address = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._out_of_handles(error)
                return
            self._take(accepted, str(address[0]))

    def _take(self, accepted: socket.socket, host: str) -> None:
        accepted.setblocking(False)
        connection = self._connections.admit(host)
        if connection is None:
            self._refuse(accepted)
            self._log_full(host)
            return
        connection.accepted = accepted
        connection.handshake = task = self._loop.create_task(self._open(accepted, connection), name="handshake")
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, accepted: socket.socket, connection: Connection) -> None:
        limit = self._connections.limits.silent_seconds
        timing = {"ssl_handshake_timeout": limit, "ssl_shutdown_timeout": min(limit, 5.0)} if self._context else {}
        opened = False
        try:
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.connect_accepted_socket(lambda: connection, accepted, ssl=self._context, **timing)
            opened = True
        except OSError as error:  # no TLS, a certificate that the client does not accept, or a client that left
            log.debug("no connection came about", why=type(error).__name__)
        finally:
            connection.handshake = None
            if not opened:
                self._connections.leave(connection)
                with contextlib.suppress(OSError):
                    accepted.shutdown(socket.SHUT_RDWR)
                accepted.close()

    def _refuse(self, accepted: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if self._context is None:
                accepted.send(_refusal())
        accepted.close()

    def _out_of_handles(self, error: OSError) -> None:
        """Make room, and let closed connections be removed before the next is accepted."""
        if error.errno not in _NO_HANDLE:
            log.warning("a connection could not be accepted", why=error.strerror)
            return
        self._connections.make_any_room()
        self._log_full("")
        self._loop.remove_reader(self._listening)
        self._loop.call_later(_PAUSE_SECONDS, self._go_on)

    def _go_on(self) -> None:
        if not self._closed:
            self._loop.add_reader(self._listening, self._accept)

    def _log_full(self, host: str) -> None:
        now = self._loop.time()
        if now - self._full_logged_at >= _QUIET_SECONDS:
            self._full_logged_at = now
            log.warning("connections are refused: too many are open", open=len(self._connections), host=host)
