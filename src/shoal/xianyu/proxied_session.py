"""A session that reaches the site only through one proxy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from shoal.network.outbound import Outbound
from shoal.xianyu.proxy import parse_proxy
from shoal.xianyu.site_session import open_session


@asynccontextmanager
async def session_through(
    url: str, direct: aiohttp.ClientSession, *, connect_timeout_seconds: float, outbound: Outbound
) -> AsyncIterator[aiohttp.ClientSession]:
    """Yield the session for an account with that stored proxy: ``direct`` only when it has none.

    ``outbound`` decides where a proxy may be. A session through a proxy has no other way to the site; it raises
    ``ProxyFailed`` when the proxy fails.
    """
    if not url:
        yield direct
        return
    from shoal.xianyu.proxy_connector import OnlyThrough  # noqa: PLC0415  loaded by the first account with a proxy

    connector = OnlyThrough(parse_proxy(url), connect_timeout_seconds, outbound)
    async with open_session(connector) as session:
        yield session
