"""A process of its own for Excel files: it may use so much time and memory, and can be ended in the midst of a file.

Its parent writes requests to its standard input and reads the answers from its standard output, each a length and a
MessagePack. It holds nothing of the server: no database, no key, no connection. It ends with its input.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from shoal.errors import InvalidInput, ShoalError
from shoal.logs.core_dumps import forbid_core_dumps
from shoal.rules.xlsx import Column, Fault, Row, Table, read_table, written_table, written_template

CPU_SECONDS: Final = 10
"""How much of a processor one file may cost."""
MEMORY_BYTES: Final = 1 << 30
LENGTH_BYTES: Final = 4
_FIRST_TO_GO: Final = "1000"
"""When the machine's memory is used up, Linux ends this process and not the server."""
_PR_SET_PDEATHSIG: Final = 1
_NICENESS: Final = 10
"""Whoever works with the server goes before whoever waits for a file."""


class Failure(msgspec.Struct):
    """What is the matter with a file, as a code and what fills its sentence."""

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
    """A ``Fault`` as it travels."""

    row: int
    column: str
    failure: Failure


class Answer(msgspec.Struct):
    """A table, a file, or what is the matter."""

    rows: list[tuple[int, dict[str, str]]] = []
    faults: list[WrongRow] = []
    heads: dict[str, str] = {}
    file: bytes = b""
    failure: Failure | None = None

    def table(self) -> Table:
        """The table that was read. Raises what was the matter."""
        self.check()
        return Table(
            tuple(Row(number, texts) for number, texts in self.rows),
            tuple(Fault(one.row, one.column, _error(one.failure)) for one in self.faults),
            self.heads,
        )

    def check(self) -> None:
        """Raise what was the matter, if anything was."""
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
    """Do what is asked."""
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
    """Be ended by the system when one file costs too much: nothing in here could do that for itself."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime) + 1 + seconds
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (limit, hard))


def _bound_memory() -> None:
    with contextlib.suppress(ValueError, OSError):  # macOS bounds no address space
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    with contextlib.suppress(OSError), Path("/proc/self/oom_score_adj").open("w", encoding="ascii") as score:
        score.write(_FIRST_TO_GO)


def _end_with_the_server() -> None:
    """Be ended by Linux with the parent, also while a file is read: the end of the input is seen only after that."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _read_exactly(source: IO[bytes], size: int) -> bytes:
    data = source.read(size)
    if len(data) < size:
        raise EOFError
    return data


def main() -> None:
    """Answer requests until there are no more."""
    import openpyxl  # noqa: F401, PLC0415  before the first file, so that none waits for it

    _end_with_the_server()
    _bound_memory()
    forbid_core_dumps()  # the end by too much time would leave one; and no file in /proc can be written after it
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
