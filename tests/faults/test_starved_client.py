"""The client by which proofs ask a server: the machine gives it no time for a second, again and again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from benchmarks.processes import ServerProcess

AT_ONCE, EACH, JUMPS = 16, 10, 10


class _JumpingClock:
    """For httpx's pool: as if the process had stood still."""

    def __init__(self) -> None:
        self.lost_seconds = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.lost_seconds


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def test_no_request_is_lost_when_the_client_has_no_turn_for_more_than_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, clock, answered = ServerProcess(tmp_path / "data", "http://127.0.0.1:1").http, _JumpingClock(), 0
    monkeypatch.setattr("httpcore._async.http11.time", clock)

    async def ask() -> None:
        nonlocal answered
        for _ in range(EACH):
            assert (await client.get("/")).text == "ok"
            answered += 1
            if answered % (AT_ONCE * EACH // JUMPS) == 0:
                clock.lost_seconds += 1.1

    async with asyncio.TaskGroup() as answering:
        await _ask_all(client, ask, answering)
    assert answered == AT_ONCE * EACH


async def _ask_all(
    client: httpx.AsyncClient, ask: Callable[[], Coroutine[None, None, None]], answering: asyncio.TaskGroup
) -> None:
    """Serve the client's address until all has been asked. ``answering`` ends with the last connection."""

    def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answering.create_task(_answer(reader, writer))

    listening = await asyncio.start_server(meet, "127.0.0.1", client.base_url.port)
    try:
        async with asyncio.TaskGroup() as asking:
            for _ in range(AT_ONCE):
                asking.create_task(ask())
    finally:
        await client.aclose()
        listening.close()
        await listening.wait_closed()
