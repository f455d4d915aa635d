"""Tables in Excel files: written so that no cell is a formula, and read as texts or refused, whatever program made
them.

A file is unpacked within bounds, and ``defusedxml`` parses its XML. A value that a cell only displays (the result of a
formula, a date, a number in its own format) is never guessed. Both directions take long: call them outside the event
loop.
"""

from __future__ import annotations

import io
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from shoal.errors import InvalidInput, TemporaryFailure
from shoal.language.folding import folded
from shoal.sheets.csv_rows import FORMULA_SIGNS

if TYPE_CHECKING:
    from openpyxl.cell import Cell

# openpyxl is loaded at the first table: most servers run for weeks without one, and it takes a tenth of their start.
# ruff: noqa: PLC0415

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
"""The media type of such a file."""

MAX_UNPACKED_BYTES = 48 << 20
"""The largest size of all unpacked parts of a file together."""
MAX_PARTS = 400
MAX_ROWS = 20_000
"""How many rows are read, including empty ones."""
MAX_COLUMNS = 64
MAX_CELLS = 300_000
"""How many cells, and how many shared texts, all parts together may contain: each one takes time to read."""
_MOST_DIGITS = 15
"""Excel does not keep numbers of more digits exactly."""

_AS_TYPED = {"General", "@", "0"}
"""The number formats that show what was typed."""
_UNWRITABLE = re.compile("_(?=x[0-9A-Fa-f]{4}_)|[\x01-\x08\x0b-\x1f\ufffe\uffff]")
_WRITTEN = re.compile(r"_x(?:005[Ff]_(?=x[0-9A-Fa-f]{4}_)|(000[1-9BbCcEeFfDd]|001[0-9A-Fa-f]|[Ff]{3}[EeFf])_)")
_MERGED = re.compile(
    rb"<(?:\w{1,20}:)?mergeCell\s[^<>]{0,100}?ref=[\"']([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})[\"']"
)
_COUNTED = re.compile(rb"<(?:\w{1,20}:)?(c|si)(?=[\s/>])")
_LONGEST_COUNTED = 24
_CHUNK_BYTES = 1 << 20
_LONGEST_TAG = 200
_MOST_MERGED = 100

warnings.filterwarnings("ignore", category=UserWarning, module=r"openpyxl\.")  # about the looks of a table only


class Column(msgspec.Struct, frozen=True):
    """One column: its key, and its head in Chinese and English (a reader accepts either)."""

    key: str
    zh: str
    en: str
    width: int = 20
    needed: bool = False
    """Whether a file without the column is refused."""
    also: tuple[str, ...] = ()
    """More heads that are accepted."""

    @property
    def heads(self) -> frozenset[str]:
        """The accepted heads, folded for comparison."""
        return frozenset(folded(name).strip() for name in (self.key, self.zh, self.en, *self.also))


class Row(msgspec.Struct, frozen=True):
    """One row that is not empty: its number in the file (the head is row 1), and its texts by column."""

    number: int
    texts: Mapping[str, str]


class Fault(msgspec.Struct, frozen=True):
    """The fault of one row: the column (empty: the whole row), and the reason."""

    row: int
    column: str
    error: InvalidInput


class UnusableRows(InvalidInput):
    """Some rows of a file are invalid, so no row is used: the sender must correct them."""

    code = "bad_rows"

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(faults, key=lambda fault: fault.row))
        super().__init__(f"{len(self.faults)} rows cannot be used")


class Table(msgspec.Struct, frozen=True):
    """The rows that could be read, and the faults of the others."""

    rows: tuple[Row, ...]
    faults: tuple[Fault, ...]
    heads: Mapping[str, str]
    """The heads of the existing columns, by the columns' keys."""


def written_table(sheet: str, columns: Sequence[tuple[Column, str]], rows: Iterable[Sequence[str]]) -> bytes:
    """Return an Excel file of one sheet: the columns, each with its head, and a row of texts for each of ``rows``.

    Raises ``TemporaryFailure`` (``file_not_made``) when the disk has no space for the temporary file.
    """
    return _written(sheet, columns, ([(text, False) for text in row] for row in rows))


def written_template(sheet: str, columns: Sequence[tuple[Column, str]], rows: Iterable[Sequence[str]]) -> bytes:
    """Return the same with example rows, in grey."""
    return _written(sheet, columns, ([(text, True) for text in row] for row in rows))


def _written(title: str, columns: Sequence[tuple[Column, str]], rows: Iterable[Sequence[tuple[str, bool]]]) -> bytes:
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    sheet = book.create_sheet(title)
    sheet.freeze_panes = "A2"
    for place, (column, _) in enumerate(columns):
        letter = chr(ord("A") + place)
        sheet.column_dimensions[letter].width = column.width
        sheet.column_dimensions[letter].number_format = "@"  # so that Excel keeps what users type below
    try:
        sheet.append([_head(sheet, head) for _, head in columns])
        for row in rows:
            sheet.append([_cell(sheet, text, grey=grey) for text, grey in row])
        file = io.BytesIO()
        book.save(file)
    except OSError as error:  # openpyxl writes a temporary file first
        raise TemporaryFailure(f"the file could not be made: {error.strerror}", code="file_not_made") from None
    return file.getvalue()


def _head(sheet: Any, text: str) -> Cell:
    from openpyxl.styles import Font, PatternFill

    cell = _cell(sheet, text)
    cell.font = Font(bold=True)
    cell.fill = PatternFill("solid", start_color="FFE8EEF9")
    return cell


def _cell(sheet: Any, text: str, *, grey: bool = False) -> Cell:
    """Return a cell that is always a text, whatever it contains."""
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Alignment, Font

    cell: Cell = WriteOnlyCell(sheet, _UNWRITABLE.sub(lambda found: f"_x{ord(found[0]):04X}_", text))
    cell.data_type = "s"  # not a formula, an error or a number
    cell.number_format = "@"
    cell.alignment = Alignment(vertical="top", wrap_text=True)
    if text.lstrip().startswith(FORMULA_SIGNS):  # blanks and tabs at the front do not stop Excel from seeing a formula
        cell.quotePrefix = True  # the cell stays a text when it is typed again
    if grey:
        cell.font = Font(color="FF808080")
    return cell


def read_table(data: bytes, columns: Sequence[Column], *, sheet: str, most: int) -> Table:
    """Return the rows of the sheet ``sheet``, or of the first one. At most ``most`` rows may have a text.

    Raises ``InvalidInput``: ``not_xlsx``, ``sheet_too_large``, ``too_many_cells``, ``too_many_sheet_rows``,
    ``missing_columns``, ``duplicate_column``. The faults of single rows are in the table.
    """
    from openpyxl import DEFUSEDXML, load_workbook

    if not DEFUSEDXML:  # openpyxl falls back silently to a parser that expands entities without limit
        raise RuntimeError("defusedxml is missing, or switched off")
    _check_parts(data)
    try:
        book = load_workbook(io.BytesIO(data), read_only=True, keep_links=False)
        with closing(book):
            return _read(book, data, columns, sheet, most)
    except InvalidInput:
        raise
    except Exception as error:  # noqa: BLE001  a damaged file makes openpyxl raise any error
        raise InvalidInput(f"no Excel file: {type(error).__name__}", code="not_xlsx") from None


def _check_parts(data: bytes) -> None:
    """Refuse a file that is not an archive, or that unpacks to more than the limit."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise InvalidInput(f"no Excel file: {type(error).__name__}", code="not_xlsx") from None
    for part in parts:
        if part.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or part.flag_bits & 1:
            raise InvalidInput("no Excel file: packed in another way", code="not_xlsx")
    # zipfile never unpacks a part beyond the size that its header names.
    if len(parts) > MAX_PARTS or sum(part.file_size for part in parts) > MAX_UNPACKED_BYTES:
        raise InvalidInput(
            "the file is too large when unpacked", code="sheet_too_large", limit=MAX_UNPACKED_BYTES >> 20
        )
    _check_contents(data)


def _check_contents(data: bytes) -> None:
    """Count the cells and texts piece by piece before anything is parsed: 30 KB may hold millions of texts."""
    found = {b"c": 0, b"si": 0}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for entry in archive.infolist():
                if not entry.filename.lower().endswith(".xml"):
                    continue
                with archive.open(entry) as part:
                    before = b""
                    while chunk := part.read(_CHUNK_BYTES):
                        piece = before + chunk
                        for tag in _COUNTED.finditer(piece):
                            found[tag[1]] += tag.end() > len(before)
                        if max(found.values()) > MAX_CELLS:
                            raise InvalidInput("too many cells", code="too_many_cells", limit=MAX_CELLS)
                        before = piece[-_LONGEST_COUNTED:]
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError, NotImplementedError, RuntimeError) as error:
        raise InvalidInput(f"no Excel file: {type(error).__name__}", code="not_xlsx") from None


def _read(book: Any, data: bytes, columns: Sequence[Column], title: str, most: int) -> Table:
    sheets = book.worksheets
    if not sheets:
        raise InvalidInput("there is no sheet", code="not_xlsx")
    sheet = next((one for one in sheets if one.title == title), sheets[0])
    lines: Iterator[Sequence[Any]] = iter(sheet.iter_rows(max_row=MAX_ROWS + 1, max_col=MAX_COLUMNS))
    top = next(lines, ())
    places = places_of([_head_text(cell) for cell in top], columns)
    heads = {key: _head_text(top[place]).strip() for key, place in places.items()}
    rows: list[Row] = []
    faults = list(_merged(data, sheet, {place: heads[key] for key, place in places.items()}))
    for number, cells in enumerate(lines, 2):
        texts: dict[str, str] = {}
        wrong: list[Fault] = []
        for key, place in places.items():
            try:
                texts[key] = _text(cells[place]) if place < len(cells) else ""
            except InvalidInput as error:
                wrong.append(Fault(number, heads[key], error))
        faults += wrong
        if not wrong and any(text.strip() for text in texts.values()):
            rows.append(Row(number, texts))
        if number > MAX_ROWS or len(rows) + len(faults) > most:
            raise InvalidInput("there are too many rows", code="too_many_sheet_rows", limit=most, rows=MAX_ROWS)
    return Table(tuple(rows), tuple(faults), heads)


def places_of(found: Sequence[str], columns: Sequence[Column]) -> dict[str, int]:
    """Return the place of each column among the heads of a file. Ignores other columns of the file.

    Raises ``InvalidInput``: ``missing_columns``, ``duplicate_column``.
    """
    places: dict[str, int] = {}
    for column in columns:
        here = [place for place, text in enumerate(found) if folded(text).strip() in column.heads]
        if len(here) > 1:
            raise InvalidInput("a column stands twice", code="duplicate_column", column=found[here[0]])
        if here:
            places[column.key] = here[0]
    missing = [column for column in columns if column.needed and column.key not in places]
    if missing:
        raise InvalidInput(
            "columns are missing",
            code="missing_columns",
            missing=[f"{column.zh} ({column.en})" for column in missing],
            found=[text[:40] for text in found if text][:20],
        )
    return places


def _head_text(cell: Any) -> str:
    return cell.value if isinstance(cell.value, str) else ""


def _text(cell: Any) -> str:
    """Return the text of a cell. Raises ``InvalidInput`` for anything but a text or a plain number."""
    value = cell.value
    if value is None:
        return ""
    if cell.data_type == "f":
        raise InvalidInput("the cell is a formula", code="cell_formula")
    if isinstance(value, str) and cell.data_type == "s":
        return _WRITTEN.sub(lambda found: chr(int(found[1], 16)) if found[1] else "_", value)
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float) and cell.number_format in _AS_TYPED and abs(value) < 10**_MOST_DIGITS:
        return str(int(value)) if value == int(value) else f"{value:.{_MOST_DIGITS}g}"
    raise InvalidInput("the cell is no text", code="cell_no_text")


def _merged(data: bytes, sheet: Any, heads: Mapping[int, str]) -> Iterator[Fault]:
    """Yield faults for merged cells below the head: the text is meant for all of them, but only one has it."""
    for first, top, last, bottom in islice(_merged_cells(data, sheet), _MOST_MERGED):
        here = [head for place, head in heads.items() if _number(first) <= place <= _number(last)]
        if here and bottom > 1:
            error = InvalidInput("cells are merged", code="cells_merged", cells=f"{first}{top}:{last}{bottom}")
            yield Fault(top, here[0], error)


def _merged_cells(data: bytes, sheet: Any) -> Iterator[tuple[str, int, str, int]]:
    seen: set[bytes] = set()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as archive,
        archive.open(sheet._worksheet_path) as part,  # noqa: SLF001  no public name has the path of a sheet
    ):
        before = b""
        while chunk := part.read(_CHUNK_BYTES):
            for found in _MERGED.finditer(before + chunk):
                if found[0] not in seen:
                    seen.add(found[0])
                    yield found[1].decode(), int(found[2]), found[3].decode(), int(found[4])
            before = chunk[-_LONGEST_TAG:]


def _number(letters: str) -> int:
    """Return the place of a column by its letters: ``A`` is 0."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1
