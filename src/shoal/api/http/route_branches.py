"""Finds a request's route among the few that its path may match, instead of among all of them."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

_Branch = tuple[str, int]
"""The first segment of a path, and how many it has."""


class RouteBranches:
    """Routers by the first segment and the length of a path; the router of all routes for every other path.

    Each branch keeps the order of its routes, and answers 404 and 405 as the router of all would.
    """

    def __init__(self, router: APIRouter) -> None:
        self._router = router
        self._routes = _by_branch(router.routes)
        self._made: dict[_Branch, APIRouter] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on to the router of its branch."""
        router = self._router
        if scope["type"] != "lifespan" and not scope.get("root_path"):
            key = _key_of(scope["path"])
            router = self._made.get(key) or self._make(key)
        await router(scope, receive, send)

    def _make(self, key: _Branch) -> APIRouter:
        """Make the router of a branch at its first request; a server with 150 of them would start later."""
        routes = self._routes.get(key)
        if routes is None:
            return self._router
        self._made[key] = _router_of(routes)
        return self._made[key]


def _by_branch(routes: Sequence[BaseRoute]) -> dict[_Branch, list[BaseRoute]]:
    """Return the routes of each branch, those of every branch among them, in their order."""
    branches: dict[_Branch, list[BaseRoute]] = {}
    of_all: list[BaseRoute] = []
    for route in routes:
        key = _branch_of(route)
        if key is None:
            of_all.append(route)
            for branch in branches.values():
                branch.append(route)
        else:
            branches.setdefault(key, [*of_all]).append(route)
    return branches


def _key_of(path: str) -> _Branch:
    return path[1:].partition("/")[0], path.count("/")


def _branch_of(route: BaseRoute) -> _Branch | None:
    """Return the branch of a route; ``None`` when its path may have another beginning or length."""
    path = getattr(route, "path", None)
    if path is None or not hasattr(route, "endpoint") or ":path}" in path:
        return None
    key = _key_of(path)
    return None if "{" in key[0] else key


def _router_of(routes: Sequence[BaseRoute]) -> APIRouter:
    router = APIRouter(redirect_slashes=False)
    router.routes.extend(routes)
    return router
