"""The server listens before its routes are made, and a request waits for them; one that cannot be made ends it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from shoal.api.http.route_rules import ANYBODY
from shoal.api.http.routing import Routes
from shoal.server import reply_server
from support.servers.doors import living
from support.site.standins import FakeSite, quick_settings

PROGRAM = """
import sys
from shoal.config import Settings
from shoal.server.reply_server import build_app
from shoal.server.route_table import every_route
app = build_app(Settings())
print(app.has_routes, sum(name.startswith("shoal.api.routes.") for name in sys.modules))
routes = every_route()
app.add_routes([])
print(len(routes))
"""


def a_route() -> Routes:
    routes = Routes(dependencies=[ANYBODY])

    @routes.get("/shops/{key}", summary="One")
    async def one(key: int) -> dict[str, int]:
        return {"key": key}

    return routes


async def test_a_request_waits_until_the_routes_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    may_go_on = threading.Event()

    def slowly() -> list[Routes]:
        assert may_go_on.wait(60)
        return [a_route()]

    monkeypatch.setattr(reply_server, "are_imported", lambda: False)
    monkeypatch.setattr(reply_server, "routers", slowly)
    app = reply_server.build_app(quick_settings(data_dir=tmp_path), connect=FakeSite().connect)
    async with living(app), httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shoal") as client:
        waiting = [asyncio.create_task(client.get(f"/shops/{number}")) for number in range(3)]
        await asyncio.sleep(0.05)
        assert not any(task.done() for task in waiting)
        may_go_on.set()
        assert [(await task).json() for task in waiting] == [{"key": 0}, {"key": 1}, {"key": 2}]
        assert (await client.get("/nothing")).status_code == 404


async def test_routes_that_cannot_be_made_end_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Any:
        raise RuntimeError("a broken module")

    monkeypatch.setattr(reply_server, "are_imported", lambda: False)
    monkeypatch.setattr(reply_server, "routers", broken)
    app = reply_server.build_app(quick_settings(data_dir=tmp_path / "data"), connect=FakeSite().connect)
    async with living(app):
        with pytest.raises(RuntimeError, match="a broken module"):
            await asyncio.wait_for(app.state.starting[-1], 60)


@pytest.mark.slow
def test_an_application_is_built_without_its_routes() -> None:
    told = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=300, check=True)
    built, routes = told.stdout.splitlines()
    assert built == "False 2"
    assert int(routes) > 300
