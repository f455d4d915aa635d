"""A real small proxy on the loopback: HTTP by CONNECT, or SOCKS5; it counts what passes and fails when told to."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Literal

SITE = "xianyu.test"
"""A host name that no resolver knows: only the proxy can say where it is."""

Kind = Literal["http", "socks5"]
_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class SmallProxy:
    """``failing``: how each new connection fares. ``passed`` holds each host and port that was asked for."""

    kind: Kind
    credentials: str = ""
    failing: Literal["", "refuses", "no_route", "hangs_up", "is_silent", "talks_nonsense"] = ""
    passed: list[tuple[str, int]] = field(default_factory=list)
    knocks: int = 0
    bytes_up: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        """The address for an account's setting."""
        return f"{self.kind}://{f'{self.credentials}@' if self.credentials else ''}127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client."""
        self.knocks += 1
        try:
            if self.failing == "hangs_up":
                return
            if self.failing == "is_silent":
                await asyncio.Event().wait()
            if self.failing == "talks_nonsense":
                writer.write(b"220 smtp.example.com ready\r\n" * 8)
                await writer.drain()
                return
            target = await (self._http if self.kind == "http" else self._socks)(reader, writer)
            if target is not None:
                self.passed.append(target)
                await self._relay((reader, writer), target)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[str, int] | None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, place, _ = head.splitlines()[0].split()
        assert method == "CONNECT", "anything else would be a request in clear text to the proxy"
        basic = f"proxy-authorization: basic {base64.b64encode(self.credentials.encode()).decode()}".lower()
        if self.failing == "refuses" or (self.credentials and basic not in head.lower()):
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            return None
        if self.failing == "no_route":
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
            return None
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        host, _, port = place.rpartition(":")
        return host, int(port)

    async def _socks(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[str, int] | None:
        _, count = await reader.readexactly(2)
        await reader.readexactly(count)
        writer.write(b"\x05\x02" if self.credentials else b"\x05\x00")
        if self.credentials:
            await reader.readexactly(1)
            name = await reader.readexactly((await reader.readexactly(1))[0])
            password = await reader.readexactly((await reader.readexactly(1))[0])
            good = f"{name.decode()}:{password.decode()}" == self.credentials and self.failing != "refuses"
            writer.write(b"\x01\x00" if good else b"\x01\x01")
            if not good:
                return None
        _, _, _, kind = await reader.readexactly(4)
        if kind == 1:
            host = str(IPv4Address(await reader.readexactly(4)))
        else:
            host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        port = int.from_bytes(await reader.readexactly(2))
        outcome = {"refuses": b"\x02", "no_route": b"\x04"}.get(self.failing, b"\x00")
        writer.write(b"\x05" + outcome + b"\x00\x01\x7f\x00\x00\x01\x00\x00")
        return (host, port) if outcome == b"\x00" else None

    async def _relay(self, client: _Streams, target: tuple[str, int]) -> None:
        """Every name is this machine: the site of the tests is nowhere else."""
        site = await asyncio.open_connection("127.0.0.1", target[1])
        try:
            await asyncio.gather(self._copy(client[0], site[1], up=True), self._copy(site[0], client[1], up=False))
        finally:
            site[1].close()

    async def _copy(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, up: bool) -> None:
        while data := await source.read(65_536):
            self.bytes_up += len(data) if up else 0
            sink.write(data)
            await sink.drain()
        with contextlib.suppress(OSError):
            sink.close()


@asynccontextmanager
async def small_proxy(kind: Kind, credentials: str = "") -> AsyncIterator[SmallProxy]:
    """A running proxy."""
    proxy = SmallProxy(kind, credentials)
    async with _listening(proxy.serve) as port:
        proxy.port = port
        yield proxy


@dataclass
class Tripwire:
    """A site that must not be reached directly: it counts attempts."""

    port: int = 0
    touched: int = 0

    async def serve(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Somebody came."""
        self.touched += 1
        writer.close()


@asynccontextmanager
async def tripwire() -> AsyncIterator[Tripwire]:
    """A site that only counts."""
    wire = Tripwire()
    async with _listening(wire.serve) as port:
        wire.port = port
        yield wire


@asynccontextmanager
async def _listening(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    running: set[asyncio.Task[None]] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        with contextlib.suppress(asyncio.CancelledError):  # only the end of the test cancels
            await serve(reader, writer)
        running.discard(task)

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
