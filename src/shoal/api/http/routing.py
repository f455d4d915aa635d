"""The router class of all route modules."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute

from shoal.api.http.idempotency import ChangingRoute


class Routes(APIRouter):
    """A router whose operation ids are the names of the functions."""

    def __init__(self, *, route_class: type[ChangingRoute] = ChangingRoute, **values: Any) -> None:
        super().__init__(generate_unique_id_function=_operation_id, route_class=route_class, **values)


def _operation_id(route: APIRoute) -> str:
    return route.name
