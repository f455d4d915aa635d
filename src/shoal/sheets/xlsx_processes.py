"""Reads tables in Excel and CSV files, and writes Excel files, in separate processes: in fair turns, bounded in time
and memory, ended with their caller."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from shoal.concurrency.bounded_processes import IDLE_SECONDS, BoundedProcesses, Bounds, GivenUp
from shoal.errors import InvalidInput
from shoal.sheets.xlsx import Column, Table
from shoal.sheets.xlsx_jobs import (
    CSV_LINES,
    READ,
    READ_CSV,
    WRITE,
    CsvLines,
    ReadRequest,
    WriteRequest,
    decode_lines,
    decode_table,
    encode,
)

BOUNDS: Final = Bounds(
    places=2,
    waiting_each=4,
    waiting_all=16,
    cpu_seconds=10,
    deadline_seconds=60.0,
    memory_bytes=1 << 30,
    answer_bytes=64 << 20,
)


class XlsxProcesses:
    """Reads and writes tables. Starts a process when needed, and keeps it for the next file."""

    def __init__(self, *, idle_seconds: float = IDLE_SECONDS, cpu_seconds: int = BOUNDS.cpu_seconds) -> None:
        """``cpu_seconds``: how much processor time one file may use."""
        bounds = msgspec.structs.replace(BOUNDS, cpu_seconds=cpu_seconds)
        self._processes = BoundedProcesses(bounds, idle_seconds=idle_seconds)
        self.close = self._processes.close

    async def read(self, data: bytes, columns: Sequence[Column], *, sheet: str, most: int) -> Table:
        """Read as ``xlsx.read_table``.

        Also raises ``InvalidInput`` (``sheet_too_costly``), ``TooManyCalls`` or ``ServerBusy``.
        """
        (part,) = await self._asked(READ, encode(ReadRequest(data, list(columns), sheet, most)))
        return decode_table(part).table()

    async def read_csv(self, data: bytes, columns: Sequence[Column], *, most: int) -> Table:
        """Read as ``csv_tables.read_csv``, with the bounds of ``read``."""
        (part,) = await self._asked(READ_CSV, encode(ReadRequest(data, list(columns), "", most)))
        return decode_table(part).table()

    async def csv_lines(self, data: bytes) -> CsvLines:
        """Return the rows of a CSV file that have a text, with the bounds of ``read``.

        Raises as ``csv_tables.decoded`` and ``csv_tables.csv_lines``.
        """
        return [line for part in await self._asked(CSV_LINES, data) for line in decode_lines(part)]

    async def write(
        self, sheet: str, columns: Sequence[tuple[Column, str]], rows: Iterable[Sequence[str]], *, grey: bool = False
    ) -> bytes:
        """Write as ``xlsx.written_table``, or as ``xlsx.written_template`` if ``grey``."""
        request = WriteRequest(sheet, list(columns), [list(row) for row in rows], grey)
        return b"".join(await self._asked(WRITE, encode(request)))

    async def _asked(self, job: str, argument: bytes) -> list[bytes]:
        try:
            return await self._processes.call(job, argument)
        except GivenUp:
            raise InvalidInput("the file costs too much time or memory", code="sheet_too_costly") from None
