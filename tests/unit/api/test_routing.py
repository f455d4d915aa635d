"""A route is made ready by its first request, and by nothing before."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.exceptions import FastAPIError
from fastapi.routing import APIRoute

from doors import living
from shoal.api.http.late_routes import LateRoutes
from shoal.api.http.route_at_need import RouteAtNeed
from shoal.api.http.route_rules import ANYBODY
from shoal.api.http.routing import Routes
from shoal.server import reply_server
from standins import FakeSite, quick_settings

PROGRAM = """
import asyncio, httpx, sys
from shoal.api.http.route_at_need import RouteAtNeed
from shoal.config import Settings
from shoal.server.reply_server import build_app
def imported():
    return {name.removeprefix("shoal.api.routes.") for name in sys.modules if name.startswith("shoal.api.routes.")}
async def answered(method, path):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shoal") as client:
        return (await client.request(method, path)).status_code
app = build_app(Settings())
before = imported()
print(asyncio.run(answered("DELETE", "/goods")), *sorted(imported() - before))
routes = [route for route in app.routes if isinstance(route, RouteAtNeed)]
print(len(routes), sum(route.is_ready for route in routes))
operations = sum(len(methods) for methods in app.openapi()["paths"].values())
print(operations, sum(len(route.methods) for route in routes if route.include_in_schema))
"""


class NoShape:
    """Nothing that a body can be."""


async def wrong(body: NoShape) -> None:
    """FastAPI refuses it."""


def two_routes() -> Routes:
    routes = Routes(dependencies=[ANYBODY])

    @routes.get("/shops/{key}", summary="One")
    async def one(key: int) -> dict[str, int]:
        return {"key": key}

    @routes.put("/shops/{key}", summary="Another")
    async def another(key: int) -> dict[str, int]:
        return {"put": key}

    return routes


def app_of(routes: Routes) -> FastAPI:
    app = FastAPI()
    app.router.routes.extend(routes.routes)
    return app


async def ask(app: FastAPI, method: str, path: str) -> tuple[int, Any]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://shoal") as client:
        answer = await client.request(method, path)
    return answer.status_code, answer.json()


def ready(routes: Routes) -> list[bool]:
    return [route.is_ready for route in routes.routes if isinstance(route, RouteAtNeed)]


async def test_the_first_request_makes_its_route_ready_and_no_other() -> None:
    routes = two_routes()
    app = app_of(routes)
    assert ready(routes) == [False, False]
    assert (await ask(app, "DELETE", "/shops/1"))[0] == 405
    assert (await ask(app, "GET", "/other"))[0] == 404
    assert ready(routes) == [False, False]
    assert await ask(app, "PUT", "/shops/1") == (200, {"put": 1})
    assert ready(routes) == [False, True]
    assert (await ask(app, "GET", "/shops/x"))[0] == 422
    assert await ask(app, "GET", "/shops/2") == (200, {"key": 2})
    assert ready(routes) == [True, True]


def test_a_route_at_need_is_the_route_that_fastapi_makes_at_once() -> None:
    async def change(key: int, body: dict[str, int]) -> list[int]:
        """Change it."""
        return [key, *body.values()]

    options: dict[str, Any] = {"methods": ["put", "POST"], "summary": "Change", "dependencies": [ANYBODY]}
    at_once, at_need = APIRoute("/a/{key}", change, **options), RouteAtNeed("/a/{key}", change, **options)
    known = {name: at_need.__dict__[name] for name in ("path", "name", "methods", "path_regex", "path_format")}
    assert known == {name: at_once.__dict__[name] for name in known}
    assert [at_need.is_ready, at_need.body_field is None, at_need.is_ready] == [False, False, True]
    assert at_need.__dict__.keys() == at_once.__dict__.keys()
    assert at_need == at_once


def test_a_wrong_route_stays_wrong_and_says_so_each_time() -> None:
    route = RouteAtNeed("/wrong", wrong)
    for _ in range(2):
        with pytest.raises(FastAPIError, match="Invalid args for response field"):
            _ = route.dependant
        assert not route.is_ready


def test_what_no_route_has_is_missing_in_one_that_is_ready_too() -> None:
    with pytest.raises(AttributeError, match=r"DirectRoute of /shops/.key. has no such_thing"):
        _ = two_routes().routes[0].such_thing  # type: ignore[attr-defined]


async def test_a_module_that_cannot_be_imported_fails_its_requests_and_ends_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_routes.py").write_text("raise RuntimeError('a broken module')")
    monkeypatch.syspath_prepend(tmp_path)
    late = LateRoutes("broken_routes", [("broken", 1)])
    monkeypatch.setattr(reply_server, "routes_at_need", lambda: [late, *two_routes().routes])
    app = reply_server.build_app(quick_settings(data_dir=tmp_path / "data"), connect=FakeSite().connect)
    async with living(app):
        with pytest.raises(RuntimeError, match="a broken module"):
            await asyncio.wait_for(app.state.starting[-1], 60)
        assert (await ask(app, "GET", "/shops/2"))[0] == 200
        for _ in range(2):
            assert (await ask(app, "GET", "/broken"))[0] == 500


@pytest.mark.slow
def test_an_application_starts_with_no_route_ready_and_its_document_has_them_all() -> None:
    told = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=300, check=True)
    answered, *lines = told.stdout.splitlines()
    assert answered == "405 goods history"
    (routes, ready_ones), (operations, shown) = (map(int, line.split()) for line in lines)
    assert routes > 100
    assert ready_ones == 0
    assert operations >= shown > 90
