"""A proxy on the loopback for a process of ours: its only way out, asked by the guard for every connection.

It speaks ``CONNECT``, and ``http://`` addresses in the request line. Each client needs a pass, which names one piece of
work; the pass knows how far the work came, and ends all its connections when it is taken back.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import secrets
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from shoal.network.guarded_sockets import Connect
from shoal.network.outbound import TargetRefused

MOST_BYTES: Final = 1 << 20
"""How many bytes may come back by one connection."""
_HEAD_BYTES: Final = 32_768
_HEAD_SECONDS: Final = 10.0
_BLOCK: Final = 65_536
_END: Final = b"\r\n\r\n"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Wrong(Exception):
    """The client gets this status line."""


@dataclass(slots=True, eq=False)
class Pass:
    """One piece of work. ``refused`` and ``unreached`` are the hosts where the guard or the network said no."""

    word: str = field(default_factory=lambda: secrets.token_urlsafe(18), repr=False)
    refused: list[str] = field(default_factory=list)
    unreached: list[str] = field(default_factory=list)
    connections: int = 0
    """How many connections were made to hosts."""
    serving: set[asyncio.Task[Any] | None] = field(default_factory=set, repr=False)


class GuardedProxy:
    """Listens on a free port of the loopback once it is opened."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._passes: dict[str, Pass] = {}
        self._clients: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None
        self.port = 0

    async def open(self) -> None:
        """Begin to listen, unless it does."""
        if self._listener is not None:
            return
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=_HEAD_BYTES)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """End every connection and stop listening."""
        if self._listener is not None:
            self._listener.close()
        clients = list(self._clients)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)

    def give_pass(self) -> Pass:
        """Return a pass for one piece of work."""
        given = Pass()
        self._passes[given.word] = given
        return given

    def take_back(self, given: Pass) -> None:
        """End the pass and every connection that was made with it."""
        self._passes.pop(given.word, None)
        for task in given.serving:
            if task is not None:
                task.cancel()

    def url(self, word: str) -> str:
        """Return the address of the proxy with a pass."""
        return f"http://pass:{word}@127.0.0.1:{self.port}"

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve((reader, writer)), name="proxy client")
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)

    async def _serve(self, client: Streams) -> None:
        reader, writer = client
        task = asyncio.current_task()
        given: Pass | None = None
        try:
            async with asyncio.timeout(_HEAD_SECONDS):
                head = await reader.readuntil(_END)
            given = self._pass_of(head)
            given.serving.add(task)
            await self._pass_on(head, given, client)
        except _Wrong as wrong:
            writer.write(f"HTTP/1.1 {wrong}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            with contextlib.suppress(OSError):
                await writer.drain()
        except (OSError, EOFError, asyncio.LimitOverrunError):
            pass  # the client has left, or speaks no HTTP
        finally:
            if given is not None:
                given.serving.discard(task)
            writer.close()

    def _pass_of(self, head: bytes) -> Pass:
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"proxy-authorization":
                with contextlib.suppress(binascii.Error, UnicodeDecodeError, KeyError):
                    words = base64.b64decode(value.strip().removeprefix(b"Basic ").strip()).decode("ascii")
                    return self._passes[words.partition(":")[2]]
        raise _Wrong("407 Proxy Authentication Required")

    async def _pass_on(self, head: bytes, given: Pass, client: Streams) -> None:
        method, target, first = _request_line(head)
        if method == "CONNECT":
            host, port = _place(f"//{target}", 0)
            site = await self._reach(host, port, given)
            client[1].write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            host, port = _place(target, 80)
            site = await self._reach(host, port, given)
            site[1].write(_plain_head(first, head))
        try:
            up = asyncio.create_task(_copy(client[0], site[1]), name="proxy request")
            try:
                await _copy(site[0], client[1], most=MOST_BYTES)
            finally:
                up.cancel()
                await asyncio.gather(up, return_exceptions=True)
        finally:
            site[1].close()

    async def _reach(self, host: str, port: int, given: Pass) -> Streams:
        try:
            opened = await self._connect(host, port)
        except TargetRefused:
            given.refused.append(host)
            raise _Wrong("403 Forbidden") from None
        except OSError:
            given.unreached.append(host)
            raise _Wrong("502 Bad Gateway") from None
        given.connections += 1
        return await asyncio.open_connection(sock=opened)


def _request_line(head: bytes) -> tuple[str, str, bytes]:
    """Return method and target, and for a plain request its line as a host expects it."""
    try:
        line = head.partition(b"\r\n")[0].decode("ascii")
        method, target, version = line.split(" ")
        parts = urlsplit(target)
    except ValueError:
        raise _Wrong("400 Bad Request") from None
    if not line.isprintable():  # a host may take a line feed alone for the end of the line
        raise _Wrong("400 Bad Request")
    path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
    return method, target, f"{method} {path} {version}\r\n".encode()


def _place(url: str, default: int) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or default
    except ValueError:
        raise _Wrong("400 Bad Request") from None
    if not host or not port or parts.scheme not in {"", "http"}:
        raise _Wrong("400 Bad Request")
    return host, port


def _plain_head(first: bytes, head: bytes) -> bytes:
    """Return a plain request's head for the host: nothing of the proxy, and one request for each connection."""
    lines = head.removesuffix(_END).split(b"\r\n")[1:]
    kept = [line for line in lines if not line.lower().startswith((b"proxy-", b"connection:"))]
    return first + b"\r\n".join([*kept, b"Connection: close"]) + _END


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, most: int = 0) -> None:
    """Pass everything on until the source ends, or has sent more than ``most`` bytes."""
    passed = 0
    while data := await source.read(_BLOCK):
        passed += len(data)
        if most and passed > most:
            return
        sink.write(data)
        await sink.drain()
