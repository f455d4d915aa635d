"""Addresses at which a server can be reached, and networks and host names in settings."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from ipaddress import IPv4Network, IPv6Network

Network = IPv4Network | IPv6Network
DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8080
"""Where a server listens without another setting."""
_HOST_NAME = re.compile(r"(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]{0,62}\.?)+")
_LONGEST_NAME = 253


def reachable_url(host: str, port: int, *, scheme: str = "http") -> str:
    """Return the address to type into a browser on this machine."""
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(host)
        if address.is_unspecified:
            host = "127.0.0.1" if address.version == 4 else "::1"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def is_loopback(host: str) -> bool:
    """Return whether a server that listens on ``host`` can be reached only from this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def parse_networks(text: str) -> tuple[Network, ...]:
    """Parse networks and addresses, separated by commas or blanks. Raises ``ValueError`` that names the wrong part."""
    networks = []
    for word in text.replace(",", " ").split():
        try:
            networks.append(ipaddress.ip_network(word, strict=False))
        except ValueError:
            raise ValueError(f"{word} is neither an address nor a network") from None
    return tuple(networks)


def parse_host_names(text: str) -> frozenset[str]:
    """Parse host names, separated by commas or blanks; ``*.`` at the front means every name below.

    Raises ``ValueError`` that names the wrong part.
    """
    names = set()
    for word in text.replace(",", " ").split():
        name = word.lower().rstrip(".")
        if len(name) > _LONGEST_NAME or not _HOST_NAME.fullmatch(name):
            raise ValueError(f"{word} is no name of a host; write it without https:// and without a port")
        names.add(name)
    return frozenset(names)


def host_name(netloc: str) -> str:
    """Return the name or address of a ``Host`` header: without the port, in lower case."""
    text = netloc.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0].rstrip(".")


def is_allowed_host(name: str, allowed: frozenset[str]) -> bool:
    """Return whether a page may be reached under that name.

    Allowed are IP addresses, names of this machine and the names in ``allowed``.
    """
    if name == "localhost" or name.endswith(".localhost") or name in allowed:
        return True
    if any(one.startswith("*.") and name.endswith(one[1:]) for one in allowed):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
