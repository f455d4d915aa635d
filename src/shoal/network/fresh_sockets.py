"""Sockets for outgoing connections, whose numbers the event loop does not take for somebody else's.

uvloop keeps a transport by the number of its file descriptor. When a descriptor is closed without its transport, the
system gives the number to the next socket, and uvloop refuses to connect that one: "File descriptor 25 is used by
transport". The lowest free number is always given first, so every later connection of the process would fail.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import structlog

log = structlog.get_logger("shoal.network")

_MOST_TRIES = 64
_held: list[socket.socket] = []
"""Sockets that are never used: each keeps a number from being given out again."""


def open_socket(info: Any) -> socket.socket:
    """Open a socket for an entry of ``getaddrinfo``, as ``socket_factory`` of an aiohttp connector.

    Raises ``OSError`` when the system gives no socket.
    """
    family, kind, protocol = info[:3]
    for _ in range(_MOST_TRIES):
        opened = socket.socket(family, kind, protocol)
        if not _is_taken(opened):
            return opened
        _held.append(opened)
        log.error("a file descriptor was closed under its transport; its number is set aside", held=len(_held))
    raise OSError("no usable file descriptor")


def _is_taken(opened: socket.socket) -> bool:
    """Return whether the event loop still has a transport by the socket's number."""
    try:
        asyncio.get_running_loop().remove_writer(opened)
    except RuntimeError:
        return True
    return False
