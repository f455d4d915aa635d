"""The handshake of the message socket, and the meaning of its failures (docs/protocol.md §3.1)."""

from __future__ import annotations

import asyncio

import aiohttp

from shoal.errors import TemporaryFailure
from shoal.xianyu.browser import Browser
from shoal.xianyu.mtop_reply import stop_in
from shoal.xianyu.site_session import ProxyFailed, Redirected, code_of_failure

CLOSE_LIMIT_SECONDS = 2.0
"""How long the closing handshake may take."""


async def open_socket(
    session: aiohttp.ClientSession,
    url: str,
    cookie_header: str,
    browser: Browser,
    *,
    max_frame_bytes: int,
    timeout_seconds: float,
) -> aiohttp.ClientWebSocketResponse:
    """Open the socket at ``url``.

    Raises ``ActionRequired`` (``risk_control``) when the handshake is redirected to the site's verification page, and
    ``TemporaryFailure`` when it cannot be opened: ``unreachable``, ``handshake_refused`` with ``status``, or the code
    of a ``ProxyFailed``.
    """
    try:
        async with asyncio.timeout(timeout_seconds):
            return await session.ws_connect(
                url,
                headers=_headers(cookie_header, browser),
                compress=0,
                max_msg_size=max_frame_bytes,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_LIMIT_SECONDS),
            )
    except aiohttp.WSServerHandshakeError as refusal:
        # "from None", here and below: aiohttp's errors refer to the request, and so to the cookie.
        raise TemporaryFailure(
            f"the message socket refused the handshake: HTTP {refusal.status}",
            code="handshake_refused",
            status=refusal.status,
        ) from None
    except Redirected as elsewhere:
        stop = stop_in(elsewhere.status, elsewhere.location, None)
        if stop is not None:
            raise stop from None
        raise TemporaryFailure(
            f"the message socket refused the handshake: {elsewhere}", code="handshake_refused", status=elsewhere.status
        ) from None
    except ProxyFailed as failure:
        raise TemporaryFailure(f"the message socket cannot be reached: {failure}", code=failure.code) from None
    except (aiohttp.ClientError, OSError) as failure:
        raise TemporaryFailure(
            f"the message socket cannot be reached ({type(failure).__name__})", code=code_of_failure(failure)
        ) from None


def _headers(cookie_header: str, browser: Browser) -> dict[str, str]:
    """Return the headers of §3.1 (browsers send no client hints); aiohttp adds ``Host`` and ``Connection``, once."""
    return {
        "Cookie": cookie_header,
        "Origin": "https://www.goofish.com",
        "User-Agent": browser.user_agent,
        "Pragma": "no-cache",
        "Cache-Control": "no-cache",
        "Accept-Encoding": "gzip, deflate, br, zstd",
        "Accept-Language": browser.language,
    }
