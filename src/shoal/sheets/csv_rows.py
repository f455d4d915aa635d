"""Rows of CSV files, written so that no program takes a cell for a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Final

CSV: Final = "text/csv"
"""The media type of such a file."""

CSV_MARK: Final = b"\xef\xbb\xbf"
"""Stands before all rows: without it Excel reads Chinese as another encoding."""

FORMULA_SIGNS: Final = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""First characters of a formula, if the cell is typed again or the table is saved in another format. The wide ones
are what a Chinese keyboard types; programs take them for the others."""
_SIGNS: Final = re.escape("".join(FORMULA_SIGNS))
_RISKY: Final = re.compile(rf"'*\s*[{_SIGNS}]")
"""What the guard ``'`` is written before. Blanks at the front do not stop Excel from seeing a formula."""
_GUARDED: Final = re.compile(rf"'+\s*[{_SIGNS}]")


def csv_rows(rows: Iterable[Sequence[str]]) -> bytes:
    """Return rows of a CSV file as they are; a text that may be taken for a formula needs ``guarded`` before."""
    file = io.StringIO(newline="")
    csv.writer(file).writerows(rows)
    return file.getvalue().encode()


def guarded(text: str) -> str:
    """Return a text as a cell that no program takes for a formula."""
    return f"'{text}" if _RISKY.match(text) else text


def bare(text: str) -> str:
    """Return the text of a cell without the guard."""
    return text[1:] if _GUARDED.match(text) else text
