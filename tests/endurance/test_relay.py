"""The way that a run between real processes breaks really breaks: resets, silence, refusal, and it mends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from random import Random

import pytest

from endurance.relay import Relay


class _Chooses(Random):
    """Always the same kind, and a long time."""

    def __init__(self, kind: str) -> None:
        super().__init__(1)
        self._kind = kind

    def choice(self, among: list[object]) -> object:  # type: ignore[override]
        return self._kind if self._kind in among else among[-1]


_WRITERS: list[asyncio.StreamWriter] = []


@pytest.fixture
async def way() -> AsyncIterator[tuple[Relay, int]]:
    """A relay before a server that echoes, and its port."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(100):
                writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    relay = Relay(server.sockets[0].getsockname()[1], Random(1))
    yield relay, await relay.open()
    for writer in _WRITERS:
        writer.transport.abort()
    _WRITERS.clear()
    await relay.close()
    server.close()


async def _open(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    _WRITERS.append(writer)
    return reader, writer


async def _said(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await _open(port)
    writer.write(b"a")
    assert await reader.read(1) == b"a"
    return reader, writer


async def test_a_reset_ends_every_line_without_a_farewell(way: tuple[Relay, int]) -> None:
    relay, port = way
    reader, _ = await _said(port)
    relay.strike(_Chooses("reset all"))
    with pytest.raises(ConnectionResetError):
        await reader.read(1)
    assert relay.resets == 1
    await _said(port)


async def test_a_silent_line_swallows_everything_until_it_is_mended(way: tuple[Relay, int]) -> None:
    relay, port = way
    reader, writer = await _said(port)
    relay.strike(_Chooses("silence"))
    writer.write(b"b")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.3)
    relay.mend()
    with pytest.raises(ConnectionResetError):
        await reader.read(1)


async def test_nobody_new_comes_through_while_it_refuses(way: tuple[Relay, int]) -> None:
    relay, port = way
    relay.strike(_Chooses("refuse"))
    reader, _ = await _open(port)
    with pytest.raises(ConnectionResetError):
        await reader.read(1)
    assert relay.refused == 1
    relay.mend()
    await _said(port)
