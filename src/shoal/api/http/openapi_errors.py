"""Errors in the OpenAPI document: one shape, and the statuses that each route may return."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class ProblemBody(BaseModel):
    """An error. ``detail`` is text for the user, ``code`` is for programs."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"detail": "没有这个店铺，请检查店铺 ID", "code": "unknown_account", "params": {}}]
        }
    )
    detail: str
    code: str
    params: dict[str, Any]
    op_id: str = ""
    current: Any = None


class InvalidBody(ProblemBody):
    """The body or a parameter cannot be used. ``params`` has the ``field``, and the ``places`` of a wrong shape."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "detail": "“enabled” has the wrong format.",
                    "code": "invalid_body",
                    "params": {"field": "enabled", "places": [{"loc": ["body", "enabled"], "type": "bool_type"}]},
                }
            ]
        }
    )


_SENTENCES = {
    400: "The request has a value that is not allowed",
    401: "Not signed in",
    403: "Not allowed, or the caller has no access to the account",
    404: "Not found, or the caller has no access to it",
    409: "The request conflicts with the current state",
    410: "Shoal does not do this; `detail` says what to use",
    412: "If-Match does not match; `current` has the current values",
    413: "The body is too large",
    422: "The request has the wrong format, or a value that is not allowed",
    429: "Too many requests; try again after `Retry-After` seconds",
    503: "The change was not stored, or its outcome is not known yet",
}

Responses = dict[int | str, dict[str, Any]]


def problems(*statuses: int) -> Responses:
    """Return the ``responses`` of a route for these statuses. A route with sign-in (401) may also answer 429."""
    known = {429} if 401 in statuses else set[int]()
    return {
        status: {"model": InvalidBody if status == 422 else ProblemBody, "description": _SENTENCES[status]}
        for status in sorted({*statuses, *known})
    }


READING = problems(401, 422, 503)
READING_COMPAT = problems(401, 403, 422, 503)
READING_ONE = problems(401, 404, 422, 503)
CHANGING = problems(400, 401, 403, 404, 409, 412, 413, 422, 503)
CHANGING_COMPAT = problems(400, 401, 403, 409, 412, 413, 422, 503)
ASKING = problems(401, 403, 503)
"""Nothing is named, for those with more than the right to read."""
OF_ONE = problems(401, 403, 404, 422, 503)
"""One thing that the path names, for those with more than the right to read."""
POSTING = problems(400, 401, 403, 404, 409, 413, 422, 503)
TRYING = problems(400, 401, 403, 404, 413, 422, 503)
"""A body that changes nothing."""
ACTING = problems(401, 403, 404, 409, 422, 503)
"""A change without a body."""
