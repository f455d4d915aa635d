"""Bodies with long lists: split into items quickly, then validated item by item.

A validator in C holds the interpreter lock while it runs, even on another thread. One call for a long list would stop
all accounts for that time.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from shoal.api.http.direct_calls import DirectCall
from shoal.api.http.idempotency import ChangingRoute, Handle

_Read = TypeVar("_Read")
_MOST_ERRORS = 20


class _Rules(msgspec.Struct):
    rules: list[msgspec.Raw]


_cut = msgspec.json.Decoder(_Rules).decode


class _SlicedRequest(Request):
    """A request whose ``rules`` stay unparsed, each one piece of JSON."""

    async def json(self) -> Any:
        body = await self.body()
        try:
            return {"rules": _cut(body).rules}
        except msgspec.DecodeError:
            return json.loads(body)  # raises a precise error, here or during validation


class SlicedRoute(ChangingRoute):
    """A route whose body is one list, ``rules``; its model validates no item: ``checked`` does."""

    @property
    def call(self) -> DirectCall | None:
        """Return ``None``: a direct call would parse the whole list at once."""
        return None

    def get_route_handler(self) -> Handle:
        """Return the handler of the route, which receives the list in pieces."""
        handle = super().get_route_handler()

        async def sliced(request: Request) -> Response:
            return await handle(_SlicedRequest(request.scope, request.receive))

        return sliced


def checked(rows: Any, read: Callable[[Any], _Read]) -> list[_Read]:
    """Read each piece of a list. Raise ``RequestValidationError`` with up to 20 places."""
    if not isinstance(rows, list):
        raise RequestValidationError(
            [{"type": "list_type", "loc": ("body", "rules"), "msg": "Input should be a valid list", "input": None}]
        )
    found: list[_Read] = []
    errors: list[Any] = []
    for place, row in enumerate(rows):
        try:
            found.append(read(row))
        except ValidationError as error:
            errors += [
                {**one, "loc": ("body", "rules", place, *one["loc"])}
                for one in error.errors(include_url=False, include_input=False, include_context=False)
            ]
            if len(errors) >= _MOST_ERRORS:
                break
    if errors:
        raise RequestValidationError(errors[:_MOST_ERRORS])
    return found
