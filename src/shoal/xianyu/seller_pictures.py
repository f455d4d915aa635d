"""Fetches the picture of a seller from the site's hosts, as a page shows it: without the login."""

from __future__ import annotations

import aiohttp

from shoal.errors import TemporaryFailure
from shoal.xianyu.browser import SITE, Browser
from shoal.xianyu.site_answer import bounded_body
from shoal.xianyu.site_pages import SitePages
from shoal.xianyu.site_session import ProxyFailed
from shoal.xianyu.uploads import PICTURE_DOMAINS


async def fetch_picture(
    session: aiohttp.ClientSession, browser: Browser, site_url: str, url: str, *, timeout_seconds: float = 20.0
) -> bytes:
    """Return the file at an address that the site gave, unchecked.

    Raises ``TemporaryFailure`` (``picture_not_fetched``, or a proxy's reason); also when the address is of no host of
    the site, which is not asked. ``site_url`` is the configured site, which may be a sandbox.
    """
    hosts = SitePages((site_url,), domains=PICTURE_DOMAINS)
    encrypted = f"https:{url.removeprefix('http:')}" if url.startswith(("//", "http://")) else url
    url = url if hosts.has(url) else encrypted
    if not hosts.has(url):
        raise _failed("no address of the site")
    headers = {
        "Accept": "image/webp,image/*;q=0.8",
        "Referer": f"{SITE}/",
        "Sec-Fetch-Dest": "image",
        "Sec-Fetch-Mode": "no-cors",
        "Sec-Fetch-Site": "cross-site",
        **browser.headers,
    }
    limit = aiohttp.ClientTimeout(total=timeout_seconds)
    try:
        async with session.get(url, headers=headers, allow_redirects=False, timeout=limit) as response:
            body = await bounded_body(response) if response.status == 200 else None
    except ProxyFailed as failure:
        raise TemporaryFailure(f"picture: {failure}", code=failure.code) from None
    except (aiohttp.ClientError, OSError, ValueError) as failure:  # ValueError: a host's name that cannot be looked up
        raise _failed(type(failure).__name__) from None
    if body is None:
        raise _failed(f"HTTP {response.status}")
    return body


def _failed(why: str) -> TemporaryFailure:
    return TemporaryFailure(f"picture: {why}", code="picture_not_fetched")
