"""Binds the address of a server, and says why it cannot be used. It imports little, for the demo."""

from __future__ import annotations

import errno
import socket

from shoal.errors import ConfigError


def bind(host: str, port: int) -> socket.socket:
    """Bind the address, without listening yet. Raises ``ConfigError``."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError:
        raise ConfigError("startup.not_our_address", host=host) from None
    taken = socket.socket(family, kind, protocol)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        taken.bind(address)
    except OSError as error:
        taken.close()
        raise unusable(host, port, error) from None
    taken.setblocking(False)
    return taken


def unusable(host: str, port: int, error: OSError) -> ConfigError:
    """Return the error of an address that cannot be used, with its sentence."""
    if isinstance(error, PermissionError):
        return ConfigError("startup.port_needs_rights", port=port)
    if error.errno == errno.EADDRINUSE:
        return ConfigError("startup.port_in_use", port=port, host=host)
    return ConfigError("startup.port_unusable", host=host, port=port, why=error.strerror)
