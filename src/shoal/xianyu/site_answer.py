"""Reads every HTTP answer of the site: its body, within bounds, and its words, without secrets."""

from __future__ import annotations

import aiohttp

MAX_REPLY_BYTES = 2 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_MAX_SITE_TEXT = 200
_SHORTEST_SECRET = 6


def without_secrets(text: str, cookie_header: str) -> str:
    """Return the site's text, shortened and without any value of the cookie."""
    for part in cookie_header.split(";"):
        secret = part.partition("=")[2].strip()
        for piece in (secret, secret.partition("_")[0]):
            if len(piece) >= _SHORTEST_SECRET:
                text = text.replace(piece, "…")
    return text[:_MAX_SITE_TEXT]


async def bounded_body(response: aiohttp.ClientResponse) -> bytes | None:
    """Return the body, ``None`` when it is longer than ``MAX_REPLY_BYTES``."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
        body += chunk
        if len(body) > MAX_REPLY_BYTES:
            return None
    return bytes(body)
