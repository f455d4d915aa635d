"""Tables in CSV files: read as texts, and written so that no program takes a cell for a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from shoal.errors import InvalidInput
from shoal.rules.xlsx import FORMULA_SIGNS, MAX_ROWS, Column, Fault, Row, Table, places_of

CSV: Final = "text/csv"
"""The media type of such a file."""

CSV_MARK: Final = b"\xef\xbb\xbf"
"""Stands before all rows: without it Excel reads Chinese as another encoding."""

_ENCODINGS: Final = ("utf-8-sig", "gb18030")
"""Excel in China saves CSV files as GB18030."""
_CELL_BYTES: Final = 1 << 20
_SIGNS: Final = re.escape("".join(FORMULA_SIGNS))
_RISKY: Final = re.compile(rf"'*\s*[{_SIGNS}]")
"""What the guard ``'`` is written before. Blanks at the front do not stop Excel from seeing a formula."""
_OF_EMPTY_ROWS: Final = ' \t\r\n,"'
"""What a file consists of when no cell has a text."""
_GUARDED: Final = re.compile(rf"'+\s*[{_SIGNS}]")


def decoded(data: bytes) -> str:
    """Return the text of a file. Raises ``InvalidInput`` (``unknown_encoding``)."""
    for encoding in _ENCODINGS:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise InvalidInput("the file is no text", code="unknown_encoding")


def csv_lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows, each with the number of its first line. Raises ``InvalidInput`` (``csv_unreadable``)."""
    csv.field_size_limit(_CELL_BYTES)
    # strict: a quote that is never closed would make one cell of all that follows, and drop its rows without a word
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    before = 0
    try:
        for cells in reader:
            yield before + 1, cells
            before = reader.line_num
    except csv.Error:
        raise InvalidInput("the file is no CSV", code="csv_unreadable") from None


def written_csv(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """Return a CSV file with these heads and rows. ``read_csv`` returns the same texts."""
    return CSV_MARK + csv_rows([heads]) + csv_rows([guarded(text) for text in row] for row in rows)


def csv_rows(rows: Iterable[Sequence[str]]) -> bytes:
    """Return rows of a CSV file as they are; a text that may be taken for a formula needs ``guarded`` before."""
    file = io.StringIO(newline="")
    csv.writer(file).writerows(rows)
    return file.getvalue().encode()


def read_csv(data: bytes, columns: Sequence[Column], *, most: int) -> Table:
    """Return the rows of a CSV file with heads, numbered as Excel shows them. At most ``most`` may have a text.

    Raises ``InvalidInput``: ``unknown_encoding``, ``no_rows`` for an empty file, ``csv_unreadable``,
    ``missing_columns``, ``duplicate_column``, ``too_many_sheet_rows``. The faults of single rows are in the table.
    """
    text = decoded(data)
    if not text.strip(_OF_EMPTY_ROWS):
        raise InvalidInput("the file is empty", code="no_rows")
    lines = csv_lines(text)
    _, top = next(lines, (1, []))
    places = places_of(top, columns)
    rows: list[Row] = []
    faults: list[Fault] = []
    for number, (_, cells) in enumerate(lines, 2):
        texts = {key: _bare(cells[place]) if place < len(cells) else "" for key, place in places.items()}
        if any(cell.strip() for cell in cells[len(top) :]):
            faults.append(Fault(number, "", InvalidInput("more cells than heads", code="csv_more_cells")))
        elif any(text.strip() for text in texts.values()):
            rows.append(Row(number, texts))
        if number > MAX_ROWS or len(rows) + len(faults) > most:
            raise InvalidInput("there are too many rows", code="too_many_sheet_rows", limit=most, rows=MAX_ROWS)
    return Table(tuple(rows), tuple(faults), {key: top[place].strip() for key, place in places.items()})


def guarded(text: str) -> str:
    """Return a text as a cell that no program takes for a formula."""
    return f"'{text}" if _RISKY.match(text) else text


def _bare(text: str) -> str:
    return text[1:] if _GUARDED.match(text) else text
