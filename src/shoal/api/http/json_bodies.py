"""JSON bodies: of requests as their standard has it, and of answers so large that another thread makes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from json import JSONDecodeError
from typing import Any, Final, TypeVar

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from shoal.accounts.account import Account
from shoal.concurrency.fair_threads import beside_if
from shoal.rules.matcher import MANY_RULES
from shoal.strict_json import read_json

Model = TypeVar("Model", bound=BaseModel)
_MISSING: Final = {"type": "missing", "loc": ("body",), "msg": "Field required", "input": None}
_JSON: Final = frozenset({"application/json", "application/json; charset=utf-8", "application/json;charset=utf-8"})


class JsonAnswer(Response):
    """An answer that is JSON already, with the ``ETag`` of what it shows."""

    def __init__(self, body: bytes, etag: str = "") -> None:
        self.status_code, self.background, self.body = 200, None, body
        self.raw_headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
        if etag:
            self.raw_headers.append((b"etag", etag.encode()))


class JsonRequest(Request):
    """A request whose body is JSON as its standard has it."""

    async def json(self) -> Any:
        """Return the body. Raises ``json.JSONDecodeError``, which FastAPI answers."""
        return read_json(await self.body())


async def body_of(request: Request, model: type[Model]) -> Model:
    """Return the JSON body of a request. Raise ``RequestValidationError`` as FastAPI does."""
    try:
        sent = await request.body()
    except ClientDisconnect:
        raise HTTPException(400) from None  # the client is gone and receives no answer
    kind = request.headers.get("content-type", "")
    try:
        if not sent:
            raise RequestValidationError([_MISSING])
        body = read_json(sent) if kind in _JSON or _is_json(kind) else sent
        return model.model_validate(body, from_attributes=True)
    except JSONDecodeError as error:
        wrong = {"type": "json_invalid", "loc": ("body", error.pos), "msg": "JSON decode error", "input": {}}
        raise RequestValidationError([{**wrong, "ctx": {"error": error.msg}}]) from None
    except ValidationError as error:
        raise RequestValidationError([{**row, "loc": ("body", *row["loc"])} for row in error.errors()]) from None
    except (ValueError, RecursionError):
        raise HTTPException(400) from None


def query_of(request: Request, model: type[Model]) -> Model:
    """Return the query of a request. Raise ``RequestValidationError`` as FastAPI does."""
    try:
        return model.model_validate(dict(request.query_params))
    except ValidationError as error:
        raise RequestValidationError([{**row, "loc": ("query", *row["loc"])} for row in error.errors()]) from None


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def has_many_rules(account: Account) -> bool:
    """Return whether a list of all the account's rules is large."""
    return len(account.keywords) >= MANY_RULES


async def large_answer(
    make: Callable[[], Any], *, large: bool, headers: Mapping[str, str] | None = None, status: int = 200
) -> Response:
    """Build an answer from the value of ``make``; on another thread if it is ``large``.

    ``make`` must use only values that do not change. The route names its ``response_model`` for the reference only; the
    body is not validated against it.
    """
    body = await beside_if(large, lambda: to_json(make()))
    return Response(body, status_code=status, media_type="application/json", headers=headers)
