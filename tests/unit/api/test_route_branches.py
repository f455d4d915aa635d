"""Every request finds the route that the router of all routes would find."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from shoal.api.http.late_routes import branch_of
from shoal.api.http.route_branches import RouteBranches
from shoal.server.reply_server import build_app
from shoal.server.route_table import BRANCHES, late_routes, routers
from standins import FakeSite, quick_settings


def some_routes() -> APIRouter:
    """Routes that overlap: by order, by parameter, by methods, and one that takes any number of segments."""
    router = APIRouter(redirect_slashes=False)

    def add(path: str, *methods: str) -> None:
        async def answer() -> dict[str, Any]:
            return {"path": path, "methods": methods}

        router.add_api_route(path, answer, methods=list(methods))

    add("/", "GET")
    add("/shops", "GET", "POST")
    add("/shops/status", "PUT")
    add("/shops/{key}", "GET", "PUT", "DELETE")
    add("/shops/{key}/status", "PUT")
    add("/files/{path:path}", "GET")
    add("/{anything}", "PATCH")
    add("/{anything}/{more}", "PATCH")
    return router


async def answer_of(app: ASGIApp, method: str, path: str) -> tuple[int, Any, str | None]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shoal") as client:
        answer = await client.request(method, path)
    return answer.status_code, answer.text, answer.headers.get("allow")


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "POST", "DELETE", "PATCH"])
async def test_a_branch_answers_as_the_router_of_all_routes_would(method: str) -> None:
    all_routes, branched = FastAPI(redirect_slashes=False), FastAPI(redirect_slashes=False)
    all_routes.router.routes[:] = branched.router.routes[:] = some_routes().routes
    branches = RouteBranches(branched.router)
    branched.build_middleware_stack = _around(branched, branches)  # type: ignore[method-assign]
    for path in (
        "/", "/shops", "/shops/", "/shops/status", "/shops/x", "/shops/x/status", "/shops/x/other", "/shops/x/status/y",
        "/files/a", "/files/a/b/c", "/files", "/unknown", "/unknown/x", "//", "/shops//status", "/%2Fshops",
    ):  # fmt: skip
        assert await answer_of(branched, method, path) == await answer_of(all_routes, method, path), path


def _around(app: FastAPI, branches: RouteBranches) -> Any:
    original, router = app.build_middleware_stack, app.router

    def build() -> ASGIApp:
        app.router = branches  # type: ignore[assignment]
        try:
            return original()
        finally:
            app.router = router

    return build


def test_the_table_names_the_branches_of_each_module() -> None:
    for name, router in zip(BRANCHES, routers(), strict=True):
        found = [branch_of(route) for route in router.routes]
        branches = "" if None in found else " ".join(dict.fromkeys("/".join(map(str, one or ())) for one in found))
        assert BRANCHES[name] == branches, f'write in server/route_table.py: "{name}": "{branches}",'


async def test_a_late_module_answers_every_path_that_it_would_answer_at_once() -> None:
    at_once = RouteBranches(_router([route for router in routers() for route in router.routes]))
    stand_ins = [[late_routes(name)] if BRANCHES[name] else late_routes(name).made() for name in BRANCHES]
    late = RouteBranches(_router([route for routes in stand_ins for route in routes]))
    assert len(at_once._routes) > 150
    for branch in at_once._routes:
        wanted, found = await at_once.router_of(branch), await late.router_of(branch)
        assert list(map(id, found.routes)) == list(map(id, wanted.routes)), branch


def _router(routes: Sequence[BaseRoute]) -> APIRouter:
    router = APIRouter()
    router.routes.extend(routes)
    return router


def test_most_routes_of_the_server_are_looked_for_among_few(tmp_path: Path) -> None:
    app = build_app(quick_settings(data_dir=tmp_path), connect=FakeSite().connect)
    assert len(app.routes) > 130
    branches = RouteBranches(app.router)._routes
    longest = max(len(routes) for routes in branches.values())
    assert longest < 45, json.dumps({"/".join(map(str, key)): len(routes) for key, routes in branches.items()})
