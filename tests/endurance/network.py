"""A network in memory, on virtual time: streams with latency that break, go silent and refuse, as a seed decides.

``NetworkLoop`` is the virtual loop with ``create_unix_connection``, so that aiohttp's ``UnixConnector`` and uvicorn's
protocols, both unchanged, talk over it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any

from state.virtual_loop import VirtualLoop

ServerFactory = Callable[[], asyncio.BaseProtocol]

LATENCY_SECONDS = (0.005, 0.08)
"""Of one piece of data on a good day, one way."""
DETECT_SECONDS = 30.0
"""How long the other side of a cut line may not know of it."""
HIGH_WATER_BYTES = 256 * 1024


class NetworkLoop(VirtualLoop):
    """The virtual loop, with a network under it."""

    network: Network

    async def create_unix_connection(  # type: ignore[override]  # all that UnixConnector asks for
        self, protocol_factory: Callable[[], asyncio.BaseProtocol], path: str, **_: Any
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """Open a line to what listens at ``path``. Raises ``ConnectionRefusedError`` while that is refused."""
        return await self.network.connect(protocol_factory, path)

    def stand_still(self, seconds: float) -> None:
        """Let so much time pass in which nothing at all is done, as while the collector looks through a large heap."""
        self._now += seconds


class Network:
    """Every line there is, and what is wrong at the moment. The line to a path in ``steady`` is always good."""

    def __init__(self, loop: NetworkLoop, rng: Random, *, steady: str = "") -> None:
        self._loop = loop
        self._rng = rng
        self._servers: dict[str, ServerFactory] = {}
        self._steady = steady
        self._refused_until = 0.0
        self._slow_until = 0.0
        self.lines: set[Line] = set()
        self.opened = self.refused = self.cut_lines = self.silenced = 0
        loop.network = self

    def listen(self, path: str, factory: ServerFactory) -> None:
        """Serve a path: ``factory`` makes the protocol of each line."""
        self._servers[path] = factory

    async def connect(
        self, factory: Callable[[], asyncio.BaseProtocol], path: str
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        steady = path == self._steady
        await asyncio.sleep(self.latency(steady=steady))
        if not steady and self._loop.time() < self._refused_until:
            self.refused += 1
            raise ConnectionRefusedError(111, "refused")
        line = Line(self, self._loop, steady=steady)
        self.lines.add(line)
        self.opened += 1
        here, there = line.ends
        client, server = factory(), self._servers[path]()
        here.set_protocol(client)
        there.set_protocol(server)
        server.connection_made(there)
        client.connection_made(here)
        return here, client

    def latency(self, *, steady: bool = False) -> float:
        """How long the next piece of data takes."""
        if steady:
            return 0.001
        if self._loop.time() < self._slow_until:
            return self._rng.uniform(0.5, 4.0)
        return self._rng.uniform(*LATENCY_SECONDS)

    def pieces(self, data: bytes, *, steady: bool) -> list[bytes]:
        """The same data as it may come in: mostly whole, sometimes in pieces."""
        if steady or len(data) < 2 or self._rng.random() < 0.9:
            return [data]
        cut = self._rng.randrange(1, len(data))
        return [data[:cut], data[cut:]]

    # -- what goes wrong -------------------------------------------------------------------------------------------

    def refuse(self, seconds: float) -> None:
        """No new line for so long."""
        self._refused_until = self._loop.time() + seconds

    def slow(self, seconds: float) -> None:
        """Everything takes seconds for so long."""
        self._slow_until = self._loop.time() + seconds

    def cut(self, share: float) -> None:
        """End a share of the lines without a word: one side knows at once, the other one after a while."""
        for line in self._some(share):
            self.cut_lines += 1
            first, second = self._rng.sample(line.ends, 2)
            first.lose()
            self._loop.call_later(self._rng.uniform(0, DETECT_SECONDS), second.lose)

    def silence(self, share: float, seconds: float) -> None:
        """Let a share of the lines swallow everything; those that are left after so long are lost."""
        for line in self._some(share):
            self.silenced += 1
            line.silent = True
            for end in line.ends:
                self._loop.call_later(seconds + self._rng.uniform(0, 5), end.lose)

    def mend(self) -> None:
        """New lines are good from now on."""
        self._refused_until = self._slow_until = 0.0

    def _some(self, share: float) -> list[Line]:
        lines = sorted((line for line in self.lines if not line.steady), key=lambda line: line.number)
        return [line for line in lines if self._rng.random() < share]


class Line:
    """One connection: two ends, each a transport."""

    count = 0

    def __init__(self, network: Network, loop: NetworkLoop, *, steady: bool) -> None:
        self.network = network
        self.steady = steady
        self.silent = False
        self.number = network.opened
        self.ends = (End(self, loop), End(self, loop))
        self.ends[0].other, self.ends[1].other = self.ends[1], self.ends[0]

    def end_closed(self) -> None:
        """An end is gone; the line is forgotten with the last one."""
        if all(end.is_gone for end in self.ends):
            self.network.lines.discard(self)


class End(asyncio.Transport):
    """One side's transport. What is written arrives at the other end in order, after the latency of its time."""

    other: End

    def __init__(self, line: Line, loop: NetworkLoop) -> None:
        super().__init__()
        self._line = line
        self._loop = loop
        self._protocol: asyncio.BaseProtocol | None = None
        self._closing = False
        self.is_gone = False
        self._arriving: deque[bytes | None] = deque()
        """What is on its way to this end; ``None`` is the farewell."""
        self._reading = True
        self._latest = 0.0
        self._in_flight = 0
        self._writer_paused = False

    # -- what asyncio asks of a transport ----------------------------------------------------------------------------

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        assert self._protocol is not None
        return self._protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name in {"peername", "sockname"} else default

    def is_closing(self) -> bool:
        return self._closing

    def is_reading(self) -> bool:
        return self._reading and not self._closing

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        self._loop.call_soon(self._take)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """The limit is ours."""

    def get_write_buffer_size(self) -> int:
        return self._in_flight

    def can_write_eof(self) -> bool:
        return False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closing or not data:
            return
        for piece in self._line.network.pieces(bytes(data), steady=self._line.steady):
            self._in_flight += len(piece)
            self._send(piece)
        if self._in_flight > HIGH_WATER_BYTES and not self._writer_paused and self._protocol is not None:
            self._writer_paused = True
            self._protocol.pause_writing()

    def _send(self, piece: bytes | None) -> None:
        arrives = self._loop.time() + self._line.network.latency(steady=self._line.steady)
        self._latest = max(self._latest + 1e-6, arrives)
        self._loop.call_at(self._latest, self.other._arrive, piece)

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        self._send(None)
        self._loop.call_soon(self._gone, None)

    def abort(self) -> None:
        """End without what is still on its way; the other side notices a reset."""
        self._closing = True
        self._loop.call_soon(self._gone, None)
        if not self._line.silent:
            self._loop.call_later(self._line.network.latency(steady=self._line.steady), self.other.lose)

    def lose(self) -> None:
        """The network is gone, as far as this end can tell."""
        if not self.is_gone:
            self._closing = True
            self._gone(ConnectionResetError(104, "reset"))

    # -- inside --------------------------------------------------------------------------------------------------

    def _arrive(self, piece: bytes | None) -> None:
        if self._line.silent or self.is_gone:
            return
        self._arriving.append(piece)
        self._take()

    def _take(self) -> None:
        while self._arriving and self._reading and not self.is_gone:
            piece = self._arriving.popleft()
            if piece is None:
                self._farewell()
                return
            self.other._taken(len(piece))
            if not self._closing and isinstance(self._protocol, asyncio.Protocol):
                self._protocol.data_received(piece)

    def _farewell(self) -> None:
        if isinstance(self._protocol, asyncio.Protocol) and not self._closing and self._protocol.eof_received():
            return
        self.close()

    def _taken(self, count: int) -> None:
        self._in_flight -= count
        if self._writer_paused and self._in_flight <= HIGH_WATER_BYTES // 4 and self._protocol is not None:
            self._writer_paused = False
            if not self.is_gone:
                self._protocol.resume_writing()

    def _gone(self, error: Exception | None) -> None:
        if self.is_gone:
            return
        self.is_gone = True
        self._arriving.clear()
        if self._protocol is not None:
            self._protocol.connection_lost(error)
        self._line.end_closed()
