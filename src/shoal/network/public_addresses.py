"""Decides which addresses are public, by our own list: that of ``ipaddress`` differs between Python versions.

The ranges are the IANA special-purpose ranges that are not globally reachable, and a few more that lead to internal
services. This module uses only the standard library, so that a test can run it with every installed Python.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_SPECIAL_IPV4: Final = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # for carriers; includes the metadata service of one cloud
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's metadata server, at a public address
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments; includes the metadata service of one cloud
        "192.0.2.0/24",
        "192.88.99.0/24",  # 6to4 relays, which forward to any address
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",
    )
)
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
"""All other IPv6 addresses are not public, except those that contain a public IPv4 address."""
_SPECIAL_IPV6: Final = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments, Teredo included
        "2001:db8::/32",
        "3fff::/20",  # documentation
    )
)
_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_NAT64: Final = IPv6Network("64:ff9b::/96")
_LAST_32_BITS: Final = (_MAPPED, _NAT64, IPv6Network("64:ff9b:1::/48"), IPv6Network("::/96"))
"""IPv6 addresses whose last 32 bits are an IPv4 address: mapped, NAT64, and the deprecated compatible ones."""
_SIX_TO_FOUR: Final = IPv6Network("2002::/16")


def meanings(text: str) -> list[Address]:
    """Return the address and the addresses it contains: mapped, translated or tunnelled.

    Empty for a text that is not an address.
    """
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return []
    if isinstance(address, IPv4Address):
        return [address]
    bits = int(address)
    found: list[Address] = [address]
    if any(address in network for network in _LAST_32_BITS):
        found.append(IPv4Address(bits & 0xFFFF_FFFF))
    if address in _SIX_TO_FOUR:
        found.append(IPv4Address(bits >> 80 & 0xFFFF_FFFF))
    return found


def is_public(address: Address) -> bool:
    """Return whether this one address is public. The caller must check the addresses it contains by themselves."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _SPECIAL_IPV4)
    if address in _MAPPED or address in _NAT64:
        return True
    return address in _GLOBAL_UNICAST and not any(address in network for network in _SPECIAL_IPV6)
