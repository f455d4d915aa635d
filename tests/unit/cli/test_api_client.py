"""The client of the shell: what it tells a server, and when."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from shoal.cli.api_client import ApiClient, NoServer, Refused
from support.network.certificates import untrusted_server


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


@asynccontextmanager
async def following(*events: dict[str, Any]) -> AsyncIterator[ApiClient]:
    """A client of a server whose stream has these events, and ends."""

    async def stream(_: web.Request) -> web.Response:
        return web.Response(text="".join(f"data: {json.dumps(event)}\n\n" for event in events))

    app = web.Application()
    app.router.add_get("/events", stream)
    async with TestServer(app) as server, ApiClient(str(server.make_url("/"))) as client:
        yield client


async def test_all_accounts_are_in_the_first_snapshot_of_the_stream_oldest_first() -> None:
    accounts = [{"id": name, "created_at": at} for name, at in (("new", "2026-01-02"), ("old", "2026-01-01"))]
    async with following({"type": "hello"}, {"type": "snapshot", "accounts": accounts}, {"type": "state"}) as client:
        assert [account["id"] for account in await client.snapshot()] == ["old", "new"]


async def test_a_stream_that_ends_before_its_snapshot_is_no_empty_server() -> None:
    async with following({"type": "hello"}) as client:
        with pytest.raises(NoServer):
            await client.snapshot()


async def test_a_certificate_that_is_not_trusted_is_said_and_not_that_no_server_runs(tmp_path: Path) -> None:
    async with untrusted_server(tmp_path) as url, ApiClient(url) as client:
        with pytest.raises(NoServer, match=r"is not trusted here \(self.signed certificate\).*SSL_CERT_FILE"):
            await client.ask("GET /verify")


async def test_no_call_follows_a_redirect_which_could_take_the_token_elsewhere(tmp_path: Path) -> None:
    asked: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", elsewhere)
    (tmp_path / "file").write_bytes(b"x")
    async with TestServer(app) as server, ApiClient(str(server.make_url("/")), "a token") as client:
        for call in (
            client.ask("GET /a"), client.readiness(), client.send_file("POST /b", "f", b"x"),
            client.send_stream("POST /c", tmp_path / "file"), client.fetch_file("GET /d"), client.snapshot(),
        ):  # fmt: skip
            with pytest.raises((NoServer, Refused)):
                await call
    assert asked == ["/a", "/health/ready", "/b", "/c", "/d", "/events"]
