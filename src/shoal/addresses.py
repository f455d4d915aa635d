"""Where a server that listens can be reached."""

from __future__ import annotations

import contextlib
import ipaddress


def reachable_url(host: str, port: int) -> str:
    """The address to type into a browser on this machine."""
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(host)
        if address.is_unspecified:
            host = "127.0.0.1" if address.version == 4 else "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
