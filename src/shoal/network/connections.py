"""The incoming connections of the server: how many there may be, and which are closed.

A connection waits for its client from the moment it is accepted until a request has begun, while a body arrives, and
after the answer. A client that is silent too long is disconnected. When every place is taken, the connection that has
waited longest is closed for the next one. A connection whose request is being handled is never closed here.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final, cast

import msgspec

from shoal.network.addresses import Network

MOST_CONNECTIONS: Final = 4_096
"""How many connections are accepted at once when nothing is set and the file limit is high enough."""
SLOWEST_BYTES_PER_SECOND: Final = 1_024
"""The lowest speed of a request body; the server gives up slower ones."""
KEPT_SECONDS: Final = 75.0
"""How long a connection is kept for the client's next request: longer than browsers and reverse proxies keep theirs, so
that it is they who close it, and no request is sent into a connection that is just being closed."""
STATE_KEY: Final = "connection"
"""The key in a request's ``scope["state"]`` that holds its connection."""
_TOO_SLOW: Final = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_FAREWELL_SECONDS: Final = 5.0
"""How long a client may take to read the answer that it was too slow."""
_TCP_INFO: Final = getattr(socket, "TCP_INFO", None) if sys.platform == "linux" else None
_TCP_INFO_BYTES: Final = 128
_BYTES_ACKED: Final = 120
"""The offset in Linux's ``struct tcp_info`` of the number of bytes that the other side has acknowledged."""
_SITE_PREFIX: Final = 64
"""The owner of one IPv6 address has all of its /64."""

MakeProtocol = Callable[["Connection"], asyncio.Protocol]


class Limits(msgspec.Struct, frozen=True):
    """How many connections there may be in all and by address, and for how many seconds a client may be silent."""

    total: int
    per_address: int
    silent_seconds: float


def most_connections(wanted: int, open_files: int) -> int:
    """Return how many connections may be accepted: at most half of the file limit; accounts and the database use the
    rest.
    """
    return max(8, min(wanted or MOST_CONNECTIONS, open_files // 2))


class Connection(asyncio.Protocol):
    """One accepted connection: passes everything on to its protocol and tracks whether it waits for its client."""

    def __init__(self, connections: Connections, address: str, *, exempt: bool) -> None:
        self.address = address
        self.exempt = exempt
        """Whether many clients may share the address: then no limit by address applies."""
        self.waits_since = 0.0
        self.deadline = 0.0
        self.handshake: asyncio.Task[None] | None = None
        self.accepted: socket.socket | None = None
        """The accepted socket, for questions to the system."""
        self._requests = 0
        self._connections = connections
        self._speaking: asyncio.Protocol | None = None
        self._transport: asyncio.Transport | None = None
        self._received_anything = False
        self._is_kept = False
        """Whether an answer was sent, and nothing of the next request has come."""
        self._speaks_http = True
        self._unsent = 0
        self._taken = 0
        self._unsent_since = 0.0

    # ── what the transport reports ──────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the protocol, on a transport whose protocol can be replaced."""
        self._transport = cast("asyncio.Transport", transport)
        self._speaking = self._connections.protocol_of(self)
        self._speaking.connection_made(cast("asyncio.Transport", _Line(self._transport, self)))

    def pass_to(self, protocol: asyncio.Protocol) -> None:
        """Pass all further data to another protocol, after an upgrade: it would read an HTTP answer as its own data."""
        self._speaking, self._speaks_http = protocol, False

    def data_received(self, data: bytes) -> None:
        """Pass the data on."""
        self._received_anything = True
        if self._is_kept:
            self._is_kept = False
            self._connections.expect_rest(self)
        if self._speaking is not None:
            self._speaking.data_received(data)

    def eof_received(self) -> bool | None:
        """Pass the event on."""
        return self._speaking.eof_received() if self._speaking is not None else None

    def pause_writing(self) -> None:
        """Pass the event on."""
        if self._speaking is not None:
            self._speaking.pause_writing()

    def resume_writing(self) -> None:
        """Pass the event on."""
        if self._speaking is not None:
            self._speaking.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove the connection and pass the event on."""
        self._connections.leave(self)
        if self._speaking is not None:
            self._speaking.connection_lost(exc)

    # ── who is waited for ───────────────────────────────────────────────────────────────────────────────────────────

    def begin_request(self) -> None:
        """Count a request that begins; from now on the server works. The request before may still be ending."""
        self._requests += 1
        self.work()

    def end_request(self) -> None:
        """Count a request that ends; wait for the client's next one unless that has begun."""
        self._requests -= 1
        if not self._requests:
            self.keep()

    def keep(self) -> None:
        """Wait for the client's next request, and from its first byte on for the rest of it as for any other."""
        self._is_kept = True
        self.wait_for_client(max(KEPT_SECONDS, self._connections.limits.silent_seconds))

    def wait_for_client(self, allowed_seconds: float | None = None) -> None:
        """Wait for the client for so many seconds (``None``: as long as any silence may last)."""
        self._connections.wait_for(self, allowed_seconds)

    @property
    def waits_for_client(self) -> bool:
        """Whether the client must send something before the deadline."""
        return self._connections.waits_for(self)

    def work(self) -> None:
        """Stop waiting for the client: the server works."""
        self._connections.work_for(self)

    def is_stuck(self, now: float, longest: float) -> bool:
        """Return whether the client has taken nothing of what waits to be sent for longer than ``longest`` seconds.

        Acknowledged bytes count too: a slow client may empty megabytes of the system's buffer before ours shrinks.
        """
        unsent = self._transport.get_write_buffer_size() if self._transport is not None else 0
        taken = self._acknowledged() if unsent else 0
        if unsent == 0 or unsent < self._unsent or self._unsent == 0 or taken != self._taken:
            self._unsent_since = now
        self._unsent, self._taken = unsent, taken
        return unsent > 0 and now - self._unsent_since > longest

    def _acknowledged(self) -> int:
        """Return how many bytes the other side has acknowledged in all; 0 where the system does not report it."""
        if _TCP_INFO is None or self.accepted is None:
            return 0
        try:
            info = self.accepted.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _TCP_INFO_BYTES)
            return int(struct.unpack_from("=Q", info, _BYTES_ACKED)[0])
        except (OSError, struct.error):  # closed, or a system that reports less
            return 0

    def end(self, *, with_reason: bool = False) -> None:
        """Close at once. ``with_reason``: send the reason first if the client has begun a request."""
        self._connections.leave(self)
        if self._transport is None:
            if self.handshake is not None:
                self.handshake.cancel()
            return
        sends_reason = with_reason and self._received_anything and not self._is_kept and self._speaks_http
        if (sends_reason or self._is_kept) and self._transport.get_write_buffer_size() == 0:
            if sends_reason:
                self._transport.write(_TOO_SLOW)
            self._transport.close()
            # The system accepts so few bytes at once, except for a client that reads nothing.
            asyncio.get_running_loop().call_later(_FAREWELL_SECONDS, self._transport.abort)
        else:
            self._transport.abort()


class _Line:
    """A transport that changes the protocol at the connection instead of at the real transport."""

    def __init__(self, transport: asyncio.Transport, connection: Connection) -> None:
        self._transport = transport
        self._connection = connection
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.get_extra_info = transport.get_extra_info

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Replace the protocol from now on."""
        self._connection.pass_to(cast("asyncio.Protocol", protocol))


class Connections:
    """All connections of one listener. The owner calls ``sweep`` often."""

    def __init__(self, limits: Limits, trusted: Collection[Network]) -> None:
        """``trusted``: the networks of reverse proxies, which pass on requests of many clients."""
        self.limits = limits
        self.protocol_of: MakeProtocol = lambda _: asyncio.Protocol()
        self._trusted = tuple(trusted)
        self._all: set[Connection] = set()
        self._waiting: dict[Connection, None] = {}  # in the order in which they began to wait
        self._by_address: dict[str, dict[Connection, None]] = {}
        self._in_flight: dict[str, int] = {}

    def set_protocol_of(self, make_protocol: MakeProtocol) -> None:
        """Set which protocol each connection uses; call it before the first one is admitted."""
        self.protocol_of = make_protocol

    def __len__(self) -> int:
        return len(self._all)

    def admit(self, host: str) -> Connection | None:
        """Admit a client from ``host``; closes another waiting connection if necessary. ``None``: there is no place."""
        exempt = self.stands_for_many(host)
        address = grouped(host)
        mine = self._by_address.get(address, {})
        if not exempt and len(mine) >= self.limits.per_address and not self._make_room(mine):
            return None
        if len(self._all) >= self.limits.total and not self._make_room(self._waiting):
            return None
        connection = Connection(self, address, exempt=exempt)
        self._all.add(connection)
        self._by_address.setdefault(address, {})[connection] = None
        self.wait_for(connection)
        return connection

    def stands_for_many(self, host: str) -> bool:
        """Return whether the address belongs to this machine or to a trusted reverse proxy."""
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return address.is_loopback or any(address in network for network in self._trusted)

    def make_any_room(self) -> bool:
        """Close the connection that has waited longest; return whether there was one."""
        return self._make_room(self._waiting)

    def _make_room(self, among: dict[Connection, None]) -> bool:
        if among is self._waiting:  # which is in order
            oldest = next(iter(among), None)
        else:
            waiting = (one for one in among if one in self._waiting)
            oldest = min(waiting, key=lambda one: one.waits_since, default=None)
        if oldest is None:
            return False
        oldest.end()
        return True

    def wait_for(self, connection: Connection, allowed_seconds: float | None = None) -> None:
        """Wait for that client."""
        if connection not in self._all:
            return
        now = asyncio.get_running_loop().time()
        allowed = self.limits.silent_seconds if allowed_seconds is None else allowed_seconds
        connection.waits_since, connection.deadline = now, now + allowed
        self._waiting.pop(connection, None)
        self._waiting[connection] = None

    def expect_rest(self, connection: Connection) -> None:
        """Expect the rest of a request within the limit of silence, because its first bytes have arrived."""
        if connection in self._waiting:
            latest = asyncio.get_running_loop().time() + self.limits.silent_seconds
            connection.deadline = min(connection.deadline, latest)

    def waits_for(self, connection: Connection) -> bool:
        """Return whether that client is waited for."""
        return connection in self._waiting

    def work_for(self, connection: Connection) -> None:
        """Stop waiting for that client."""
        self._waiting.pop(connection, None)

    def leave(self, connection: Connection) -> None:
        """Forget a connection that is closed or about to be."""
        self._all.discard(connection)
        self._waiting.pop(connection, None)
        mine = self._by_address.get(connection.address)
        if mine is not None:
            mine.pop(connection, None)
            if not mine:
                del self._by_address[connection.address]

    def sweep(self) -> int:
        """Close every connection that is silent, or takes nothing of what is sent, for too long; return how many."""
        now = asyncio.get_running_loop().time()
        late = [one for one in self._waiting if now > one.deadline]
        stuck = [one for one in self._all if one.is_stuck(now, self.limits.silent_seconds)]
        for connection in late:
            connection.end(with_reason=True)
        for connection in stuck:
            connection.end()
        return len(late) + len(stuck)

    def end_all(self) -> None:
        """Close every connection."""
        for connection in list(self._all):
            connection.end()

    @contextmanager
    def in_flight(self, host: str) -> Iterator[bool]:
        """Count a request that a proxy passed on for that address. Yields whether it may continue."""
        address = grouped(host)
        if self._in_flight.get(address, 0) >= self.limits.per_address:
            yield False
            return
        self._in_flight[address] = self._in_flight.get(address, 0) + 1
        try:
            yield True
        finally:
            self._in_flight[address] -= 1
            if not self._in_flight[address]:
                del self._in_flight[address]


@lru_cache(maxsize=4096)
def grouped(host: str) -> str:
    """Return the address for counting: for IPv6 the /64 network that one customer is given."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if address.version == 4:
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address), _SITE_PREFIX), strict=False))
