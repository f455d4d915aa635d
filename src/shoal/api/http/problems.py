"""Turns errors into answers ``{detail, code, params, op_id?}`` in the reader's language, without secrets."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from shoal.api.http.problem_table import PROBLEMS, SHAPES, Problem
from shoal.api.http.refusals import note_refusal
from shoal.api.schemas.op_ids import shown_op_id
from shoal.api.schemas.responses import permission_word
from shoal.errors import (
    CommitUnknown,
    LockTimeout,
    RemovedSince,
    ShoalError,
    StaleGeneration,
    StoreError,
    TooManyAttempts,
    UnknownAccount,
)
from shoal.language.choice import language_of
from shoal.storage.idempotency_keys import Reservation

RETRY_AFTER_SECONDS = 5
_HTTP_CODES = {400: "bad_body", 401: "unauthenticated", 404: "not_found", 405: "method_not_allowed"}
_SHOWABLE_KEY = re.compile(r"[^=;\x00-\x1f\ud800-\udfff]{1,64}")


def answer_problems(app: FastAPI) -> None:
    """Make the application answer every failure from the table."""
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)


async def failure_answer(request: Request, error: Exception) -> JSONResponse:
    """Return the answer to a request that failed before it reached the application, or in a hot route."""
    return await _handler_of(error)(request, error)


def is_expected(error: Exception) -> bool:
    """Return whether the table has an answer of its own to a failure: any other is a defect."""
    return _handler_of(error) is not _last_resort


def _handler_of(error: Exception) -> Callable[[Request, Exception], Awaitable[JSONResponse]]:
    return next(_HANDLERS[kind] for kind in type(error).__mro__ if kind in _HANDLERS)


def problem_answer(
    code: str,
    accept_language: str | None,
    params: Mapping[str, Any] | None = None,
    *,
    problem: Problem | None = None,
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> JSONResponse:
    """Build the answer for a code of the table, or for ``problem`` if it is given."""
    row = problem or PROBLEMS[code]
    given = params or {}
    body = {
        "detail": row.sentence(language_of(accept_language), given),
        "code": code.partition("/")[0],
        "params": row.shown(given),
        **more,
    }
    return JSONResponse(body, status_code=row.status, headers=headers)


def problem_of(error: ShoalError) -> Problem:
    """Return the row of an error: of its own code, else of the nearest class whose code has a row."""
    codes = [error.code, *(getattr(kind, "code", "") for kind in type(error).__mro__)]
    return next(PROBLEMS[code] for code in codes if code in PROBLEMS)


def variant_of(error: ShoalError, request: Request) -> str:
    """Return the code with the variant for this route or case."""
    if isinstance(error, UnknownAccount):
        return getattr(request.state, "unknown_account", error.code)
    if isinstance(error, StaleGeneration) and "if-match" not in request.headers:
        return f"{error.code}/busy"
    if error.code == "duplicate_keyword" and error.params.get("item"):
        return f"{error.code}/item"
    return error.code


async def _shoal_error(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, ShoalError):
        return await _last_resort(request, error)
    await note_refusal(request, error)
    return answer_to(error, request)


def answer_to(error: ShoalError, request: Request) -> JSONResponse:
    """Build the answer to a request that ended with a Shoal error."""
    reserved: Reservation | None = getattr(request.state, "op", None)
    if reserved and error.code == StoreError.code:
        # A read failed during a change. The change may already be committed, by this request or by an earlier one with
        # the same key. So the answer must not claim that nothing was done.
        error = CommitUnknown(op_id=reserved.op_id)
    params = dict(error.params)
    code = variant_of(error, request)
    headers = {}
    more: dict[str, Any] = {}
    if isinstance(error, StoreError):
        op_id = params.get("op_id") if isinstance(error, CommitUnknown) else reserved and reserved.op_id
        more |= {"op_id": shown_op_id(op_id)} if op_id else {}
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if isinstance(error, TooManyAttempts):
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, RemovedSince):
        more |= {"op_id": shown_op_id(params.pop("op_id"))}
    if isinstance(error, LockTimeout):
        params = {"operation": "", "held_seconds": 0.0, **params}
    if isinstance(error, StaleGeneration):
        current = params.pop("current", None)
        if isinstance(current, dict) and "permission" in current:
            current["permission"] = permission_word(getattr(request.state, "permission", None))
        etag = params.pop("etag", None)
        more |= {"current": current} if current is not None else {}
        headers |= {"ETag": etag} if etag else {}
    row = PROBLEMS.get(code) or problem_of(error)
    language = request.headers.get("accept-language")
    return problem_answer(code, language, params, problem=row, headers=headers, **more)


async def _wrong_shape(request: Request, error: Exception) -> JSONResponse:
    """Answer with a sentence about the first place, and all places: without the input, for a body may hold a cookie."""
    found: Sequence[Any] = error.errors() if isinstance(error, RequestValidationError) else ()
    places = [{"loc": _place(row["loc"]), "type": row["type"]} for row in found]
    where, *names = places[0]["loc"] if places else ["body"]
    code = "invalid_body" if where == "body" else "invalid_query"
    kind = found[0]["type"] if found else ""
    if kind == "json_invalid":
        names = []
    elif names:
        code += next((f"/{word}" for word, kinds in SHAPES.items() if kind in kinds), "/wrong")
    params = {"field": ".".join(map(str, names)), "places": places}
    return problem_answer(code, request.headers.get("accept-language"), params)


def _place(loc: Sequence[Any]) -> list[Any]:
    """Return the place in the body; hide a key that may be more than a name."""
    return [part if not isinstance(part, str) or _SHOWABLE_KEY.fullmatch(part) else "…" for part in loc]


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    code = _HTTP_CODES.get(status, "internal_error")
    row = PROBLEMS[code]
    problem = replace(row, status=status, params=())
    return problem_answer(code, request.headers.get("accept-language"), problem=problem, headers=headers)


async def _last_resort(request: Request, _: Exception) -> JSONResponse:
    return problem_answer("internal_error", request.headers.get("accept-language"))


_HANDLERS: Final[dict[type[Exception], Callable[[Request, Exception], Awaitable[JSONResponse]]]] = {
    ShoalError: _shoal_error,
    RequestValidationError: _wrong_shape,
    HTTPException: _http_error,
    Exception: _last_resort,
}
