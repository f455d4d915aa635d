"""What a ``BoundedProcesses`` does with Excel and CSV files: its jobs, and their arguments and answers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

import msgspec

from shoal.concurrency.bounded_worker import Failure
from shoal.errors import InvalidInput
from shoal.sheets import csv_tables
from shoal.sheets.xlsx import Column, Fault, Row, Table, read_table, written_table, written_template

READ: Final = f"{__name__}:read"
READ_CSV: Final = f"{__name__}:read_csv"
CSV_LINES: Final = f"{__name__}:lines_of_csv"
WRITE: Final = f"{__name__}:write"
_PART_BYTES: Final = 1 << 20
_PART_LINES: Final = 2_000


class ReadRequest(msgspec.Struct):
    """Reads a table."""

    data: bytes
    columns: list[Column]
    sheet: str
    most: int


class WriteRequest(msgspec.Struct):
    """Writes a table; ``grey``: its rows are examples."""

    sheet: str
    columns: list[tuple[Column, str]]
    rows: list[list[str]]
    grey: bool


class WrongRow(msgspec.Struct):
    """A ``Fault`` in the answer."""

    row: int
    column: str
    failure: Failure


class ReadTable(msgspec.Struct):
    """A ``Table`` as it crosses the border between two processes."""

    rows: list[tuple[int, dict[str, str]]]
    faults: list[WrongRow]
    heads: dict[str, str]

    def table(self) -> Table:
        """Return the table that was read."""
        return Table(
            tuple(Row(number, texts) for number, texts in self.rows),
            tuple(Fault(one.row, one.column, _invalid(one.failure)) for one in self.faults),
            self.heads,
        )


CsvLines = list[tuple[int, list[str]]]
"""Rows of a CSV file, each with the number of its first line."""

encode = msgspec.msgpack.encode
decode_table = msgspec.msgpack.Decoder(ReadTable).decode
decode_lines = msgspec.msgpack.Decoder(CsvLines).decode
_decode_read = msgspec.msgpack.Decoder(ReadRequest).decode
_decode_write = msgspec.msgpack.Decoder(WriteRequest).decode


def _invalid(failure: Failure) -> InvalidInput:
    return InvalidInput(failure.text, code=failure.code, **failure.params)


def read(argument: bytes) -> Iterator[bytes]:
    """Read a table (``ReadRequest``). Raises as ``read_table``."""
    request = _decode_read(argument)
    yield _encoded(read_table(request.data, request.columns, sheet=request.sheet, most=request.most))


def read_csv(argument: bytes) -> Iterator[bytes]:
    """Read a table (``ReadRequest``). Raises as ``csv_tables.read_csv``."""
    request = _decode_read(argument)
    yield _encoded(csv_tables.read_csv(request.data, request.columns, most=request.most))


def _encoded(table: Table) -> bytes:
    return encode(
        ReadTable(
            rows=[(row.number, dict(row.texts)) for row in table.rows],
            faults=[WrongRow(one.row, one.column, Failure.of(one.error)) for one in table.faults],
            heads=dict(table.heads),
        )
    )


def lines_of_csv(argument: bytes) -> Iterator[bytes]:
    """Read the rows of a CSV file (``CsvLines``) that have a text. Raises as ``csv_tables.csv_lines``."""
    rows = csv_tables.csv_lines(csv_tables.decoded(argument))
    filled = ((number, cells) for number, cells in rows if any(cell.strip() for cell in cells))
    while some := list(islice(filled, _PART_LINES)):
        yield encode(some)


def write(argument: bytes) -> Iterator[bytes]:
    """Write a table (``WriteRequest``). Raises as ``written_table``."""
    request = _decode_write(argument)
    file = (written_template if request.grey else written_table)(request.sheet, request.columns, request.rows)
    for start in range(0, len(file), _PART_BYTES):
        yield file[start : start + _PART_BYTES]
