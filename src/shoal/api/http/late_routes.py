"""``LateRoutes``: the routes of a module that is imported when a path needs it, or once the server listens.

The modules of routes, with the shapes of their answers, are a quarter of what a server imports, and the first requests
need few of them. A table says beforehand which branches of paths each module has, so that a request waits for the
modules that its path may need, and for no other. Nothing of this is left once all are imported.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterable
from importlib import import_module

from fastapi import APIRouter
from starlette.routing import BaseRoute

Branch = tuple[str, int]
"""The first segment of a path, and how many it has."""


def branch_of_path(path: str) -> Branch:
    """Return the branch of the path of a request."""
    return path[1:].partition("/")[0], path.count("/")


def branch_of(route: BaseRoute) -> Branch | None:
    """Return the branch of a route; ``None`` when its path may have another beginning or length."""
    path = getattr(route, "path", None)
    if path is None or not hasattr(route, "endpoint") or ":path}" in path:
        return None
    branch = branch_of_path(path)
    return None if "{" in branch[0] else branch


class LateRoutes(BaseRoute):
    """Stands among all routes in the place of those of a module, until it is imported.

    Args:
        module: the name of the module. Its ``routes`` is a router.
        branches: the branches of its routes: each of them has one.
    """

    def __init__(self, module: str, branches: Iterable[Branch]) -> None:
        self.module = module
        self.branches = frozenset(branches)

    @property
    def is_imported(self) -> bool:
        """Return whether the module was imported."""
        return sys.modules.get(self.module) is not None

    def made(self) -> list[BaseRoute]:
        """Return the routes; the first call imports the module. Raises what the import raises."""
        router: APIRouter = import_module(self.module).routes
        return router.routes

    async def made_in_turn(self) -> list[BaseRoute]:
        """Return the routes. After an import, what else waits for the loop has its turn."""
        was_imported = self.is_imported
        made = self.made()
        if not was_imported:
            await asyncio.sleep(0)
        return made


async def import_late(routes: list[BaseRoute]) -> None:
    """Import the modules of the late ones among these routes, one after another, and put all in their place.

    After each of them as much time is left to requests as it took. Raises what an import raises.
    """
    for route in [one for one in routes if isinstance(one, LateRoutes) and not one.is_imported]:
        began = time.monotonic()
        route.made()
        await asyncio.sleep(time.monotonic() - began)
    put_in_place(routes)


def put_in_place(routes: list[BaseRoute]) -> None:
    """Put the routes of each late module in its place, at once. Raises what an import raises."""
    if any(isinstance(route, LateRoutes) for route in routes):
        routes[:] = [one for route in routes for one in (route.made() if isinstance(route, LateRoutes) else [route])]
