"""The console's files: one page for all paths below ``/console/``, and the hashed files that it loads."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from shoal.api.http.route_rules import ANYBODY
from shoal.api.http.routing import Routes
from shoal.console.static_files import ASK_AGAIN, FOREVER, file_answer, not_built, page_headers

routes = Routes(include_in_schema=False, dependencies=[ANYBODY])

STATIC: Final = Path(__file__).parent / "static"
"""The output of the build of ``web/``; missing in a fresh checkout."""
_ASSETS: Final = "assets"
_HEADERS: Final = page_headers()


@routes.get("/")
@routes.get("/admin")
@routes.get("/login.html")
@routes.get("/register.html")
async def redirect_to_console() -> RedirectResponse:
    """Redirect an address without a path, and those of the older system's pages, to the console."""
    return RedirectResponse("/console/", headers={"Cache-Control": ASK_AGAIN})


@routes.get("/console")
@routes.get("/console/{path:path}")
async def show_console(request: Request, path: str = "") -> Response:
    """Return a built file, or the page, which routes by the path itself."""
    if not (STATIC / "index.html").is_file():
        return not_built(request, "page.no_console", "make console")
    name = path if _is_file_name(path) else "index.html"
    caching = FOREVER if name.startswith(f"{_ASSETS}/") else ASK_AGAIN
    answer = await file_answer(request, STATIC, name, _HEADERS, caching=caching)
    return answer or Response(status_code=404, headers=_HEADERS)


def _is_file_name(path: str) -> bool:
    """Return whether the path names a file; the last part of a page's path has no known file ending."""
    return path.startswith(f"{_ASSETS}/") or (
        "/" not in path and Path(path).suffix in {".js", ".svg", ".png", ".webmanifest", ".md", ".txt"}
    )
