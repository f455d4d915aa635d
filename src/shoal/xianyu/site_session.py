"""The HTTP session that all accounts share: one connection pool, one TLS context, no cookie jar."""

from __future__ import annotations

from types import SimpleNamespace

import aiohttp

from shoal.network.fresh_sockets import open_socket

READ_BUFFER_BYTES = 16 * 1024
UNREACHABLE, SITE_UNTRUSTED = "unreachable", "site_untrusted"
"""Why no connection was made: the site does not answer, or what answers cannot prove to be the site."""

_DNS_CACHE_SECONDS = 300


class Redirected(aiohttp.ClientError):
    """The site, or an impostor, redirected a request that contains the login. The redirect was not followed.

    ``location`` may contain any text; ``status`` is the answer's.
    """

    def __init__(self, status: int, location: str) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.location = location


class ProxyFailed(aiohttp.ClientConnectionError):
    """No connection to the site was made, so nothing was sent to it.

    ``code`` is the reason: ``proxy_unreachable`` (the proxy does not answer), ``proxy_refused`` (it does not let us
    through), ``proxy_no_route`` (it does not reach the site), ``proxy_untrusted`` (the server behind it is not the
    site), ``proxy_not_allowed`` (the proxy is inside this machine or its networks).
    """

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code


def code_of_failure(failure: Exception) -> str:
    """Return the reason why no connection was made."""
    return SITE_UNTRUSTED if isinstance(failure, aiohttp.ClientSSLError) else UNREACHABLE


def open_session(connector: aiohttp.BaseConnector) -> aiohttp.ClientSession:
    """Open a session over a connector. It keeps no cookies and follows no redirect; the caller closes it.

    aiohttp's WebSocket handshake has no option against redirects, so a trace hook stops them: the next frame would send
    the account's token to the redirect's target.
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
    """Open a session for many accounts; 0 means no limit on connections. The caller closes it.

    It never keeps cookies: each account sends its own header, so no account can get another's login.
    """
    connector = aiohttp.TCPConnector(
        limit=max_http_connections, ttl_dns_cache=_DNS_CACHE_SECONDS, socket_factory=open_socket
    )
    return open_session(connector)


def require_no_cookie_jar(session: aiohttp.ClientSession) -> None:
    """Raise ``TypeError`` when a session keeps cookies, which would mix the accounts' logins."""
    if not isinstance(session.cookie_jar, aiohttp.DummyCookieJar):
        raise TypeError("the shared session must not keep cookies: open it by open_site_session()")
