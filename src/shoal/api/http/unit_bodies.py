"""Bodies with units: JSON, a form with a file, or a file alone. They are read in memory, never in a temporary file.

A temporary file on the disk would hold the units in clear.
"""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.types import Receive, Scope

from shoal.api.http.body_limit import MAX_UNITS_BODY_BYTES
from shoal.api.http.idempotency import ChangingRoute
from shoal.concurrency.fair_threads import beside

_FORM = "multipart/form-data"
_TRUE = frozenset({"true", "1", "on", "yes"})


class SentFile(msgspec.Struct, frozen=True):
    """A file with units: its bytes, its name and its type, as the sender calls them."""

    data: bytes
    name: str
    media_type: str


class _Lines(msgspec.Struct, forbid_unknown_fields=True):
    lines: list[str]
    dry_run: bool = False


_read_lines = msgspec.json.Decoder(_Lines).decode


class _InMemory(MultiPartParser):
    spool_max_size = MAX_UNITS_BODY_BYTES + 1
    max_part_size = 64 * 1024


class _UnitsRequest(Request):
    """Gives FastAPI one JSON object for each kind of request: ``lines`` are texts, one ``SentFile``, or an error."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.form_headers = Headers(scope=scope)
        self.sent_type = self.form_headers.get("content-type", "").partition(";")[0].strip().lower()
        headers = [(name, value) for name, value in scope["headers"] if name != b"content-type"]
        super().__init__({**scope, "headers": [*headers, (b"content-type", b"application/json")]}, receive)

    async def json(self) -> Any:
        body = await self.body()
        try:
            if self.sent_type == _FORM:
                return await self._read_form()
            if self.sent_type in {"", "application/json"}:
                read = await beside(_read_lines, body)
                return {"lines": read.lines, "dry_run": read.dry_run}
        except RequestValidationError as error:
            return {"lines": error}  # FastAPI would answer an error of its own to any that is raised here
        except msgspec.DecodeError as error:
            return {"lines": _wrong(str(error))}
        return {"lines": SentFile(body, "", self.sent_type)}

    async def _read_form(self) -> dict[str, Any]:
        try:
            form: FormData = await _InMemory(self.form_headers, self.stream()).parse()
        except MultiPartException as error:
            raise _wrong(error.message) from None
        try:
            file = form.get("file")
            if not isinstance(file, UploadFile):
                raise _wrong("the form has no file")
            flag = form.get("dry_run", "")
            named = SentFile(await file.read(), file.filename or "", (file.content_type or "").partition(";")[0])
        finally:
            await form.close()
        return {"lines": named, "dry_run": isinstance(flag, str) and flag.lower() in _TRUE}


class UnitsRoute(ChangingRoute):
    """A route that takes units in any of these forms."""

    request_class = _UnitsRequest


def _wrong(message: str) -> RequestValidationError:
    return RequestValidationError([{"type": "value_error", "loc": ("body",), "msg": message, "input": None}])
