"""The cookie in which a browser keeps its sign-in, and whether a request comes from a page of ours."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from fastapi import Response
from starlette.requests import HTTPConnection

from shoal.auth.device_marks import LIFETIME_SECONDS

SECURE_NAME = "__Host-shoal_session"
"""Over HTTPS. The prefix makes the browser refuse a cookie that another host, or plain HTTP, tries to plant."""
PLAIN_NAME = "shoal_session"
"""Over plain HTTP, where the prefix is not possible."""
SECURE_DEVICE_NAME = "__Host-shoal_device"
PLAIN_DEVICE_NAME = "shoal_device"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_SAME_SITE = "same-origin"
_PASSED_ON = ("x-forwarded-for", "forwarded", "x-real-ip")
"""What a reverse proxy says. One that we trust has been heard before; then the address is the visitor's."""
_DEFAULT_PORTS = {"http": 80, "https": 443}


def is_secure(connection: HTTPConnection) -> bool:
    """Whether the browser came over TLS (a proxy that is trusted says so by ``X-Forwarded-Proto``)."""
    return connection.scope["scheme"] in {"https", "wss"}


def cookie_token(connection: HTTPConnection) -> str | None:
    """The token of the browser's sign-in, if it sent one."""
    return connection.cookies.get(SECURE_NAME if is_secure(connection) else PLAIN_NAME) or None


def set_cookie(connection: HTTPConnection, response: Response, token: str, lifetime_seconds: float) -> None:
    """Give the browser its token. No script can read it, and no other site can make the browser send it."""
    secure = is_secure(connection)
    response.set_cookie(
        SECURE_NAME if secure else PLAIN_NAME,
        token,
        max_age=int(lifetime_seconds),
        path="/",
        secure=secure,
        httponly=True,
        samesite="strict",
    )


def device_marks(connection: HTTPConnection) -> str:
    """What the browser kept of earlier sign-ins, if anything. It opens nothing."""
    return connection.cookies.get(SECURE_DEVICE_NAME if is_secure(connection) else PLAIN_DEVICE_NAME, "")


def keep_device_marks(connection: HTTPConnection, response: Response, marks: str) -> None:
    """Let the browser be known next time, also after it signed out."""
    secure = is_secure(connection)
    response.set_cookie(
        SECURE_DEVICE_NAME if secure else PLAIN_DEVICE_NAME,
        marks,
        max_age=LIFETIME_SECONDS,
        path="/",
        secure=secure,
        httponly=True,
        samesite="strict",
    )


def clear_cookie(connection: HTTPConnection, response: Response) -> None:
    """Let the browser forget its token."""
    secure = is_secure(connection)
    name = SECURE_NAME if secure else PLAIN_NAME
    response.delete_cookie(name, path="/", secure=secure, httponly=True, samesite="strict")


def is_own_origin(connection: HTTPConnection) -> bool:
    """Whether the page that asks was served from this very address. Browsers say so with all but plain reading.

    ``Sec-Fetch-Site`` must agree where a browser sends it: no script can forge it. The scheme is compared only when we
    know that TLS was used: a proxy that ends TLS may not tell us.
    """
    if connection.headers.get("sec-fetch-site", _SAME_SITE) != _SAME_SITE:
        return False
    try:
        origin = urlsplit(connection.headers.get("origin", ""))
    except ValueError:  # no address at all
        return False
    if not origin.netloc or (is_secure(connection) and origin.scheme != "https"):
        return False
    host = connection.headers.get("host", "")
    return _address(origin.scheme, origin.netloc) == _address(origin.scheme, host)


def cookie_counts(connection: HTTPConnection) -> bool:
    """Whether a cookie was sent by a page of ours, or, for plain reading, by a person who typed the address.

    The site of another port of this machine is another page: ``SameSite`` alone does not keep it out.
    """
    if connection.scope.get("method") not in SAFE_METHODS or "origin" in connection.headers:
        return is_own_origin(connection)
    return connection.headers.get("sec-fetch-site", _SAME_SITE) in {_SAME_SITE, "none"}


def comes_from_this_machine(connection: HTTPConnection) -> bool:
    """Whether nobody between can listen, even without TLS. What somebody passed on does not come from here."""
    if any(name in connection.headers for name in _PASSED_ON):
        return False
    try:
        return connection.client is None or ipaddress.ip_address(connection.client.host).is_loopback
    except ValueError:  # a test client has a name instead of an address
        return False


def _address(scheme: str, netloc: str) -> str:
    """Host and port in one spelling: a default port is left out."""
    return netloc.lower().removesuffix(f":{_DEFAULT_PORTS.get(scheme, '')}")
