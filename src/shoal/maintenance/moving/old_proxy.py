"""The proxy of an account as the old systems keep it: its kind, host, port, user and password in five columns."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from shoal.maintenance.moving.tables import OldRow

_NONE: Final = frozenset({"", "none"})


def proxy_of(row: OldRow) -> str:
    """Return the address of the proxy; empty when the account had none that was used. It may be one that cannot be used
    here: then it says so when it is planned."""
    kind, host = row.stripped("proxy_type").lower(), row.stripped("proxy_host")
    if kind in _NONE or not host:
        return ""
    user, password = (quote(row.text(name), safe="") for name in ("proxy_user", "proxy_pass"))
    place = f"[{host}]" if ":" in host else host
    credentials = f"{user}:{password}@" if user and password else ""
    return f"{kind}://{credentials}{place}:{row.stripped('proxy_port')}"
