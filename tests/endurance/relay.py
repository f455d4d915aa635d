"""The way from the server to the site, over real sockets: it breaks, refuses, falls silent and grows slow."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

_RESET = struct.pack("ii", 1, 0)
"""``SO_LINGER`` that makes a close a reset."""


@dataclass(eq=False)
class _Line:
    """One connection, both halves."""

    ends: tuple[asyncio.StreamWriter, asyncio.StreamWriter]
    silent: bool = False

    def reset(self) -> None:
        """End both halves at once, by a reset where the system still lets us."""
        for end in self.ends:
            taken = end.get_extra_info("socket")
            with suppress(OSError):
                taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            end.transport.abort()


@dataclass
class Relay:
    """Passes bytes on to one port of the loopback. TLS goes through it untouched."""

    port: int
    rng: Random
    opened: int = 0
    refused: int = 0
    resets: int = 0
    silenced: int = 0
    _lines: set[_Line] = field(default_factory=set)
    _refuses_until: float = 0.0
    _slow_until: float = 0.0
    _pipes: set[asyncio.Task[None]] = field(default_factory=set)

    async def open(self, at: int = 0) -> int:
        """Begin to listen, at a free port unless one is given; returns the port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", at)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        """End everything."""
        self._server.close()
        self.cut(1.0)
        for pipe in list(self._pipes):
            pipe.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)

    # -- what goes wrong -------------------------------------------------------------------------------------------

    def strike(self, rng: Random) -> str:
        """Let something go wrong; returns what."""
        kind = rng.choice(["reset some", "reset all", "silence", "refuse", "slow"])
        seconds, now = rng.uniform(2, 30), asyncio.get_running_loop().time()
        match kind:
            case "reset some":
                self.cut(0.5)
            case "reset all":
                self.cut(1.0)
            case "silence":
                self._silence(rng.choice([0.4, 1.0]), seconds * 2)
            case "refuse":
                self._refuses_until = now + seconds
                self.cut(0.5)
            case "slow":
                self._slow_until = now + seconds
        return f"way: {kind}"

    def mend(self) -> None:
        """New lines are good from now on; those that are silent are lost."""
        self._refuses_until = self._slow_until = 0.0
        for line in [line for line in self._lines if line.silent]:
            self._lose(line)

    def _some(self, share: float) -> list[_Line]:
        return [line for line in self._lines if self.rng.random() < share]

    def cut(self, share: float) -> None:
        for line in self._some(share):
            self._lose(line)

    def _silence(self, share: float, seconds: float) -> None:
        for line in self._some(share):
            line.silent = True
            self.silenced += 1
            asyncio.get_running_loop().call_later(seconds, self._lose, line)

    def _lose(self, line: _Line) -> None:
        if line in self._lines:
            self._lines.discard(line)
            self.resets += 1
            line.reset()

    # -- passing on ------------------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if asyncio.get_running_loop().time() < self._refuses_until:
            self.refused += 1
            _Line((writer, writer)).reset()
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            writer.transport.abort()
            return
        line = _Line((writer, back))
        self._lines.add(line)
        self.opened += 1
        pipes = [asyncio.create_task(self._pipe(line, *ends)) for ends in ((reader, back), (there, writer))]
        self._pipes.update(pipes)
        await asyncio.wait(pipes)
        self._pipes.difference_update(pipes)
        self._lines.discard(line)

    async def _pipe(self, line: _Line, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                if asyncio.get_running_loop().time() < self._slow_until:
                    await asyncio.sleep(self.rng.uniform(0.2, 2.0))
                if not line.silent:
                    writer.write(data)
                    await writer.drain()
        if not line.silent:
            writer.close()
