"""Tables in CSV files: read as texts, and written so that no program takes a cell for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from shoal.errors import InvalidInput
from shoal.sheets.csv_rows import CSV_MARK, bare, csv_rows, guarded
from shoal.sheets.xlsx import MAX_ROWS, Column, Fault, Row, Table, places_of

_ENCODINGS: Final = ("utf-8-sig", "gb18030")
"""Excel in China saves CSV files as GB18030."""
_CELL_BYTES: Final = 1 << 20
_MOST_CELLS: Final = 1_000
"""Of one row."""
_OF_EMPTY_ROWS: Final = ' \t\r\n,"'
"""What a file consists of when no cell has a text."""


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
            yield before + 1, _bounded(cells)
            before = reader.line_num
    except csv.Error:
        raise InvalidInput("the file is no CSV", code="csv_unreadable") from None


def _bounded(cells: list[str]) -> list[str]:
    if len(cells) > _MOST_CELLS:
        raise csv.Error
    return cells


def written_csv(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """Return a CSV file with these heads and rows. ``read_csv`` returns the same texts."""
    return CSV_MARK + csv_rows([heads]) + csv_rows([guarded(text) for text in row] for row in rows)


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
        texts = {key: bare(cells[place]) if place < len(cells) else "" for key, place in places.items()}
        if any(cell.strip() for cell in cells[len(top) :]):
            faults.append(Fault(number, "", InvalidInput("more cells than heads", code="csv_more_cells")))
        elif any(text.strip() for text in texts.values()):
            rows.append(Row(number, texts))
        if number > MAX_ROWS or len(rows) + len(faults) > most:
            raise InvalidInput("there are too many rows", code="too_many_sheet_rows", limit=most, rows=MAX_ROWS)
    return Table(tuple(rows), tuple(faults), {key: top[place].strip() for key, place in places.items()})
