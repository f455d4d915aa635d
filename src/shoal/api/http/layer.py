"""The one layer around the application: what holds for every request before its route is found, and after."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

import structlog
from fastapi import FastAPI, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from shoal.api.http.host_names import HostNames
from shoal.api.http.hot_routes import HotRoutes
from shoal.api.http.problems import failure_answer, is_expected
from shoal.api.http.request_checks import RequestChecks
from shoal.api.http.request_limits import RequestLimits
from shoal.logs.redaction import redact_path
from shoal.network.addresses import Network
from shoal.traces import request_began

_PASSED_ON: Final = frozenset({b"x-forwarded-for", b"x-forwarded-proto"})
SAFE: Final = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""The headers of every answer: no scripts, no frames, no type guessing, no caching, no referrer. A route may set other
values, as the console's pages do."""
HSTS: Final = "max-age=31536000"
_ours = logging.getLogger("shoal")
log = structlog.get_logger("shoal.requests")


class Layer:
    """Passes a request on in this order: headers of every answer, answers to failures, host names, headers of a trusted
    proxy, limits of connections, checks of the request; then the hot routes, then all others.

    Args:
        app: the application; its own handlers answer the failures of its routes.
        hot: routes that are looked for first, and reach their functions without FastAPI.
        proxies: the networks whose forwarding headers are believed.
        hsts: whether answers tell browsers to use HTTPS only.
    """

    def __init__(
        self,
        app: FastAPI,
        hot: HotRoutes,
        *,
        names: HostNames,
        limits: RequestLimits,
        checks: RequestChecks,
        proxies: Sequence[Network],
        hsts: bool,
    ) -> None:
        self._app = app
        self._hot = hot
        self._names = names
        self._limits = limits
        self._checks = checks
        behind: Any = self._limited
        if proxies:
            behind = ProxyHeadersMiddleware(behind, trusted_hosts=[str(one) for one in proxies])
        self._behind_proxy: ASGIApp = behind
        safe = SAFE | ({"Strict-Transport-Security": HSTS} if hsts else {})
        self._safe = [(name.lower().encode(), value.encode()) for name, value in safe.items()]
        self._safe_names = frozenset(name for name, _ in self._safe)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        request_began()
        scope["app"] = self._app
        has_begun = False

        async def answer(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            if message["type"] == "http.response.start":
                self._complete(scope, message)
            await send(message)

        try:
            await self._named(scope, receive, answer)
        except Exception as error:
            if has_begun:
                raise
            await (await failure_answer(Request({**scope, "type": "http"}), error))(scope, receive, answer)
            if not is_expected(error):
                raise

    async def _named(self, scope: Scope, receive: Receive, send: Send) -> None:
        names = {name for name, _ in scope["headers"]}
        if strange := self._names.strange_name(scope, names):
            await self._names.refuse(strange, scope, receive, send)
        elif names.isdisjoint(_PASSED_ON):
            await self._limits.through(self._checked, scope, receive, send)
        else:
            await self._behind_proxy(scope, receive, send)

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._limits.through(self._checked, scope, receive, send)

    async def _checked(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await self._checks.look(scope, receive, send)
        if body is not None:
            await (self._hot.find(scope) or self._app)(scope, body, send)

    def _complete(self, scope: Scope, message: Message) -> None:
        """Add the headers that every answer has to the head of one; log a refusal, at DEBUG every request."""
        headers, missing = message["headers"], self._safe
        if not self._safe_names.isdisjoint([name for name, _ in headers]):
            present = {name for name, _ in headers}
            missing = [header for header in missing if header[0] not in present]
        message["headers"] = [*headers, *missing]
        if message["status"] >= 400 or _ours.isEnabledFor(logging.DEBUG):
            host, port = scope.get("client") or ("", 0)
            facts = {"client": f"{host}:{port}", "method": scope["method"], "path": redact_path(quote(scope["path"]))}
            (log.info if message["status"] >= 400 else log.debug)("request", **facts, status=message["status"])
