"""What a ``BoundedProcesses`` does with Excel files: its jobs, and their arguments and answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from shoal.concurrency.bounded_worker import Failure
from shoal.errors import InvalidInput
from shoal.sheets.xlsx import Column, Fault, Row, Table, read_table, written_table, written_template

READ: Final = f"{__name__}:read"
WRITE: Final = f"{__name__}:write"
_PART_BYTES: Final = 1 << 20


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


encode = msgspec.msgpack.encode
decode_table = msgspec.msgpack.Decoder(ReadTable).decode
_decode_read = msgspec.msgpack.Decoder(ReadRequest).decode
_decode_write = msgspec.msgpack.Decoder(WriteRequest).decode


def _invalid(failure: Failure) -> InvalidInput:
    return InvalidInput(failure.text, code=failure.code, **failure.params)


def read(argument: bytes) -> Iterator[bytes]:
    """Read a table (``ReadRequest``). Raises as ``read_table``."""
    request = _decode_read(argument)
    table = read_table(request.data, request.columns, sheet=request.sheet, most=request.most)
    yield encode(
        ReadTable(
            rows=[(row.number, dict(row.texts)) for row in table.rows],
            faults=[WrongRow(one.row, one.column, Failure.of(one.error)) for one in table.faults],
            heads=dict(table.heads),
        )
    )


def write(argument: bytes) -> Iterator[bytes]:
    """Write a table (``WriteRequest``). Raises as ``written_table``."""
    request = _decode_write(argument)
    file = (written_template if request.grey else written_table)(request.sheet, request.columns, request.rows)
    for start in range(0, len(file), _PART_BYTES):
        yield file[start : start + _PART_BYTES]
