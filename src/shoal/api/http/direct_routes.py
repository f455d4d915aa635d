"""``DirectRoute``: answers a plain request without FastAPI's solver.

FastAPI walks through all dependencies and parameters of a route for each request. What it finds is always the same, so
it is written down once. A route is declared for FastAPI as before: its document, its rule and its dependencies are read
from there. FastAPI also answers each request that is not plain: with a query, with a body of another type, or with one
that does not fit. Both ways give the same answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from shoal.api.http.body_limit import Replay
from shoal.api.http.direct_calls import DirectCall, direct_call
from shoal.api.http.older_routes import OLDER_ROUTES
from shoal.api.http.query_names import require_names
from shoal.api.http.route_at_need import RouteAtNeed
from shoal.api.http.route_rules import Asks, rule_of
from shoal.api.http.session_cookie import SAFE_METHODS


class DirectRoute(RouteAtNeed):
    """A route whose functions are called directly for a plain request."""

    @cached_property
    def call(self) -> DirectCall | None:
        """How to call the route; ``None`` when only FastAPI can do that."""
        return direct_call(self)

    @cached_property
    def query_names(self) -> frozenset[str] | None:
        """The names that a query may have; ``None``: any, as for routes of the older system and what anybody reads."""
        changes = self.methods is not None and not self.methods <= SAFE_METHODS
        rule = rule_of(self)
        if any((method, self.path) in OLDER_ROUTES for method in self.methods or ()):
            return None
        if not changes and (rule is None or rule.asks is Asks.NOTHING):
            return None
        return frozenset(_query_names(self.dependant))

    def is_plain(self, request: Request) -> bool:
        """Return whether the head of a request needs nothing that only FastAPI can do."""
        return not request.scope["query_string"]

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer directly, or let FastAPI answer."""
        if scope["method"] not in (self.methods or ()):
            await super().handle(scope, receive, send)  # answers 405
            return
        if scope["query_string"] and (names := self.query_names) is not None:
            require_names(scope["query_string"], names)
        request, call = Request(scope, receive, send), self.call
        if call is not None and self.is_plain(request):
            body = None
            if call.body is not None:
                sent = await _body_of(request)
                body, receive = call.body_of(request.headers.get("content-type"), sent), Replay(sent, receive)
            if body is not None or call.body is None:
                response = await call(request, body)
                await response(scope, receive, send)
                return
        await self._by_fastapi(scope, receive, send)

    @cached_property
    def _by_fastapi(self) -> ASGIApp:
        return AsyncExitStackMiddleware(super().handle)


def _query_names(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for part in dependant.dependencies:
        yield from _query_names(part)


async def _body_of(request: Request) -> bytes:
    try:
        return await request.body()
    except ClientDisconnect:
        raise HTTPException(400) from None  # the client is gone and receives no answer
