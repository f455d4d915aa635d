"""Security headers for every answer: no scripts, no frames, no type guessing, no caching, no referrer."""

from __future__ import annotations

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
