"""The API's document, made once for each process of the tests: making it takes a second."""

from __future__ import annotations

from functools import cache
from typing import Any

from starlette.routing import BaseRoute

from shoal.server.reply_server import Application, build_app
from support.site.standins import FakeSite, quick_settings


@cache
def api_document() -> dict[str, Any]:
    """Return the document. Do not change it."""
    share_document()
    return build_app(quick_settings(), connect=FakeSite().connect).openapi()


@cache
def share_document() -> None:
    """Let the applications of this process that have the very same routes show one document."""
    made: dict[tuple[int, ...], tuple[list[BaseRoute], dict[str, Any]]] = {}
    make = Application.openapi

    def openapi(app: Application) -> dict[str, Any]:
        name = tuple(map(id, app.routes))
        if name not in made:
            made[name] = [*app.routes], make(app)
        return made[name][1]

    Application.openapi = openapi  # type: ignore[method-assign,assignment]
