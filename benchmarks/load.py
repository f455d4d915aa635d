"""Calls an HTTP server with a fixed number of callers at once, each on a kept-alive connection, as fast as it answers.

The callers parse answers with ``httptools`` and build each request once, so that they cost little beside the server.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

import httptools
import httpx
import psutil


def request_bytes(method: str, base: str, path: str, *, token: str = "", body: Any = None) -> bytes:
    """Return one HTTP/1.1 request, with a JSON body if there is one."""
    content = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
    lines = [f"{method} {path} HTTP/1.1", f"Host: {urlsplit(base).netloc}"]
    lines += [f"Authorization: Bearer {token}"] if token else []
    lines += ["Content-Type: application/json"] if content else []
    lines += [f"Content-Length: {len(content)}"] if content or method != "GET" else []
    return "\r\n".join([*lines, "", ""]).encode() + content


@dataclass(slots=True)
class Figures:
    """What one run measured. Times are in seconds."""

    seconds: float
    waits: list[float]
    cpu_seconds: float | None
    """CPU time of the server, user and kernel; ``None`` when its process is not known."""
    refused: dict[int, int] = field(default_factory=dict)
    """Answers that are not 2xx, by status."""

    @property
    def per_second(self) -> float:
        """Return the answers per second."""
        return len(self.waits) / self.seconds

    @property
    def cpu_us(self) -> float | None:
        """Return the server's CPU time per answer, in µs."""
        return None if self.cpu_seconds is None else self.cpu_seconds / len(self.waits) * 1e6

    def quantile_ms(self, share: float) -> float:
        """Return that quantile of the waits, in ms."""
        ordered = sorted(self.waits)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


class _Run:
    """State that the callers of one run share."""

    def __init__(self, next_request: Callable[[], bytes]) -> None:
        self.next_request = next_request
        self.waits: list[float] = []
        self.refused: dict[int, int] = {}
        self.until = float("inf")


class _Caller(asyncio.Protocol):
    """Sends one request after another on one connection until the run ends."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._sent = 0.0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def _send(self) -> None:
        assert self._transport is not None
        self._sent = time.perf_counter()
        self._transport.write(self._run.next_request())

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(error)

    def on_message_complete(self) -> None:
        """Count the answer and send the next request."""
        now = time.perf_counter()
        self._run.waits.append(now - self._sent)
        status = self._parser.get_status_code()
        if not 200 <= status < 300:
            self._run.refused[status] = self._run.refused.get(status, 0) + 1
        self._parser = httptools.HttpResponseParser(self)
        if now < self._run.until:
            self._send()
        elif not self.ended.done():
            self.ended.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(error or ConnectionError("the server closed the connection"))

    def _fail(self, error: Exception) -> None:
        if not self.ended.done():
            self.ended.set_exception(error)

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used, user and kernel."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


async def call(
    base: str, requests: Sequence[bytes], *, callers: int, seconds: float, pid: int | None = None
) -> Figures:
    """Send the requests in turn, again and again, from that many callers for that many seconds.

    Args:
        pid: the server's process, whose CPU time is measured.

    Raises:
        ConnectionError: when the server closes a connection.
    """
    where = httpx.URL(base)
    place = iter(range(1 << 62))
    run = _Run(lambda: requests[next(place) % len(requests)])
    loop = asyncio.get_running_loop()
    before = None if pid is None else cpu_seconds(pid)
    began = time.perf_counter()
    run.until = began + seconds
    opened = await asyncio.gather(
        *(loop.create_connection(lambda: _Caller(run), where.host, where.port or 80) for _ in range(callers))
    )
    try:
        await asyncio.gather(*(caller.ended for _, caller in opened))
        took = time.perf_counter() - began
        used = None if before is None or pid is None else cpu_seconds(pid) - before
    finally:
        for _, caller in opened:
            caller.close()
    return Figures(seconds=took, waits=run.waits, cpu_seconds=used, refused=run.refused)
