"""The help at ``/help``: the files that ``make docs`` built, Chinese at ``/help/``, English at ``/help/en/``."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Final

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from shoal.api.http.route_rules import ANYBODY
from shoal.api.http.routing import Routes
from shoal.console.static_files import ASK_AGAIN, FOREVER, file_answer, not_built, page_headers

routes = Routes(include_in_schema=False, dependencies=[ANYBODY])

SITE: Final = Path(__file__).parent / "help_site"
"""The output of ``make docs`` from ``docs/``; missing in a fresh checkout."""
HASHES: Final = "script-hashes.txt"
"""The file with the hash of each inline script of the pages, one per line. The build writes it."""
_HASHED_NAME: Final = re.compile(r"^assets/.*\.[0-9a-f]{8}\.min\.(?:js|css)$")


@routes.get("/help")
@routes.get("/help/{path:path}")
async def show_help(request: Request, path: str = "") -> Response:
    """Return a built file; for a path that ends with a slash, the page there."""
    if request.url.path == "/help":
        return RedirectResponse("/help/", headers={"Cache-Control": ASK_AGAIN})
    if not (SITE / HASHES).is_file():
        return not_built(request, "page.no_help", "make docs")
    headers = _headers(SITE / HASHES, (SITE / HASHES).stat().st_mtime_ns)
    name = f"{path}index.html" if not path or path.endswith("/") else path
    caching = FOREVER if _HASHED_NAME.match(name) else ASK_AGAIN
    if (found := await file_answer(request, SITE, name, headers, caching=caching)) is not None:
        return found
    missing = await file_answer(request, SITE, "404.html", headers, caching=ASK_AGAIN, status=404)
    return missing or Response(status_code=404, headers=headers)


@lru_cache(maxsize=1)
def _headers(hashes: Path, changed_ns: int) -> dict[str, str]:  # noqa: ARG001  a new build has a new time
    return page_headers(*(f"'{line}'" for line in hashes.read_text(encoding="utf-8").split()))
