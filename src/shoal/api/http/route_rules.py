"""Declares what each route requires of its caller, where it is enforced, so that tests can read it.

A dependency that admits or refuses a caller carries its ``RouteRule``. The rule of a route is the strictest combination
of the rules of its dependencies. ``require_rules`` refuses to build an application with a route that has no rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import IntEnum
from typing import Any, TypeVar

import msgspec
from fastapi import APIRouter, Depends
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, APIWebSocketRoute

from shoal.auth.permission import Permission

Function = TypeVar("Function", bound=Callable[..., Any])


class Asks(IntEnum):
    """The kind of caller that a route requires, in rising order."""

    NOTHING = 0
    """No sign-in is needed."""
    PERMISSION = 1
    """A signed-in user, or a token of enough scope; for an account, with enough permission on it."""
    SESSION = 2
    """A signed-in user. A token is refused, whatever its scope."""
    ADMINISTRATOR = 3
    """A signed-in administrator."""


class Shop(IntEnum):
    """The account that a route is about, in rising order."""

    NONE = 0
    """No account, or all accounts on which the caller has the permission."""
    CONTENT = 1
    """An account named in the query or body; the route itself checks the permission on it."""
    PATH = 2
    """The account named in the path."""


class RouteRule(msgspec.Struct, frozen=True, kw_only=True):
    """What a route requires. ``adds_shops``: the caller must be a user who may own accounts."""

    asks: Asks
    permission: Permission = Permission.READ
    shop: Shop = Shop.NONE
    adds_shops: bool = False

    def with_(self, other: RouteRule) -> RouteRule:
        """Return the stricter value of both rules, for each field."""
        return RouteRule(
            asks=max(self.asks, other.asks),
            permission=max(self.permission, other.permission),
            shop=max(self.shop, other.shop),
            adds_shops=self.adds_shops or other.adds_shops,
        )


def ruled(rule: RouteRule) -> Callable[[Function], Function]:
    """Attach to a dependency the rule that it enforces."""

    def carry(function: Function) -> Function:
        function.__dict__["route_rule"] = rule
        return reads_token(function) if rule.asks is not Asks.NOTHING else function

    return carry


def reads_token(function: Function) -> Function:
    """Mark a dependency that reads the caller's token, for the OpenAPI document."""
    function.__dict__["reads_token"] = True
    return function


@ruled(RouteRule(asks=Asks.NOTHING))
async def anybody() -> None:
    """Admit everybody."""


@ruled(RouteRule(asks=Asks.SESSION))
async def _by_itself() -> None:
    pass


ANYBODY = Depends(anybody)
"""For ``dependencies=[…]`` of a route without sign-in."""
SIGNED_IN_BY_ITSELF = Depends(_by_itself)
"""For a WebSocket route, which checks the session itself."""


def rule_of(route: APIRoute | APIWebSocketRoute) -> RouteRule | None:
    """Return what the route requires; ``None`` when it declares no rule. It is found once for each route."""
    if "route_rule" not in route.__dict__:
        route.__dict__["route_rule"] = _found_rule(route)
    found: RouteRule | None = route.__dict__["route_rule"]
    return found


def _found_rule(route: APIRoute | APIWebSocketRoute) -> RouteRule | None:
    found: RouteRule | None = None
    for dependency in _dependencies(route.dependant):
        rule = getattr(dependency, "route_rule", None)
        if rule is not None:
            found = rule if found is None else found.with_(rule)
    return found


def is_for_tokens(route: APIRoute) -> bool:
    """Return whether the route reads the caller's token."""
    return any(hasattr(dependency, "reads_token") for dependency in _dependencies(route.dependant))


def _dependencies(dependant: Dependant) -> Iterator[Any]:
    yield dependant.call
    for part in dependant.dependencies:
        yield from _dependencies(part)


def routes_of(routers: Iterable[APIRouter]) -> Iterator[APIRoute | APIWebSocketRoute]:
    """Yield every route of these routers."""
    for router in routers:
        yield from (route for route in router.routes if isinstance(route, APIRoute | APIWebSocketRoute))


def require_rules(routers: Iterable[APIRouter]) -> None:
    """Raise ``LookupError`` with the paths of routes that declare no rule."""
    bare = [route.path for route in routes_of(routers) if rule_of(route) is None]
    if bare:
        raise LookupError(
            f"no rule says who may call {', '.join(bare)}: ask for an account or a user by a dependency of "
            "api/http/caller.py, or say dependencies=[ANYBODY]"
        )
