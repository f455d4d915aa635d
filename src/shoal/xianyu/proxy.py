"""An account's proxy: what its owner enters, how it is stored, and what of it may be shown."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from shoal.errors import InvalidInput

MAX_PROXY_CHARACTERS = 1_000
MASK = "***"
"""Replaces a proxy's user name and password where it is shown."""

_SCHEMES = {"http", "socks5", "socks5h"}
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]{2,45}")
_CREDENTIAL = re.compile(r"[\x20-\x7e]{1,255}")


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy (by ``CONNECT``) or a SOCKS5 proxy.

    The proxy, not this machine, resolves the site's host names.
    """

    scheme: str
    host: str
    port: int
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def url(self) -> str:
        """The normal form, with the password: a secret."""
        credentials = f"{quote(self.username, safe='')}:{quote(self.password, safe='')}@" if self.username else ""
        return f"{self.scheme}://{credentials}{self._place}"

    @property
    def shown(self) -> str:
        """The form that may be shown: without user name and password."""
        return f"{self.scheme}://{f'{MASK}@' if self.username else ''}{self._place}"

    @property
    def _place(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_proxy(text: str) -> Proxy:
    """Read ``http://user:password@host:port`` or ``socks5://…``; the credentials are optional.

    Raises ``InvalidInput``: ``masked_proxy`` for a proxy that was copied from an answer of the API, otherwise
    ``bad_proxy`` with the ``reason``. No message repeats the text.
    """
    if len(text) > MAX_PROXY_CHARACTERS:
        raise _bad("it is too long")
    try:
        parts = urlsplit(text.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _bad("it is no address") from None
    if parts.scheme not in _SCHEMES:
        raise _bad("it begins with http:// or socks5://")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise _bad("nothing follows the port")
    if not _HOST.fullmatch(host) or not port:
        raise _bad("it has a host and a port")
    username, password = unquote(parts.username or ""), unquote(parts.password or "")
    if MASK in (username, password):
        raise InvalidInput("a shown proxy lacks its password", code="masked_proxy")
    if bool(username) != bool(password) or (username and not _is_usable(parts.scheme, username, password)):
        raise _bad("user name and password have 1 to 255 plain characters each")
    return Proxy(parts.scheme.removesuffix("h"), host, port, username, password)


def shown_proxy(url: str) -> str:
    """Return the form of a stored proxy that may be shown; empty when there is none."""
    return parse_proxy(url).shown if url else ""


def _is_usable(scheme: str, username: str, password: str) -> bool:
    plain = all(_CREDENTIAL.fullmatch(part) for part in (username, password))
    return plain and (scheme != "http" or ":" not in username)


def _bad(why: str) -> InvalidInput:
    return InvalidInput(f"the proxy cannot be used: {why}", code="bad_proxy", reason=why)
