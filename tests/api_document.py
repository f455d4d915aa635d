"""The API's document, made once for each process of the tests: making it takes a second."""

from __future__ import annotations

from functools import cache
from typing import Any

from fastapi import FastAPI
from starlette.routing import BaseRoute

from shoal.server.reply_server import build_app
from standins import FakeSite, quick_settings


@cache
def api_document() -> dict[str, Any]:
    """Return the document. Do not change it."""
    share_document()
    return build_app(quick_settings(), connect=FakeSite().connect).openapi()


@cache
def share_document() -> None:
    """Let the applications of this process that have the very same routes show one document."""
    made: dict[tuple[int, ...], tuple[list[BaseRoute], dict[str, Any]]] = {}
    make = FastAPI.openapi

    def openapi(app: FastAPI) -> dict[str, Any]:
        if app.openapi_schema is None:
            routes = app.routes[1:]  # the first shows the document, and is of one application
            name = tuple(map(id, routes))
            if name not in made:
                made[name] = routes, make(app)
            app.openapi_schema = made[name][1]
        return app.openapi_schema

    FastAPI.openapi = openapi  # type: ignore[method-assign,assignment]
