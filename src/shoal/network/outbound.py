"""Connections to addresses that users enter: resolved once, never to this machine or its networks unless allowed.

The check applies to the very IP address of the connection. So a name that changes its answer gains nothing, and neither
does an unusual notation: names, decimal and hexadecimal forms all become an IP address first.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any, Final

import aiohttp

from shoal.errors import ShoalError
from shoal.network.addresses import parse_networks
from shoal.network.fresh_sockets import open_socket
from shoal.network.public_addresses import Network, is_public, meanings

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Return all addresses of a host, for a port. Raises ``OSError`` when the host is not known."""
Refused = Callable[[str], Awaitable[None]]
"""Called with each host that was refused."""

EVERYWHERE: Final = "all"


class TargetRefused(ShoalError):
    """No connection is made: no address of the host is public or allowed by the setting."""

    code = "target_refused"


class InsideError(OSError):
    """A refusal inside ``aiohttp``, which hands on nothing but ``OSError``."""

    def __init__(self) -> None:
        super().__init__("this address lies inside, and the setting does not allow it")


async def look_up(host: str, port: int) -> list[str]:
    """Return the addresses of a host, as the system resolves it. Raises ``OSError`` when it finds none."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:  # such as a part of more than 63 characters
        raise OSError("this is no name of a host") from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True, slots=True)
class Outbound:
    """Decides where connections to addresses from users may go.

    ``allowed``: networks in addition to the public ones. ``refused`` is called with each refused host.
    """

    allowed: tuple[Network, ...] = ()
    resolve: Resolve = field(default=look_up, repr=False)
    refused: Refused | None = field(default=None, repr=False)

    @classmethod
    def of(cls, setting: str, **options: Any) -> Outbound:
        """Parse the setting: networks with commas, or ``all``. Raises ``ValueError`` for anything else."""
        every = (ip_network("0.0.0.0/0"), ip_network("::/0"))
        return cls(every if setting.strip() == EVERYWHERE else parse_networks(setting), **options)

    async def addresses(self, host: str, port: int) -> list[str]:
        """Resolve the host once and return those of its addresses that are permitted.

        Raises ``TargetRefused`` when there are addresses and none is permitted, ``OSError`` when the host is not known.
        """
        found = await self.resolve(host, port)
        usable = [text for text in found if self.permits(text)]
        if not usable:
            if self.refused is not None:
                await self.refused(host)
            raise TargetRefused("this address lies inside, and the setting does not allow it", host=host)
        return usable

    def permits(self, text: str) -> bool:
        """Return whether a connection to the address is permitted. A text that is not an address is refused."""
        ways = meanings(text)
        if any(one in network for one in ways for network in self.allowed):
            return True
        return bool(ways) and all(is_public(one) for one in ways)


class GuardedConnector(aiohttp.TCPConnector):
    """A connector for an ``aiohttp`` session to hosts that users name. For ``open_session`` of ``site_session``, which
    follows no redirect.

    It checks the address of every socket before it opens the socket. A refusal reaches the caller as
    ``aiohttp.ClientConnectorError``, whose ``os_error`` is an ``InsideError``.
    """

    def __init__(self, outbound: Outbound, **options: Any) -> None:
        super().__init__(
            use_dns_cache=False, resolver=_Resolver(outbound), socket_factory=_checked(outbound), **options
        )


class _Resolver(aiohttp.abc.AbstractResolver):
    """Resolves by ``Outbound``. Hosts written as IP addresses skip it; the check of the socket sees them."""

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[aiohttp.abc.ResolveResult]:
        try:
            usable = await self._outbound.addresses(host, port)
        except TargetRefused:
            raise InsideError from None
        kinds = [(text, socket.AF_INET6 if ":" in text else socket.AF_INET) for text in usable]
        return [
            {"hostname": host, "host": text, "port": port, "family": kind, "proto": 0, "flags": socket.AI_NUMERICHOST}
            for text, kind in kinds
            if family in {socket.AF_UNSPEC, kind}
        ]

    async def close(self) -> None:
        """There is nothing to close."""


def _checked(outbound: Outbound) -> Callable[[Any], socket.socket]:
    def open_checked(info: Any) -> socket.socket:
        if not outbound.permits(str(info[4][0])):
            raise InsideError
        return open_socket(info)

    return open_checked
