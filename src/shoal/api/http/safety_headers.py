"""Security headers for every answer: no scripts, no frames, no type guessing, no caching, no referrer."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

SAFE = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Defaults: a route may set other values, as the console's pages do."""
HSTS = "max-age=31536000"


def safe_headers(*, hsts: bool) -> list[tuple[bytes, bytes]]:
    """Return the headers as they are sent."""
    names = SAFE | ({"Strict-Transport-Security": HSTS} if hsts else {})
    return [(name.lower().encode(), value.encode()) for name, value in names.items()]


class SafetyHeaders:
    """Middleware around the whole application, including its errors.

    Args:
        hsts: tells browsers to use only HTTPS; for a server that handles TLS itself.
    """

    def __init__(self, app: ASGIApp, *, hsts: bool) -> None:
        self._app = app
        self._defaults = safe_headers(hsts=hsts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and add missing headers to the answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                present = {name for name, _ in headers}
                message["headers"] = headers + [one for one in self._defaults if one[0] not in present]
            await send(message)

        await self._app(scope, receive, with_headers)
