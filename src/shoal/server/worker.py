"""One of several workers of a server: what its parent gave it, and the line on which the parent speaks to it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

import msgspec
import structlog

log = structlog.get_logger("shoal.worker")

READY: Final = b"R"
"""From a worker: it serves."""
END: Final = b"E"
"""From the parent: end in order. The end of the line says the same: the parent has died."""
END_NOW: Final = b"F"
"""From the parent: wait for no request any more."""
LOOK: Final = b"L"
"""From the parent: another worker has died, and its shards are free."""


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker inherits. ``inner``: where other servers and workers call this one; ``plain``: without TLS.

    ``metrics``: the port for figures, which all workers serve. ``is_again``: one before it was in its place.
    """

    line: socket.socket
    inner: socket.socket
    plain: bool
    metrics: socket.socket | None = None
    is_again: bool = False

    def ready(self) -> None:
        """Report to the parent that this worker serves. A parent that has died is noticed elsewhere."""
        try:
            self.line.send(READY)
        except OSError as error:
            log.warning("the parent does not hear", why=error.strerror)

    def listen(self, *, end: Callable[[bool], None], look: Callable[[], None]) -> None:
        """Receive the parent's words on the running loop. ``end`` is called with whether to end without grace."""
        loop = asyncio.get_running_loop()

        def read() -> None:
            try:
                words = self.line.recv(64)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                words = b""
            if not words:
                loop.remove_reader(self.line)
                log.warning("the parent has ended: this worker ends too")
            if not words or END in words or END_NOW in words:
                end(END_NOW in words)
            elif LOOK in words:
                look()

        self.line.setblocking(False)
        loop.add_reader(self.line, read)
