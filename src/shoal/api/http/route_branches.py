"""Finds a request's route among the few that its path may match, instead of among all of them."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send


class RouteBranches:
    """Routers by the first segment and the length of a path; the router of all routes for every other path.

    Each branch keeps the order of its routes, and answers 404 and 405 as the router of all would.
    """

    def __init__(self, router: APIRouter) -> None:
        self._router = router
        keyed = [(route, _branch_of(route)) for route in router.routes]
        self._branches = {
            key: _router_of([route for route, own in keyed if own in {None, key}])
            for key in {own for _, own in keyed if own is not None}
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on to the router of its branch."""
        router = self._router
        if scope["type"] != "lifespan" and not scope.get("root_path"):
            router = self._branches.get(_key_of(scope["path"]), router)
        await router(scope, receive, send)


def _key_of(path: str) -> tuple[str, int]:
    return path[1:].partition("/")[0], path.count("/")


def _branch_of(route: BaseRoute) -> tuple[str, int] | None:
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
