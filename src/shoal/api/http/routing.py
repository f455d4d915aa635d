"""The router class of all route modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import APIRouter
from fastapi.routing import APIRoute

from shoal.api.http.idempotency import ChangingRoute

Function = TypeVar("Function", bound=Callable[..., Any])


def answered_at_once(function: Function) -> Function:
    """Mark the function of a route that only reads, and waits for nothing once the caller is known."""
    function.__dict__["at_once"] = True
    return function


def is_answered_at_once(function: Callable[..., Any]) -> bool:
    """Return whether the function of a route is marked so."""
    return "at_once" in function.__dict__


class Routes(APIRouter):
    """A router whose operation ids are the names of the functions."""

    def __init__(self, *, route_class: type[ChangingRoute] = ChangingRoute, **values: Any) -> None:
        super().__init__(generate_unique_id_function=_operation_id, route_class=route_class, **values)


def _operation_id(route: APIRoute) -> str:
    return route.name
