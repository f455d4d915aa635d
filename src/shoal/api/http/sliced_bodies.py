"""Bodies with long lists: split into items quickly, then validated item by item.

A validator in C holds the interpreter lock while it runs, even on another thread. One call for a long list would stop
all accounts for that time.
"""

from __future__ import annotations

from collections.abc import Callable
from json import JSONDecodeError
from typing import Any, TypeVar

import msgspec
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from shoal.api.http.idempotency import ChangingRoute, JsonRequest

_Read = TypeVar("_Read")
_MOST_ERRORS = 20


class _Rules(msgspec.Struct):
    rules: list[msgspec.Raw]


_cut = msgspec.json.Decoder(_Rules).decode


class _SlicedRequest(JsonRequest):
    """A request whose ``rules`` stay unparsed, each one piece of JSON."""

    async def json(self) -> Any:
        body = await self.body()
        try:
            return {"rules": _cut(body).rules}
        except msgspec.DecodeError:
            return await super().json()  # raises a precise error, here or during validation


class SlicedRoute(ChangingRoute):
    """A route whose body is one list, ``rules``; its model validates no item: ``checked`` does."""

    request_class = _SlicedRequest


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
        except JSONDecodeError as error:
            errors.append({"type": "json_invalid", "loc": ("body", "rules", place), "msg": error.msg, "input": None})
        if len(errors) >= _MOST_ERRORS:
            break
    if errors:
        raise RequestValidationError(errors[:_MOST_ERRORS])
    return found
