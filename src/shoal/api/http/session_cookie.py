"""The browser's session cookie, and whether a request comes from a page of this server."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from functools import lru_cache
from urllib.parse import urlsplit

from fastapi import Response
from starlette.requests import HTTPConnection
from starlette.types import Scope

from shoal.auth.device_marks import LIFETIME_SECONDS

SECURE_NAME = "__Host-shoal_session"
"""For HTTPS. With this prefix the browser refuses a cookie that another host or plain HTTP sets."""
PLAIN_NAME = "shoal_session"
"""For plain HTTP, where the prefix is not possible."""
SECURE_DEVICE_NAME = "__Host-shoal_device"
PLAIN_DEVICE_NAME = "shoal_device"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_SAME_SITE = "same-origin"
_PASSED_ON = frozenset({b"x-forwarded-for", b"forwarded", b"x-real-ip"})
"""Headers of a reverse proxy. Those of a trusted proxy are already applied; the address is then the visitor's."""
_DEFAULT_PORTS = {"http": 80, "https": 443}


def is_secure(connection: HTTPConnection) -> bool:
    """Return whether the browser uses TLS. A trusted proxy reports it by ``X-Forwarded-Proto``."""
    return connection.scope["scheme"] in {"https", "wss"}


def cookie_token(connection: HTTPConnection) -> str | None:
    """Return the browser's session token, if it sent one."""
    return connection.cookies.get(SECURE_NAME if is_secure(connection) else PLAIN_NAME) or None


def set_cookie(connection: HTTPConnection, response: Response, token: str, lifetime_seconds: float) -> None:
    """Set the session cookie. Scripts cannot read it, and other sites cannot make the browser send it."""
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
    """Return the marks of the browser's earlier logins; empty without any. They give no access."""
    return connection.cookies.get(SECURE_DEVICE_NAME if is_secure(connection) else PLAIN_DEVICE_NAME, "")


def keep_device_marks(connection: HTTPConnection, response: Response, marks: str) -> None:
    """Set the cookie that identifies the browser at later logins, also after it signed out."""
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
    """Delete the session cookie."""
    secure = is_secure(connection)
    name = SECURE_NAME if secure else PLAIN_NAME
    response.delete_cookie(name, path="/", secure=secure, httponly=True, samesite="strict")


def is_own_origin(connection: HTTPConnection) -> bool:
    """Return whether a page of this server made the request, by its ``Origin``. Browsers omit it for some reads only.

    ``Sec-Fetch-Site`` must agree when a browser sends it: scripts cannot forge it. The scheme is compared only when the
    server knows that TLS is used: a proxy that ends TLS may not report it.
    """
    if connection.headers.get("sec-fetch-site", _SAME_SITE) != _SAME_SITE:
        return False
    try:
        origin = urlsplit(connection.headers.get("origin", ""))
    except ValueError:  # not a URL
        return False
    if not origin.netloc or (is_secure(connection) and origin.scheme != "https"):
        return False
    host = connection.headers.get("host", "")
    return _address(origin.scheme, origin.netloc) == _address(origin.scheme, host)


def cookie_counts(connection: HTTPConnection) -> bool:
    """Return whether the cookie of a request counts: sent by a page of this server, or by a user who typed the URL.

    A typed URL counts for plain reading only. A page on another port of the same machine is another origin:
    ``SameSite`` alone does not exclude it.
    """
    if connection.scope.get("method") not in SAFE_METHODS or "origin" in connection.headers:
        return is_own_origin(connection)
    return connection.headers.get("sec-fetch-site", _SAME_SITE) in {_SAME_SITE, "none"}


def comes_from_this_machine(scope: Scope, names: Collection[bytes]) -> bool:
    """Return whether the request comes directly from this machine, so that it is safe without TLS.

    ``names``: those of its headers.
    """
    if not _PASSED_ON.isdisjoint(names):
        return False
    client = scope.get("client")
    return client is None or is_loopback(client[0])


@lru_cache(maxsize=1024)
def is_loopback(host: str) -> bool:
    """Return whether a client's address is one of this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a test client has a name instead of an address
        return False


def _address(scheme: str, netloc: str) -> str:
    """Return host and port in one spelling: without a default port."""
    return netloc.lower().removesuffix(f":{_DEFAULT_PORTS.get(scheme, '')}")
