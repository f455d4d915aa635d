"""Files with tables in requests and answers: the file to download, and the errors of uploaded rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from fastapi import Response, UploadFile

from shoal.accounts.account import Account
from shoal.api.http.problems import problem_of
from shoal.api.schemas.responses import etag_of
from shoal.errors import InvalidInput
from shoal.language.catalogue import translate
from shoal.language.choice import Language
from shoal.sheets.xlsx import XLSX, Fault, UnusableRows

TABLE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file", "content": {XLSX: {"schema": {"type": "string", "format": "binary"}}}}
}
"""The ``responses`` of a route that answers with a file."""

_MOST_ROWS = 100
_MOST_SENTENCES = 5


def file_headers(name: str) -> dict[str, str]:
    """Return the headers of a file to be saved under that name."""
    return {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}


def table_answer(data: bytes, name: str, account: Account, *, media_type: str = XLSX) -> Response:
    """Build the answer with a file to be saved under that name, and the ETag of its account."""
    return Response(data, media_type=media_type, headers={**file_headers(name), "ETag": etag_of(account)})


def check_name(file: UploadFile) -> None:
    """Refuse a file whose name is not that of an Excel file. ``.xls`` is accepted, but the content must be XLSX."""
    if not (file.filename or "").lower().endswith((".xlsx", ".xls")):
        raise InvalidInput("no Excel file by its name", code="not_xlsx")


@contextmanager
def row_errors(language: Language) -> Iterator[None]:
    """Add to the error of a refused file the errors of its rows, in the reader's language."""
    try:
        yield
    except UnusableRows as error:
        rows = [_fault_row(fault, language) for fault in error.faults[:_MOST_ROWS]]
        sentences = [_sentence(row, language) for row in rows[:_MOST_SENTENCES]]
        raise InvalidInput(
            str(error), code=error.code, count=len(error.faults), rows=rows, said="\n".join(sentences)
        ) from None


def _fault_row(fault: Fault, language: Language) -> dict[str, Any]:
    return {
        "row": fault.row,
        "column": fault.column,
        "code": fault.error.code,
        "detail": problem_of(fault.error).sentence(language, fault.error.params),
    }


def _sentence(row: dict[str, Any], language: Language) -> str:
    key = "xlsx.cell" if row["column"] else "xlsx.row"
    return translate(key, language, row=row["row"], column=row["column"], detail=row["detail"])
