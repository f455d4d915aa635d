"""Calls a route's function and its dependencies in the order that was written down once for the route."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import Any, Final

import msgspec
from fastapi import Request, Response
from fastapi.datastructures import DefaultPlaceholder
from fastapi.dependencies.models import Dependant
from fastapi.params import Body, Form
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter, ValidationError

from shoal.strict_json import read_json

_JSON: Final = frozenset({"application/json", "application/json; charset=utf-8", "application/json;charset=utf-8"})
_LARGE: Final = 64 * 1024
"""A body above it is left to FastAPI, which validates it only for a caller who may send it."""
_UNCHANGEABLE: Final = (type(None), str, int, float, bool, tuple)
_OTHER_PARAMETERS: Final = (
    "cookie_params", "body_params", "websocket_param_name", "http_connection_param_name",
    "background_tasks_param_name", "security_scopes_param_name", "concurrency",
)  # fmt: skip
"""What FastAPI can give to a function, and a direct call cannot."""
_CHANGES_OF_ANSWER: Final = (
    "response_model_include", "response_model_exclude", "response_model_exclude_unset",
    "response_model_exclude_defaults", "stream_item_field",
)  # fmt: skip


class _Step(msgspec.Struct, frozen=True):
    """One function, and where its arguments come from. The route's own function is the last step."""

    function: Callable[..., Awaitable[Any]]
    defaults: dict[str, Any]
    request: str | None
    response: str | None
    path: tuple[str, ...]
    headers: tuple[tuple[str, str], ...]
    parts: tuple[tuple[str, int], ...]
    """The results of earlier steps, by their places."""


class DirectCall(msgspec.Struct, frozen=True):
    """The functions of a route in their order, its body, and its answer."""

    steps: tuple[_Step, ...]
    body: tuple[str, type[BaseModel]] | None
    answer: TypeAdapter[Any] | None
    without_none: bool
    status: int
    sets_headers: bool

    def body_of(self, content_type: str | None, sent: bytes) -> BaseModel | None:
        """Return the body, or ``None`` when FastAPI must read it: it is large, has another type, or does not fit."""
        if self.body is None or len(sent) > _LARGE or content_type not in _JSON:
            return None
        try:
            return self.body[1].model_validate(read_json(sent))
        except (ValidationError, ValueError, RecursionError):
            return None

    async def __call__(self, request: Request, body: BaseModel | None) -> Response:
        """Call the functions, and return the answer."""
        beside = _without_headers(self.status) if self.sets_headers else None
        found: list[Any] = []
        result: Any = None
        for step in self.steps:
            values = step.defaults.copy()
            if step.request is not None:
                values[step.request] = request
            if step.response is not None:
                values[step.response] = beside
            for name in step.path:
                values[name] = request.path_params[name]
            for name, key in step.headers:
                values[name] = request.headers.get(key)
            for name, place in step.parts:
                values[name] = found[place]
            if self.body is not None and step is self.steps[-1]:
                values[self.body[0]] = body
            result = await step.function(**values)
            found.append(result)
        return result if isinstance(result, Response) else self._answer(result, beside)

    def _answer(self, result: Any, beside: Response | None) -> Response:
        if self.answer is None:
            raise TypeError("a route without a model of its answer returns a Response")
        content = self.answer.dump_json(
            self.answer.validate_python(result), by_alias=True, exclude_none=self.without_none
        )
        status = self.status if beside is None else beside.status_code
        response = Response(content, status, media_type="application/json")
        if beside is not None:
            response.raw_headers.extend(beside.raw_headers)
        return response


def _without_headers(status: int) -> Response:
    """Return a response on which functions set headers, or another status."""
    response = Response(status_code=status)
    response.raw_headers.clear()
    return response


def direct_call(route: APIRoute) -> DirectCall | None:
    """Return how to call a route; ``None`` when only FastAPI can do that."""
    if not isinstance(route.response_class, DefaultPlaceholder) or any(
        getattr(route, name) for name in _CHANGES_OF_ANSWER
    ):
        return None
    try:
        steps: list[_Step] = []
        _add_steps(route.dependant, steps, {}, is_endpoint=True)
        body = _body(route)
    except _Indirect:
        return None
    return DirectCall(
        steps=tuple(steps),
        body=body,
        answer=None if route.response_model is None else TypeAdapter(route.response_model),
        without_none=route.response_model_exclude_none,
        status=route.status_code or 200,
        sets_headers=any(step.response is not None for step in steps),
    )


class _Indirect(Exception):
    """A function needs what only FastAPI can give."""


def _add_steps(dependant: Dependant, steps: list[_Step], places: dict[Any, int], *, is_endpoint: bool = False) -> int:
    """Add the functions of a dependant in the order in which FastAPI calls them. Return the place of its own."""
    call = dependant.call
    others = _OTHER_PARAMETERS if not is_endpoint else tuple(n for n in _OTHER_PARAMETERS if n != "body_params")
    if call is None or not iscoroutinefunction(call) or not dependant.use_cache:
        raise _Indirect
    if any(getattr(dependant, name) for name in others):
        raise _Indirect
    parts = [(part.name, _add_steps(part, steps, places)) for part in dependant.dependencies]
    if call not in places:
        places[call] = len(steps)
        steps.append(
            _Step(
                function=call,
                defaults={field.name: _default(field) for field in dependant.query_params},
                request=dependant.request_param_name,
                response=dependant.response_param_name,
                path=tuple(map(_path_name, dependant.path_params)),
                headers=tuple(map(_header, dependant.header_params)),
                parts=tuple((name, place) for name, place in parts if name is not None),
            )
        )
    return places[call]


def _default(field: Any) -> Any:
    """Return the value of a parameter of the query when there is no query."""
    info = field.field_info
    if info.is_required() or info.validate_default or not isinstance(field.default, _UNCHANGEABLE):
        raise _Indirect
    return field.default


def _path_name(field: Any) -> str:
    if field.field_info.annotation is not str or field.field_info.metadata or field.alias != field.name:
        raise _Indirect
    name: str = field.name
    return name


def _header(field: Any) -> tuple[str, str]:
    info = field.field_info
    if info.annotation != str | None or info.metadata or field.default is not None:
        raise _Indirect
    return field.name, field.alias.replace("_", "-")


def _body(route: APIRoute) -> tuple[str, type[BaseModel]] | None:
    fields = route.dependant.body_params
    if not fields:
        return None
    info, kind = fields[0].field_info, fields[0].field_info.annotation
    if len(fields) > 1 or not isinstance(info, Body) or isinstance(info, Form) or info.embed or info.metadata:
        raise _Indirect
    if not info.is_required() or not isinstance(kind, type) or not issubclass(kind, BaseModel):
        raise _Indirect
    return fields[0].name, kind
