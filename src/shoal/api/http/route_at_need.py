"""``RouteAtNeed``: a route that is made ready at its first use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from fastapi.routing import APIRoute
from starlette.routing import compile_path, get_name

from shoal.api.http.route_rules import is_for_tokens

_SCHEME: Final = "HTTPBearer"
SECURITY_SCHEMES: Final = {
    _SCHEME: {"type": "http", "scheme": "bearer", "description": "A token from POST /login or POST /tokens."}
}
"""For the OpenAPI document. No dependency reads the token by itself, so that FastAPI does not know of it."""


class RouteAtNeed(APIRoute):
    """A route that FastAPI makes ready when its first request comes, or when its part of the document is read.

    FastAPI needs about 2 ms for a route: its dependencies, a validator for each of its parameters, bodies and answers.
    For all of them that was a fifth of a start. Path, methods and name, by which a request finds its route, are
    known before.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self.path, self.endpoint = path, endpoint
        self.name = options.get("name") or get_name(endpoint)
        self.methods = {method.upper() for method in options.get("methods") or ("GET",)}
        self.path_regex, self.path_format, self.param_convertors = compile_path(path)
        self._options: dict[str, Any] | None = options

    def __getattr__(self, name: str) -> Any:
        """Make the route ready, and return the attribute. Python calls this for what the route does not have yet."""
        options = self.__dict__.pop("_options", None)
        if options is None:
            raise AttributeError(f"{type(self).__name__} of {self.__dict__.get('path')} has no {name}")
        try:
            super().__init__(self.path, self.endpoint, **options)
        except BaseException:
            self._options = options
            raise
        self.openapi_extra = {**self._documented(), **(self.openapi_extra or {})}
        return getattr(self, name)

    def _documented(self) -> dict[str, Any]:
        """Return what the document says of the route, besides what FastAPI finds."""
        return {"security": [{_SCHEME: []}]} if is_for_tokens(self) else {}

    @property
    def is_ready(self) -> bool:
        """Whether something has needed the route."""
        return "_options" not in self.__dict__
