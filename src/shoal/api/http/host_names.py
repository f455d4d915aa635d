"""Refuses requests for host names other than the server's own: its addresses, ``localhost`` and the names it is given.

The owner of a domain name can point it at any address (DNS rebinding). A browser then treats the pages of that name and
this server as one site.
"""

from __future__ import annotations

import html
import ipaddress
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Final

import structlog
from fastapi.responses import HTMLResponse, Response
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from shoal.api.http.problem_table import PROBLEMS
from shoal.api.http.problems import problem_answer
from shoal.language.catalogue import translate
from shoal.language.choice import language_of
from shoal.network.addresses import Network, host_name, is_allowed_host

log = structlog.get_logger("shoal.listener")

SETTING: Final = "SHOAL_ALLOWED_HOSTS"
_MOST_LOGGED: Final = 50
"""The number of refused names that are logged, each once."""
_LONGEST_SHOWN: Final = 100
_LONGEST_HOST: Final = 300
"""Of a ``Host`` header in bytes: no name is longer, and what anybody may send must not fill the memory."""
_PAGE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"
}


class HostNames:
    """The names under which the server may be reached. Only it reads ``X-Forwarded-Host``, and only of trusted
    proxies."""

    def __init__(self, *, allowed: frozenset[str], proxies: Sequence[Network]) -> None:
        self._allowed = allowed
        self._logged: set[str] = set()
        self._is_proxy = lru_cache(maxsize=1024)(lambda host: _is_within(host, proxies))
        self._is_own = lru_cache(maxsize=1024)(self._looked_up)

    def strange_name(self, scope: Scope, names: Collection[bytes]) -> str:
        """Return the name of a request that is not the server's; empty if there is none.

        A name that a proxy passes on becomes that of the request. ``names``: those of its headers.
        """
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if b"x-forwarded-host" in names:
            passed_on = [value for name, value in scope["headers"] if name == b"x-forwarded-host"]
            believed = self._comes_from_proxy(scope)
            forwarded = _last(passed_on) if believed else b""
            _rename(scope, forwarded)
            hosts += [forwarded] if forwarded else []
        for host in hosts:
            if len(host) > _LONGEST_HOST or not self._is_own(host):
                return host_name(host.decode("latin-1"))
        return ""

    def _looked_up(self, host: bytes) -> bool:
        """Return whether the server may be reached under the name in a ``Host`` header."""
        name = host_name(host.decode("latin-1"))
        return not name or is_allowed_host(name, self._allowed)  # browsers always send a name

    def _comes_from_proxy(self, scope: Scope) -> bool:
        client = scope.get("client")
        return client is not None and self._is_proxy(client[0])

    async def refuse(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for a name that is not the server's."""
        shown = "".join(letter if letter.isprintable() else "?" for letter in name[:_LONGEST_SHOWN])
        if shown not in self._logged and len(self._logged) < _MOST_LOGGED:
            self._logged.add(shown)
            log.warning("refused: the server is not to be reached under this name", host=shown, setting=SETTING)
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # closed before it is accepted: the client gets a 403
            return
        await _answer(shown, Headers(scope=scope))(scope, receive, send)


def _answer(name: str, headers: Headers) -> Response:
    language = language_of(headers.get("accept-language"))
    if "text/html" not in headers.get("accept", ""):
        return problem_answer("unknown_host", headers.get("accept-language"), {"host": name})
    problem = PROBLEMS["unknown_host"]
    title = translate("page.unknown_host", language)
    text = html.escape(problem.sentence(language, {"host": name}))
    page = (
        f"<!doctype html><html lang={language.tag}><meta charset=utf-8>"
        f"<meta name=color-scheme content='light dark'><meta name=viewport content='width=device-width'>"
        f"<title>Shoal</title><body style='font:16px/1.6 system-ui,sans-serif;max-width:38em;margin:15vh auto;"
        f"padding:0 1.5em'><h1 style='font-size:1.4em'>{title}</h1><p>{text}</p>"
    )
    return HTMLResponse(page, problem.status, headers=_PAGE_HEADERS)


def _rename(scope: Scope, host: bytes) -> None:
    """Take ``X-Forwarded-Host`` out of a request; a trusted forwarded name becomes its ``Host``."""
    dropped = {b"x-forwarded-host", b"host"} if host else {b"x-forwarded-host"}
    kept = [(name, value) for name, value in scope["headers"] if name not in dropped]
    scope["headers"] = [*kept, (b"host", host)] if host else kept


def _last(values: Sequence[bytes]) -> bytes:
    """Return the value of the nearest proxy, which adds its own at the end."""
    return values[-1].rpartition(b",")[2].strip()


def _is_within(host: str, networks: Sequence[Network]) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in networks)
