"""The API's document, made once for each process of the tests: making it takes a second."""

from __future__ import annotations

from functools import cache
from typing import Any

from shoal.server.reply_server import build_app
from standins import FakeSite, quick_settings


@cache
def api_document() -> dict[str, Any]:
    """Return the document. Do not change it."""
    return build_app(quick_settings(), connect=FakeSite().connect).openapi()
