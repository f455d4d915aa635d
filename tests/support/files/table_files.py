"""Excel files for tests: usual ones, and ones that no program would write."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from openpyxl import Workbook, load_workbook

from shoal.rules.rule import MAX_RULES, Rule
from shoal.rules.rule_lists import Wanted
from shoal.rules.rule_xlsx import COLUMNS, rule_table, rules_of_table
from shoal.rules.rule_xlsx import SHEET as SHEET_OF_RULES
from shoal.sheets.xlsx import Column, read_table, written_table


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


def a_bomb(*, strings: int = 0, styles: int = 0) -> bytes:
    """A small file that unpacks into so many empty texts, or styles of cells."""
    data = a_table([["词", "回复"], ["a", "b"]])
    if strings:
        head = b'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        data = with_part(data, "xl/sharedStrings.xml", lambda _: head + b"<si><t/></si>" * strings + b"</sst>")
    if styles:
        data = with_part(
            data, "xl/styles.xml", lambda old: old.replace(b"</cellXfs>", b"<xf/>" * styles + b"</cellXfs>")
        )
    return data


async def read_beside(processes: Any, data: bytes) -> Any:
    """What a process reads of a file with a column of words."""
    return await processes.read(data, [Column("words", "词", "Words", needed=True)], sheet="规则", most=5_000)


def written(rules: Sequence[Rule], *, chinese: bool) -> bytes:
    """The rules as an Excel file."""
    heads, rows = rule_table(rules, chinese=chinese)
    return written_table(SHEET_OF_RULES, heads, rows)


def rules_read(data: bytes) -> list[tuple[int, Wanted]]:
    """The rules of an Excel file."""
    return rules_of_table(read_table(data, COLUMNS, sheet=SHEET_OF_RULES, most=MAX_RULES))
