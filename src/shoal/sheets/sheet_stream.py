"""An Excel file that is written while it is sent: one sheet of any number of rows, in constant memory.

``openpyxl`` writes a file only as a whole, after its last row. The parts here are the fewest that Excel needs.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Sequence
from decimal import Decimal
from html import escape
from typing import IO, Final

Cell = str | int | Decimal
"""A text stays a text, whatever it contains; a number is one that can be summed."""

_TYPES: Final = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Default Extension="xml" ContentType="application/xml"/>
<Override PartName="/xl/workbook.xml"
 ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>
<Override PartName="/xl/styles.xml"
 ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.styles+xml"/>
<Override PartName="/xl/worksheets/sheet1.xml"
 ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/>
</Types>"""
_OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS: Final = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{}</Relationships>"""
_RELATION: Final = f'<Relationship Id="rId{{}}" Type="{_OFFICE}/{{}}" Target="{{}}"/>'
_WORKBOOK: Final = f"""<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>
<sheet name="{{}}" sheetId="1" r:id="rId1"/></sheets></workbook>"""
_STYLES: Final = f"""<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<styleSheet xmlns="{_MAIN}"><fonts count="2"><font/><font><b/></font></fonts>
<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills>
<borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs>
<cellXfs count="4"><xf numFmtId="49" applyNumberFormat="1"/>
<xf numFmtId="49" fontId="1" applyNumberFormat="1" applyFont="1"/><xf numFmtId="1" applyNumberFormat="1"/>
<xf numFmtId="2" applyNumberFormat="1"/></cellXfs>
<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>"""
_TEXT, _HEAD, _WHOLE, _AMOUNT = range(4)
_SHEET: Final = f"""<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2"
 activePane="bottomLeft" state="frozen"/></sheetView></sheetViews><cols>{{}}</cols><sheetData>"""
_SHEET_END: Final = "</sheetData></worksheet>"
_UNWRITABLE: Final = re.compile("_(?=x[0-9A-Fa-f]{4}_)|[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]")
LONGEST_CELL: Final = 32_767
"""Excel refuses a file with a longer text in a cell."""


class SheetStream:
    """One file: ``begin``, ``rows`` any number of times, ``end``. Each returns the next bytes of the file."""

    def __init__(self) -> None:
        self._bytes = _Pipe()
        self._archive = zipfile.ZipFile(self._bytes, "w", zipfile.ZIP_DEFLATED)
        self._sheet: IO[bytes] = io.BytesIO()

    def begin(self, title: str, heads: Sequence[tuple[str, int]]) -> bytes:
        """Begin a sheet with this title and these heads, each with the width of its column."""
        relation = _RELATION.format
        for name, text in (
            ("[Content_Types].xml", _TYPES),
            ("_rels/.rels", _RELATIONS.format(relation(1, "officeDocument", "xl/workbook.xml"))),
            ("xl/workbook.xml", _WORKBOOK.format(escape(title))),
            (
                "xl/_rels/workbook.xml.rels",
                _RELATIONS.format(
                    relation(1, "worksheet", "worksheets/sheet1.xml") + relation(2, "styles", "styles.xml")
                ),
            ),
            ("xl/styles.xml", _STYLES),
        ):
            self._archive.writestr(name, text)
        self._sheet = self._archive.open("xl/worksheets/sheet1.xml", "w")
        columns = "".join(
            f'<col min="{place}" max="{place}" width="{width}" customWidth="1"/>'
            for place, (_, width) in enumerate(heads, 1)
        )
        self._sheet.write(_SHEET.format(columns).encode())
        self._sheet.write(_row([head for head, _ in heads], _HEAD).encode())
        return self._bytes.taken()

    def rows(self, rows: Iterable[Sequence[Cell]]) -> bytes:
        """Write rows."""
        self._sheet.write("".join(_row(row, _TEXT) for row in rows).encode())
        return self._bytes.taken()

    def end(self) -> bytes:
        """End the file."""
        self._sheet.write(_SHEET_END.encode())
        self._sheet.close()
        self._archive.close()
        return self._bytes.taken()


class _Pipe(io.RawIOBase):
    """What is written and not yet taken; nothing can be changed afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._parts.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _row(cells: Iterable[Cell], style: int) -> str:
    return f"<row>{''.join(_cell(cell, style) for cell in cells)}</row>"


def _cell(cell: Cell, style: int) -> str:
    if isinstance(cell, Decimal):
        return f'<c s="{_AMOUNT}"><v>{cell}</v></c>'
    if isinstance(cell, int):
        return f'<c s="{_WHOLE}"><v>{cell}</v></c>'
    text = _UNWRITABLE.sub(lambda found: f"_x{ord(found[0]):04X}_", cell[:LONGEST_CELL])
    return f'<c s="{style}" t="inlineStr"><is><t xml:space="preserve">{escape(text, quote=False)}</t></is></c>'
