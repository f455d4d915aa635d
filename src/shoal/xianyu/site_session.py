"""The HTTP session that all accounts share: one connection pool, one TLS context, no cookie jar."""

from __future__ import annotations

from types import SimpleNamespace

import aiohttp

DEFAULT_USER_AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/133.0.0.0 Safari/537.36"
)

READ_BUFFER_BYTES = 16 * 1024
UNREACHABLE, SITE_UNTRUSTED = "unreachable", "site_untrusted"
"""Why no connection came about: nobody answers, or who answers cannot prove to be the site."""

_DNS_CACHE_SECONDS = 300


class Redirected(aiohttp.ClientError):
    """The site, or somebody who stands in for it, wants us to go elsewhere with the login. Nobody went.

    ``location`` may be anybody's text, and ``status`` is the answer's.
    """

    def __init__(self, status: int, location: str) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.location = location


def code_of_failure(failure: Exception) -> str:
    """The reason to name when no connection came about."""
    return SITE_UNTRUSTED if isinstance(failure, aiohttp.ClientSSLError) else UNREACHABLE


def open_session(connector: aiohttp.BaseConnector) -> aiohttp.ClientSession:
    """Open a session over a connector. It keeps no cookies and follows no redirect; the caller closes it.

    A handshake cannot be told not to follow one, so it is stopped before it does: what was sent next, to wherever that
    led, would be the account's token.
    """
    stop = aiohttp.TraceConfig()
    stop.on_request_redirect.append(_stop)
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        read_bufsize=READ_BUFFER_BYTES,
        trace_configs=[stop],
    )


async def _stop(_: aiohttp.ClientSession, __: SimpleNamespace, what: aiohttp.TraceRequestRedirectParams) -> None:
    raise Redirected(what.response.status, what.response.headers.get("Location", ""))


def open_site_session(*, max_http_connections: int = 0) -> aiohttp.ClientSession:
    """Open a session fit for many accounts; 0 means no limit on connections. The caller closes it.

    Cookies are never kept in it: each account sends its own header, so no account can be given another's login.
    """
    connector = aiohttp.TCPConnector(limit=max_http_connections, ttl_dns_cache=_DNS_CACHE_SECONDS)
    return open_session(connector)


def require_no_cookie_jar(session: aiohttp.ClientSession) -> None:
    """Raise ``TypeError`` when a session keeps cookies of its own, which would mix the accounts' logins."""
    if not isinstance(session.cookie_jar, aiohttp.DummyCookieJar):
        raise TypeError("the shared session must not keep cookies: open it by open_site_session()")
