"""The HTTP session that all accounts share: one connection pool, one TLS context, no cookie jar."""

from __future__ import annotations

import aiohttp

DEFAULT_USER_AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/133.0.0.0 Safari/537.36"
)

READ_BUFFER_BYTES = 16 * 1024
_DNS_CACHE_SECONDS = 300


def open_site_session(*, max_http_connections: int = 0) -> aiohttp.ClientSession:
    """Open a session fit for many accounts; 0 means no limit on connections. The caller closes it.

    Cookies are never kept in it: each account sends its own header, so no account can be given another's login.
    """
    connector = aiohttp.TCPConnector(limit=max_http_connections, ttl_dns_cache=_DNS_CACHE_SECONDS)
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        read_bufsize=READ_BUFFER_BYTES,
    )


def require_no_cookie_jar(session: aiohttp.ClientSession) -> None:
    """Raise ``TypeError`` when a session keeps cookies of its own, which would mix the accounts' logins."""
    if not isinstance(session.cookie_jar, aiohttp.DummyCookieJar):
        raise TypeError("the shared session must not keep cookies: open it by open_site_session()")
