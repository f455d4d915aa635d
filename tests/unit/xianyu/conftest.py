"""The site that unit tests of the live socket talk to."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from shoal.xianyu.site_session import open_site_session
from small_live_site import Site


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    app = web.Application()
    app.router.add_get("/", site.handle)
    async with TestServer(app) as server, open_site_session() as session:
        site.url = str(server.make_url("/")).replace("http", "ws", 1)
        site.session = session
        yield site
