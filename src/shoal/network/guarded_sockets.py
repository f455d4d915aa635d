"""Connected sockets for clients that bring their own protocol, to hosts that users name."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Final

from shoal.network.fresh_sockets import open_socket
from shoal.network.outbound import Outbound

CONNECT_SECONDS: Final = 8.0
"""The longest time to resolve a host and to connect to one of its addresses."""
Connect = Callable[[str, int], Awaitable[socket.socket]]
"""Connect to a host and port. Raises ``TargetRefused``, and ``OSError`` when nothing can be reached."""


def guarded(outbound: Outbound, *, seconds: float = CONNECT_SECONDS) -> Connect:
    """Return a function that connects only where the guard permits, to the very address that it permitted."""

    async def connect(host: str, port: int) -> socket.socket:
        async with asyncio.timeout(seconds):
            failure: OSError | None = None
            for address in await outbound.addresses(host, port):
                try:
                    return await _connected(address, port)
                except OSError as error:
                    failure = error
            raise failure or OSError("the host has no address")

    return connect


async def _connected(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    opened = open_socket((family, socket.SOCK_STREAM, socket.IPPROTO_TCP))
    try:
        opened.setblocking(False)
        await asyncio.get_running_loop().sock_connect(opened, (address, port))
    except BaseException:  # also when the caller no longer waits
        opened.close()
        raise
    return opened
