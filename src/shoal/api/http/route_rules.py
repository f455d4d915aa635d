"""Declares what each route requires of its caller, where it is enforced, so that tests can read it.

A dependency that admits or refuses a caller carries its ``RouteRule``. The rule of a route is the strictest combination
of the rules of its dependencies. ``require_rules`` refuses to build an application with a route that has no rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import IntEnum
from functools import cache
from inspect import signature
from typing import Any, TypeVar, get_args

import msgspec
from fastapi import APIRouter, Depends, params
from fastapi.routing import APIRoute, APIWebSocketRoute

from shoal.auth.permission import Permission

Function = Callable[..., Any]
Marked = TypeVar("Marked", bound=Function)
Note = TypeVar("Note")


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


def ruled(rule: RouteRule) -> Callable[[Marked], Marked]:
    """Attach to a dependency the rule that it enforces."""

    def carry(function: Marked) -> Marked:
        function.__dict__["route_rule"] = rule
        return reads_token(function) if rule.asks is not Asks.NOTHING else function

    return carry


def reads_token(function: Marked) -> Marked:
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


def rule_of(route: Any) -> RouteRule | None:
    """Return what the route requires; ``None`` when it declares no rule. Our routes have it ready (``rule``)."""
    if hasattr(route, "rule"):
        ready: RouteRule | None = route.rule
        return ready
    return strictest(parts_of(route.endpoint, route.dependencies))


def strictest(parts: Iterable[Function]) -> RouteRule | None:
    """Return the strictest combination of the rules of dependencies."""
    found: RouteRule | None = None
    for rule in (getattr(part, "route_rule", None) for part in parts):
        if rule is not None:
            found = rule if found is None else found.with_(rule)
    return found


def are_for_tokens(parts: Iterable[Function]) -> bool:
    """Return whether one of these dependencies reads the caller's token."""
    return any(hasattr(part, "reads_token") for part in parts)


def parts_of(function: Function, needed: Iterable[params.Depends] = ()) -> Iterator[Function]:
    """Yield a function, and all dependencies that its signature and theirs name."""
    yield function
    for need in (*needed, *(note for _, note in notes_of(function, params.Depends))):
        if need.dependency is not None:
            yield from parts_of(need.dependency)


@cache
def notes_of(function: Function, kind: type[Note]) -> list[tuple[str, Note]]:
    """Return the notes of one kind that stand at the parameters of a function (``Annotated[…]``), with their names."""
    parameters = signature(function, eval_str=True).parameters.values()
    return [(one.name, note) for one in parameters for note in get_args(one.annotation) if isinstance(note, kind)]


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
