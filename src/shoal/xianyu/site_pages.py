"""Decides which addresses from the site may be shown as links: the site's own pages, over HTTPS.

An address may come through a proxy, or from an impostor. Any other address is shown as plain text, not as a link.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

SITE_URL: Final = "https://www.goofish.com"
"""The page for the user when the site gave no address of its own."""
MESSAGES_URL: Final = f"{SITE_URL}/im"
"""The page on which a seller passes a check, in the browser and network that the cookie is from."""
PAGE_OF_ORDER: Final = f"{SITE_URL}/order-detail?orderId={{}}&role=seller"
"""The page of an order, for its seller."""
PAGE_OF_ITEM: Final = f"{SITE_URL}/item?id={{}}"
"""The page of an item."""
KNOWN_DOMAINS: Final = ("goofish.com", "taobao.com", "alipay.com")
"""The domains, with all their subdomains, of the site's verification pages."""
_ADDRESS = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(?::(?P<port>\d{1,5}))?"
    r"(?:[/?#][!-;=?-\[\]^_a-z{|}~]*)?",
    re.IGNORECASE,
)
"""An address that all browsers read in the same way: no user before the host, no backslash, blank or quote."""
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_Place = tuple[str, str, int]


class SitePages:
    """The pages of one site. ``configured``: the addresses of its services, which may be a local sandbox.

    ``domains`` are those of the site, with all their subdomains.
    """

    def __init__(self, configured: Iterable[str] = (), *, domains: Iterable[str] = KNOWN_DOMAINS) -> None:
        self._domains = tuple(domains)
        self._configured = frozenset(place for url in configured if (place := _place_of_setting(url)) is not None)

    def split(self, url: str) -> tuple[str, str]:
        """Return the address as a link and as a plain text: one of the two is empty."""
        return (url, "") if self.has(url) else ("", url)

    def has(self, url: str) -> bool:
        """Return whether this is a page of the site, so that it may be shown as a link."""
        found = _ADDRESS.fullmatch(url)
        if found is None:
            return False
        scheme, host = found["scheme"].lower(), found["host"].lower()
        port = int(found["port"] or _PORTS[scheme])
        if (scheme, host, port) in self._configured:
            return True
        known = any(host == domain or host.endswith(f".{domain}") for domain in self._domains)
        return known and scheme == "https" and port == _PORTS["https"]


def _place_of_setting(url: str) -> _Place | None:
    parts = urlsplit(url)
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    if scheme not in {"http", "https"} or not parts.hostname:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return scheme, host.lower(), parts.port or _PORTS[scheme]
