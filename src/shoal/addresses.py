"""Where a server that listens can be reached, and networks as settings write them."""

from __future__ import annotations

import contextlib
import ipaddress
from ipaddress import IPv4Network, IPv6Network


def reachable_url(host: str, port: int, *, scheme: str = "http") -> str:
    """The address to type into a browser on this machine."""
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(host)
        if address.is_unspecified:
            host = "127.0.0.1" if address.version == 4 else "::1"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether a server that listens there is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def parse_networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """The networks and addresses of a setting, with commas or blanks between. Raises ``ValueError`` naming the word."""
    networks = []
    for word in text.replace(",", " ").split():
        try:
            networks.append(ipaddress.ip_network(word, strict=False))
        except ValueError:
            raise ValueError(f"{word} is neither an address nor a network") from None
    return tuple(networks)
