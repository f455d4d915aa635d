"""What is checked of every request before its route is found: encryption, origin of cookies, size of the body.

Also whether changes are taken at all: not before the database is checked, after a start.
"""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from shoal.api.http.body_limit import refuse_body, within_limit
from shoal.api.http.foreign_pages import drop_foreign_cookies
from shoal.api.http.plain_http import is_in_clear, refuse_in_clear
from shoal.api.http.problems import RETRY_AFTER_SECONDS, problem_answer
from shoal.api.http.session_cookie import SAFE_METHODS


class RequestChecks:
    """All checks of a request.

    Args:
        allow_plain_http: accept secrets over plain HTTP from other machines.
    """

    def __init__(self, *, allow_plain_http: bool) -> None:
        self._allow_plain_http = allow_plain_http

    async def look(self, scope: Scope, names: Collection[bytes], receive: Receive, send: Send) -> Receive | None:
        """Return what receives the body; or answer what is wrong with the request, and return ``None``.

        Cookies that do not count are taken out of it. ``names``: those of its headers.
        """
        if not self._allow_plain_http and is_in_clear(scope, names):
            await refuse_in_clear(scope, receive, send)
            return None
        if scope["type"] == "http":
            if scope["method"] not in SAFE_METHODS and _is_checking(scope):
                await _refuse_change(scope, receive, send)
                return None
            if b"cookie" in names:
                await drop_foreign_cookies(scope)
            body = await within_limit(scope, receive)
            if isinstance(body, int):
                await refuse_body(body, scope, receive, send)
                return None
            receive = body
        return receive


def _is_checking(scope: Scope) -> bool:
    server = getattr(scope["app"].state, "server", None)
    return server is not None and bool(server.database.checking)


async def _refuse_change(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 503: also to what would only ask the site, which must not know of this server yet."""
    language = Headers(scope=scope).get("accept-language")
    later = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    await problem_answer("store_checking", language, headers=later)(scope, receive, send)
