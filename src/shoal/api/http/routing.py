"""The router class of all route modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from fastapi import APIRouter
from fastapi.routing import APIRoute

from shoal.api.http.route_rules import is_for_tokens

_SCHEME: Final = "HTTPBearer"
SECURITY_SCHEMES: Final = {
    _SCHEME: {"type": "http", "scheme": "bearer", "description": "A token from POST /login or POST /tokens."}
}
"""For the OpenAPI document. No dependency reads the token by itself, so that FastAPI does not know of it."""


class Routes(APIRouter):
    """A router whose operation ids are the names of the functions."""

    def __init__(self, **values: Any) -> None:
        super().__init__(generate_unique_id_function=_operation_id, **values)

    def add_api_route(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """Add a route; in the OpenAPI document it needs a token if it reads one."""
        super().add_api_route(path, endpoint, **options)
        route = self.routes[-1]
        if isinstance(route, APIRoute) and is_for_tokens(route):
            route.openapi_extra = {"security": [{_SCHEME: []}], **(route.openapi_extra or {})}


def _operation_id(route: APIRoute) -> str:
    return route.name
