"""Requests under a name that is not the server's are refused, and each such name is a line of the log once."""

from __future__ import annotations

import httpx
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from shoal.api.http.host_names import HostNames
from shoal.network.addresses import parse_host_names


async def test_each_strange_name_is_told_once_however_often_it_comes() -> None:
    names = HostNames(allowed=parse_host_names("shop.example"), proxies=())

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if strange := names.strange_name(scope, {name for name, _ in scope["headers"]}):
            await names.refuse(strange, scope, receive, send)
        else:
            await PlainTextResponse("in")(scope, receive, send)

    asked = "shop.example", "evil.example", "evil.example", "other.example", "long" * 100
    with capture_logs() as told:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop.example") as client:
            answers = [(await client.get("/", headers={"host": name})).status_code for name in asked]
    assert [status == 200 for status in answers] == [True, False, False, False, False]
    assert [line["host"] for line in told] == ["evil.example", "other.example", "long" * 25]
