"""Finds the requests that need none of the layers around the routes.

The layers look at what most requests of scripts do not have: cookies, headers of a proxy, a query, a key. A request is
*plain* when it has only headers of a short list, comes where secrets are safe, and its route can be called directly.
Then every layer would pass it on as it is. Any other request, and any doubt, is left to the layers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, cast

from fastapi import FastAPI, Request, Response
from fastapi.security.utils import get_authorization_scheme_param
from starlette.convertors import StringConvertor
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from shoal.api.http.caller import count_call, kept_principal
from shoal.api.http.direct_calls import DirectCall
from shoal.api.http.direct_routes import DirectRoute
from shoal.api.http.late_routes import LateRoutes, branch_of_path
from shoal.api.http.routing import is_answered_at_once
from shoal.api.http.session_cookie import SAFE_METHODS, is_loopback
from shoal.api.server import Server
from shoal.concurrency.fair_turns import asking_user
from shoal.errors import TooManyAttempts

_HEADERS: Final = frozenset(
    {
        b"accept", b"accept-encoding", b"accept-language", b"authorization", b"cache-control", b"connection",
        b"content-length", b"content-type", b"host", b"if-match", b"pragma", b"user-agent",
    }
)  # fmt: skip
"""No layer does anything for them, save the checks that ``PlainRequests.find`` makes itself."""
_BODILESS: Final = frozenset({None, b"0"})
_LONGEST_PATH: Final = 256
"""The route of a longer path is not remembered: what anybody may ask for must not fill the memory."""
_FAILED: Final = "shoal.failed"

Found = tuple[DirectRoute, DirectCall, dict[str, str], bool]


class _NotImported(Exception):
    """The module of the route that is looked for is not imported yet; the layers wait for that."""


class PlainRequest:
    """One plain request, and how to call its route."""

    __slots__ = ("_call", "_content_type", "is_prompt", "request")

    def __init__(self, request: Request, call: DirectCall, content_type: str | None, *, is_prompt: bool) -> None:
        self.request = request
        self._call = call
        self._content_type = content_type
        self.is_prompt = is_prompt
        """Whether the answer can be made without waiting for anything."""

    async def answer(self, sent: bytes) -> Response | None:
        """Call the route with that body. Return ``None``, before anything is done, for a body that FastAPI must read.

        Raises what the route raises.
        """
        call = self._call
        if call.body is None:
            return await call(self.request, None)
        body = call.body_of(self._content_type, sent)
        return None if body is None else await call(self.request, body)

    def answer_at_once(self) -> Response | None:
        """Return the answer of a prompt request; ``None`` when the layers must give it, as after an error."""
        answering = self._call(self.request, None)
        try:
            answering.send(None)
        except StopIteration as ended:
            return cast("Response", ended.value)
        except Exception:  # noqa: BLE001  whatever it is: it comes again, and the layers answer it
            return None
        answering.close()  # it waits for something: a read that can begin again
        return None


class PlainRequests:
    """Knows which requests are plain.

    Args:
        app: the application with all routes.
        layers: builds the layers that answer failures around an application.
        is_own_name: whether the server may be reached under that ``Host`` header.
        allow_plain_http: accept secrets over plain HTTP from other machines.
    """

    def __init__(
        self,
        app: FastAPI,
        layers: Callable[[ASGIApp], ASGIApp],
        *,
        is_own_name: Callable[[bytes], bool],
        allow_plain_http: bool,
    ) -> None:
        self._app = app
        self._is_own_name = is_own_name
        self._allow_plain_http = allow_plain_http
        self._found = lru_cache(maxsize=4_096)(self._look_up)
        self._answer_failure = layers(_fail_again)

    def find(self, scope: Scope, receive: Receive, send: Send) -> PlainRequest | None:
        """Return the request if it is plain. The caller is known then, if it can be answered at once."""
        server: Server | None = getattr(self._app.state, "server", None)
        if server is None or scope["query_string"] or scope["root_path"] or len(scope["path"]) > _LONGEST_PATH:
            return None
        method = scope["method"]
        try:
            found = self._found(method, scope["path"])
        except _NotImported:
            return None
        headers = dict(scope["headers"])
        if found is None or len(headers) != len(scope["headers"]) or not headers.keys() <= _HEADERS:
            return None
        is_read = method in SAFE_METHODS
        if (headers.get(b"content-length") not in _BODILESS) if is_read else server.database.checking:
            return None
        if not (self._is_safe_from(scope) and self._is_own_name(headers.get(b"host", b""))):
            return None
        route, call, path_params, at_once = found
        scope.update(app=self._app, route=route, endpoint=route.endpoint, path_params=path_params.copy())
        is_prompt = at_once and is_read and _is_known(server, scope, headers.get(b"authorization"))
        content_type = headers.get(b"content-type")
        kind = None if content_type is None else content_type.decode("latin-1")
        return PlainRequest(Request(scope, receive, send), call, kind, is_prompt=is_prompt)

    async def answer_failure(self, error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the layers do when a route raises ``error``."""
        await self._answer_failure({**scope, _FAILED: error}, receive, send)

    def _is_safe_from(self, scope: Scope) -> bool:
        client = scope["client"]
        return self._allow_plain_http or scope["scheme"] == "https" or client is None or is_loopback(client[0])

    def _look_up(self, method: str, path: str) -> Found | None:
        """Return the route that the router would find, if it can be called directly. Raises ``_NotImported``."""
        branch = branch_of_path(path)
        for route in self._app.router.routes:
            if isinstance(route, LateRoutes):
                if branch in route.branches:
                    raise _NotImported
                continue
            if isinstance(route, WebSocketRoute):
                continue
            if not isinstance(route, Route):
                return None  # something is mounted here that may take any path
            match = route.path_regex.match(path)
            if match is None or method not in (route.methods or ()):
                continue
            if not isinstance(route, DirectRoute) or route.call is None:
                return None
            if any(not isinstance(convertor, StringConvertor) for convertor in route.param_convertors.values()):
                return None
            return route, route.call, match.groupdict(), is_answered_at_once(route.endpoint)
        return None


def _is_known(server: Server, scope: Scope, authorization: bytes | None) -> bool:
    """Look the caller up. Return whether that needed no waiting: without a token there is no look-up."""
    if authorization is None:
        return True
    scheme, token = get_authorization_scheme_param(authorization.decode("latin-1"))
    who = kept_principal(server, token) if token and scheme.lower() == "bearer" else None
    if who is None:
        return False
    try:
        count_call(server, who)
    except TooManyAttempts:
        return False
    asking_user.set(who.id)
    scope["state"]["principal"] = who
    return True


async def _fail_again(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001  an application
    """Raise what the route raised."""
    failure: Any = scope[_FAILED]
    raise failure
