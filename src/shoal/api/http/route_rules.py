"""What each route asks of its caller, declared where it is enforced, so that it can be read back and proved.

A dependency that lets somebody in, or refuses them, carries its ``RouteRule``; the rule of a route is what those of its
dependencies come to. ``require_rules`` refuses to build an application that has a route without one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeVar

from fastapi import APIRouter, Depends
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, APIWebSocketRoute

from shoal.auth.permission import Permission

Function = TypeVar("Function", bound=Callable[..., Any])


class Asks(IntEnum):
    """Of whom a route asks anything, in rising order."""

    NOTHING = 0
    """Anybody may call."""
    PERMISSION = 1
    """Who is signed in, or comes with a token of enough scope; for a shop: with enough right on it."""
    SESSION = 2
    """A person who is signed in; a token is refused, whatever its scope."""
    ADMINISTRATOR = 3
    """The same, an administrator."""


class Shop(IntEnum):
    """Which shop it is about, in rising order."""

    NONE = 0
    """None; or all on which the caller has the right."""
    CONTENT = 1
    """One that the query or the body names; the route itself checks the right on it."""
    PATH = 2
    """The one that the path names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RouteRule:
    """What a route asks. ``adds_shops``: of who may have shops of their own."""

    asks: Asks
    permission: Permission = Permission.READ
    shop: Shop = Shop.NONE
    adds_shops: bool = False

    def with_(self, other: RouteRule) -> RouteRule:
        """Both: whatever is more."""
        return RouteRule(
            asks=max(self.asks, other.asks),
            permission=max(self.permission, other.permission),
            shop=max(self.shop, other.shop),
            adds_shops=self.adds_shops or other.adds_shops,
        )


def ruled(rule: RouteRule) -> Callable[[Function], Function]:
    """Let a dependency carry the rule that it enforces."""

    def carry(function: Function) -> Function:
        function.__dict__["route_rule"] = rule
        return function

    return carry


@ruled(RouteRule(asks=Asks.NOTHING))
async def _anybody() -> None:
    pass


@ruled(RouteRule(asks=Asks.SESSION))
async def _by_itself() -> None:
    pass


ANYBODY = Depends(_anybody)
"""For ``dependencies=[…]`` of a route that asks nothing of its caller."""
SIGNED_IN_BY_ITSELF = Depends(_by_itself)
"""The same for a socket, which must look at the sign-in by itself."""


def rule_of(route: APIRoute | APIWebSocketRoute) -> RouteRule | None:
    """What the route asks; ``None`` when nobody said it."""
    found: RouteRule | None = None
    for rule in _rules(route.dependant):
        found = rule if found is None else found.with_(rule)
    return found


def _rules(dependant: Dependant) -> Iterator[RouteRule]:
    rule = getattr(dependant.call, "route_rule", None)
    if rule is not None:
        yield rule
    for part in dependant.dependencies:
        yield from _rules(part)


def routes_of(routers: Iterable[APIRouter]) -> Iterator[APIRoute | APIWebSocketRoute]:
    """Every route of those routers, and of the routers within them."""
    for router in routers:
        for route in router.routes:
            if isinstance(route, APIRoute | APIWebSocketRoute):
                yield route
            elif (within := getattr(route, "original_router", None)) is not None:
                yield from routes_of([within])


def require_rules(routers: Iterable[APIRouter]) -> None:
    """Raise ``LookupError`` that names the routes which say nothing of who may call them."""
    bare = [route.path for route in routes_of(routers) if rule_of(route) is None]
    if bare:
        raise LookupError(
            f"no rule says who may call {', '.join(bare)}: ask for an account or a person by a dependency of "
            "api/http/caller.py, or say dependencies=[ANYBODY]"
        )
