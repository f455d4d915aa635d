"""The client of the shell: what it tells a server, and when."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from shoal.cli.api_client import ApiClient, Refused


async def test_a_server_that_takes_no_password_in_clear_never_hears_one() -> None:
    heard: list[str] = []

    async def far_away(request: web.Request) -> web.Response:
        heard.append(await request.text())
        return web.json_response({"detail": "use https", "code": "plain_http", "params": {}}, status=403)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", far_away)
    async with TestServer(app) as server, ApiClient(str(server.make_url("/"))) as client:
        with pytest.raises(Refused) as caught:
            await client.sign_in("admin", "a good password 1")
    assert caught.value.code == "plain_http"
    assert heard == ["{}"]
