"""Finds a request's route among the few that its path may match, instead of among all of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from fastapi import APIRouter
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from shoal.api.http.late_routes import Branch, LateRoutes, branch_of, branch_of_path, import_late


class RouteBranches:
    """Routers by the first segment and the length of a path.

    Each branch keeps the order of its routes, and answers 404 and 405 as the router of all would, which answers below a
    ``root_path``. The first request to a branch waits for the import of its modules.
    """

    def __init__(self, router: APIRouter) -> None:
        self._router = router
        self._routes, of_all = _by_branch(router.routes)
        self._made: dict[Branch, APIRouter] = {}
        self._of_no_branch = _router_of(of_all)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on to the router of its branch."""
        router = self._router
        if scope["type"] != "lifespan":
            if not scope.get("root_path"):
                branch = branch_of_path(scope["path"])
                router = self._made.get(branch) or await self.router_of(branch)
            else:
                await import_late(router.routes)
        await router(scope, receive, send)

    async def router_of(self, branch: Branch) -> APIRouter:
        """Return the router of a branch. It is made at its first request; a server with 150 of them would start later.

        Raises what an import raises.
        """
        if branch not in self._routes:
            return self._of_no_branch
        found: list[BaseRoute] = []
        for route in self._routes[branch]:
            if isinstance(route, LateRoutes):
                found += [one for one in await route.made_in_turn() if branch_of(one) == branch]
            else:
                found.append(route)
        self._made[branch] = _router_of(found)
        return self._made[branch]


def _by_branch(routes: Sequence[BaseRoute]) -> tuple[dict[Branch, list[BaseRoute]], list[BaseRoute]]:
    """Return the routes of each branch in their order, and those of every branch, which are among these too."""
    branches: dict[Branch, list[BaseRoute]] = {}
    of_all: list[BaseRoute] = []
    for route in routes:
        mine = _branches_of(route)
        for branch in mine:
            branches.setdefault(branch, [*of_all]).append(route)
        if not mine:
            of_all.append(route)
            for found in branches.values():
                found.append(route)
    return branches, of_all


def _branches_of(route: BaseRoute) -> Collection[Branch]:
    if isinstance(route, LateRoutes):
        return route.branches
    branch = branch_of(route)
    return () if branch is None else (branch,)


def _router_of(routes: Sequence[BaseRoute]) -> APIRouter:
    router = APIRouter(redirect_slashes=False)
    router.routes.extend(routes)
    return router
