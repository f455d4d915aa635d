"""Excel files for tests: honest ones, and ones that nobody's program would write."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from openpyxl import Workbook, load_workbook


def a_table(
    rows: Iterable[Sequence[Any]], *, sheet: str = "Sheet1", change: Callable[[Any], None] | None = None
) -> bytes:
    """A file with these rows as they stand; ``change`` does something else to its sheet."""
    book = Workbook()
    page = book.active
    assert page is not None
    page.title = sheet
    for row in rows:
        page.append(list(row))
    if change:
        change(page)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def texts_of(data: bytes) -> tuple[str, list[list[Any]]]:
    """The name of the first sheet of a file, and what its cells say."""
    book = load_workbook(io.BytesIO(data))
    sheet = book.worksheets[0]
    return sheet.title, [[cell.value for cell in row] for row in sheet.iter_rows()]


def cells_of(data: bytes) -> list[Any]:
    """The cells of the first sheet."""
    return [cell for row in load_workbook(io.BytesIO(data)).worksheets[0].iter_rows() for cell in row]


def with_part(data: bytes, name: str, change: Callable[[bytes], bytes], **packing: Any) -> bytes:
    """The file with one of its parts changed (or added), packed in some way."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            if part != name:
                new.writestr(part, old.read(part))
        new.writestr(name, change(old.read(name) if name in old.namelist() else b""), **packing)
    return file.getvalue()


SHEET = "xl/worksheets/sheet1.xml"
