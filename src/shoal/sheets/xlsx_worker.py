"""A separate process for Excel files, bounded in time and memory; the server can end it in the middle of a file.

Its parent writes requests to its standard input and reads answers from its standard output, each a length and a
MessagePack. It has nothing of the server: no database, no key, no connection. It ends with its input.
"""

from __future__ import annotations

import os
import resource
import sys
from typing import IO, Any, Final

import msgspec

from shoal.concurrency.child_process import bound_memory, end_with_the_server
from shoal.errors import InvalidInput, ShoalError
from shoal.logs.core_dumps import forbid_core_dumps
from shoal.sheets.xlsx import Column, Fault, Row, Table, read_table, written_table, written_template

CPU_SECONDS: Final = 10
"""How much processor time one file may use."""
MEMORY_BYTES: Final = 1 << 30
LENGTH_BYTES: Final = 4
_NICENESS: Final = 10
"""Requests to the server have priority over Excel files."""


class Failure(msgspec.Struct):
    """The fault of a file: a code, and the values for its sentence."""

    code: str
    text: str
    params: dict[str, Any]


class ReadRequest(msgspec.Struct, tag="read"):
    """Read a table."""

    data: bytes
    columns: list[Column]
    sheet: str
    most: int


class WriteRequest(msgspec.Struct, tag="write"):
    """Write a table; ``grey``: its rows are examples."""

    sheet: str
    columns: list[tuple[Column, str]]
    rows: list[list[str]]
    grey: bool


class WrongRow(msgspec.Struct):
    """A ``Fault`` in the answer."""

    row: int
    column: str
    failure: Failure


class Answer(msgspec.Struct):
    """A table, a file, or a failure."""

    rows: list[tuple[int, dict[str, str]]] = []
    faults: list[WrongRow] = []
    heads: dict[str, str] = {}
    file: bytes = b""
    failure: Failure | None = None

    def table(self) -> Table:
        """Return the table that was read. Raises the failure, if there is one."""
        self.check()
        return Table(
            tuple(Row(number, texts) for number, texts in self.rows),
            tuple(Fault(one.row, one.column, _error(one.failure)) for one in self.faults),
            self.heads,
        )

    def check(self) -> None:
        """Raise the failure, if there is one."""
        if self.failure is not None:
            raise _error(self.failure)


Request = ReadRequest | WriteRequest
encode = msgspec.msgpack.encode
decode_answer = msgspec.msgpack.Decoder(Answer).decode
_decode_request = msgspec.msgpack.Decoder(Request).decode


def _error(failure: Failure) -> InvalidInput:
    return InvalidInput(failure.text, code=failure.code, **failure.params)


def _failure(error: ShoalError) -> Failure:
    return Failure(error.code, str(error), dict(error.params))


def answered(request: Request) -> Answer:
    """Carry out the request."""
    try:
        if isinstance(request, ReadRequest):
            table = read_table(request.data, request.columns, sheet=request.sheet, most=request.most)
            return Answer(
                rows=[(row.number, dict(row.texts)) for row in table.rows],
                faults=[WrongRow(one.row, one.column, _failure(one.error)) for one in table.faults],
                heads=dict(table.heads),
            )
        write = written_template if request.grey else written_table
        return Answer(file=write(request.sheet, request.columns, request.rows))
    except ShoalError as error:
        return Answer(failure=_failure(error))
    except MemoryError:
        return Answer(failure=Failure("sheet_too_costly", "the file needs too much memory", {}))


def _bound_time(seconds: int) -> None:
    """Let the system end this process when one file takes too long; the process cannot interrupt its own parsing."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime) + 1 + seconds
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (limit, hard))


def _read_exactly(source: IO[bytes], size: int) -> bytes:
    data = source.read(size)
    if len(data) < size:
        raise EOFError
    return data


def main() -> None:
    """Answer requests until the input ends."""
    import openpyxl  # noqa: F401, PLC0415  load it before the first file, so that no file waits for it

    end_with_the_server()
    bound_memory(MEMORY_BYTES)
    # a process that used too much time would dump its memory; afterwards /proc files cannot be written
    forbid_core_dumps()
    os.nice(_NICENESS)
    cpu_seconds = int(sys.argv[1])
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    while True:
        try:
            size = int.from_bytes(_read_exactly(source, LENGTH_BYTES))
            request = _decode_request(_read_exactly(source, size))
        except EOFError:
            return
        _bound_time(cpu_seconds)
        answer = encode(answered(request))
        sink.write(len(answer).to_bytes(LENGTH_BYTES) + answer)
        sink.flush()


if __name__ == "__main__":
    main()
