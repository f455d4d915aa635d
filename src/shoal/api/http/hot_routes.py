"""Routes whose functions take a request and return a response: for the few that are asked all the time.

They call the functions that are the dependencies of all other routes. What they take and answer is declared beside
them, for the document and for the rule that says who may call them.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from functools import cached_property
from inspect import Parameter, Signature
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from pydantic import BaseModel
from starlette.convertors import Convertor, register_url_convertor
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from shoal.api.http.idempotency import CHANGING_METHODS, ChangingRoute, answered_once
from shoal.api.http.openapi_errors import Responses
from shoal.api.http.route_rules import parts_of, strictest

Function = Callable[[Request], Coroutine[Any, Any, Response]]


class _AccountId(Convertor[str]):
    """The id of an account in a path where other routes have these words."""

    regex = "(?!(?:check|details)$)[^/]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("account", _AccountId())


class HotRoute(Route):
    """One method of one path.

    Args:
        needs: the functions that the endpoint calls, and that FastAPI would call as dependencies: they say what the
            route takes beside its body, and who may call it.
        answer: the model of the answer, for the document.
        body: the model of the body, if there is one.
    """

    def __init__(
        self,
        method: str,
        path: str,
        endpoint: Function,
        *,
        needs: Iterable[Callable[..., Any]],
        answer: Any,
        body: type[BaseModel] | None = None,
        **documented: Any,
    ) -> None:
        heeds_keys = method in CHANGING_METHODS and not hasattr(endpoint, "ignores_keys")
        super().__init__(path, answered_once(endpoint) if heeds_keys else endpoint, name=endpoint.__name__)
        self.methods = {method}
        self.function = endpoint
        self.response_model = answer
        self._needs = tuple(needs)
        self.rule = strictest(part for need in self._needs for part in parts_of(need))
        self._body = body
        self._documented = documented

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return how well it matches, and what its function finds in the scope."""
        match, found = super().matches(scope)
        return match, {**found, "route": self}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, whose method may be another one."""
        await (self.answer if scope["method"] in (self.methods or ()) else super().handle)(scope, receive, send)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request of this method; failures are for the caller."""
        if scope["query_string"]:
            self.declared.require_names(scope["query_string"])
        response = await self.endpoint(Request(scope, receive))
        await response(scope, receive, send)

    @cached_property
    def declared(self) -> ChangingRoute:
        """The route as FastAPI knows it: for the document, and for the rule that says who may call it."""
        return ChangingRoute(
            self.path_format,
            _declaration(self.function, self._needs, self._body),
            methods=list(self.methods or ()),
            response_model=self.response_model,
            operation_id=self.name,
            **self._documented,
        )


class HotRoutes(list[HotRoute]):
    """The hot routes, in the order in which they are looked for."""

    @cached_property
    def _by_form(self) -> dict[tuple[str, int], list[HotRoute]]:
        found: dict[tuple[str, int], list[HotRoute]] = {}
        for route in self:
            for method in route.methods or ():
                found.setdefault((method, route.path.count("/")), []).append(route)
        return found

    def find(self, scope: Scope) -> ASGIApp | None:
        """Return what answers a request, if one of these does, and put into the scope what it finds in the path."""
        path = scope["path"]
        for route in self._by_form.get((scope.get("method", ""), path.count("/")), ()):
            if route.param_convertors or route.path == path:  # a path without parts to find costs no look
                match, found = route.matches(scope)
                if match is Match.FULL:
                    scope.update(found)
                    return route.answer
        return None

    def add(
        self, method: str, path: str, *, tag: str, summary: str, responses: Responses, **declared: Any
    ) -> Callable[[Function], Function]:
        """Return a decorator that adds a function (see ``HotRoute``)."""

        def added(function: Function) -> Function:
            self.append(HotRoute(method, path, function, tags=[tag], summary=summary, responses=responses, **declared))
            return function

        return added


def _declaration(
    function: Function, needs: tuple[Callable[..., Any], ...], body: type[BaseModel] | None
) -> Callable[..., Any]:
    """Return a function that FastAPI reads as the route's; it is never called."""

    async def declared(**_: Any) -> None:
        raise NotImplementedError

    bodies = [Parameter("body", Parameter.KEYWORD_ONLY, annotation=body)] if body is not None else []
    needed = [
        Parameter(f"need_{number}", Parameter.KEYWORD_ONLY, annotation=Annotated[Any, Depends(need)])
        for number, need in enumerate(needs)
    ]
    declared.__dict__.update(function.__dict__, __signature__=Signature([*bodies, *needed]))
    declared.__name__, declared.__doc__ = function.__name__, function.__doc__
    return declared
