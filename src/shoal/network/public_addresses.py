"""Which addresses are public, by a list of our own: that of ``ipaddress`` differs from one Python to the next.

The ranges are those of the IANA registries of special-purpose addresses that are not globally reachable, and a few more
that lead inside. Only the standard library is used here, so that every installed Python can be asked.
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
        "100.64.0.0/10",  # carriers' own; metadata of one cloud among them
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's own server of metadata, at a public address
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments, metadata of one cloud among them
        "192.0.2.0/24",
        "192.88.99.0/24",  # relays of 6to4, which lead anywhere
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",
    )
)
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
"""Of IPv6 nothing else is public, but what stands for a public IPv4 address."""
_SPECIAL_IPV6: Final = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",
        "3fff::/20",  # documentation
    )
)
_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_NAT64: Final = IPv6Network("64:ff9b::/96")
_LAST_32_BITS: Final = (_MAPPED, _NAT64, IPv6Network("64:ff9b:1::/48"), IPv6Network("::/96"))
"""IPv6 addresses whose last 32 bits are an IPv4 address: mapped, NAT64, and the compatible ones of old."""
_SIX_TO_FOUR: Final = IPv6Network("2002::/16")


def meanings(text: str) -> list[Address]:
    """The address, and those that it stands for besides itself: mapped, translated, tunnelled.

    Empty for something that is no address.
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
    """Whether that very address is public. What else it stands for must be asked about by itself."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _SPECIAL_IPV4)
    if address in _MAPPED or address in _NAT64:
        return True
    return address in _GLOBAL_UNICAST and not any(address in network for network in _SPECIAL_IPV6)
