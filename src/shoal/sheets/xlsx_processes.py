"""Reads and writes Excel files in separate processes: in fair turns, bounded in time, ended with their caller."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterable, Sequence
from typing import Final

import structlog

from shoal.concurrency.child_process import child_environment
from shoal.concurrency.fair_turns import FairTurns
from shoal.errors import InvalidInput, TemporaryFailure
from shoal.sheets.xlsx import Column, Table
from shoal.sheets.xlsx_worker import (
    CPU_SECONDS,
    LENGTH_BYTES,
    Answer,
    ReadRequest,
    Request,
    WriteRequest,
    decode_answer,
    encode,
)

log = structlog.get_logger("shoal.sheets")

PROCESSES: Final = 2
WAITING_EACH: Final = 4
"""How many files of one user may wait; each is held in memory."""
WAITING_ALL: Final = 16
DEADLINE_SECONDS: Final = 60.0
"""The longest time for one file in all, on a busy machine."""
IDLE_SECONDS: Final = 60.0
"""A process that is unused for so long is ended: it holds 30 MB."""


class _Ended(Exception):
    """The process ended while it worked on a file."""


class XlsxProcesses:
    """Reads and writes tables. Starts a process when needed, and keeps it for the next file."""

    def __init__(
        self,
        *,
        deadline_seconds: float = DEADLINE_SECONDS,
        idle_seconds: float = IDLE_SECONDS,
        cpu_seconds: int = CPU_SECONDS,
    ) -> None:
        """``cpu_seconds``: how much processor time one file may use."""
        self._cpu_seconds = cpu_seconds
        self._deadline_seconds = deadline_seconds
        self._idle_seconds = idle_seconds
        self._turns = FairTurns(PROCESSES, waiting_each=WAITING_EACH, waiting_all=WAITING_ALL)
        self._idle: list[tuple[asyncio.subprocess.Process, asyncio.TimerHandle]] = []
        self._ending: set[asyncio.Task[None]] = set()

    async def read(self, data: bytes, columns: Sequence[Column], *, sheet: str, most: int) -> Table:
        """Read as ``xlsx.read_table``.

        Also raises ``InvalidInput`` (``sheet_too_costly``), ``TooManyCalls`` or ``ServerBusy``.
        """
        return (await self._asked(ReadRequest(data, list(columns), sheet, most))).table()

    async def write(
        self, sheet: str, columns: Sequence[tuple[Column, str]], rows: Iterable[Sequence[str]], *, grey: bool = False
    ) -> bytes:
        """Write as ``xlsx.written_table``, or as ``xlsx.written_template`` if ``grey``."""
        answer = await self._asked(WriteRequest(sheet, list(columns), [list(row) for row in rows], grey))
        if answer.failure is not None and answer.failure.code == "file_not_made":
            raise TemporaryFailure(answer.failure.text, code="file_not_made")
        answer.check()
        return answer.file

    async def close(self) -> None:
        """End every process."""
        for child, timer in self._idle:
            timer.cancel()
            self._end(child)
        self._idle.clear()
        await asyncio.gather(*self._ending, return_exceptions=True)

    async def _asked(self, request: Request) -> Answer:
        async with self._turns.turn():
            child = await self._ready()
            whole = False
            try:
                async with asyncio.timeout(self._deadline_seconds):
                    answer = await _exchange(child, request)
                whole = True
            except (TimeoutError, _Ended):
                log.warning("a file was given up", bytes=len(request.data) if isinstance(request, ReadRequest) else 0)
                raise InvalidInput("the file costs too much time", code="sheet_too_costly") from None
            finally:
                if whole:
                    self._keep(child)
                else:  # also when the caller was cancelled: its work ends
                    self._end(child)
            return answer

    async def _ready(self) -> asyncio.subprocess.Process:
        while self._idle:
            child, timer = self._idle.pop()
            timer.cancel()
            if child.returncode is None:
                return child
        try:
            return await asyncio.create_subprocess_exec(
                sys.executable, "-m", "shoal.sheets.xlsx_worker", str(self._cpu_seconds),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
                env=child_environment(), start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise TemporaryFailure(f"no process could be started: {error.strerror}", code="file_not_made") from None

    def _keep(self, child: asyncio.subprocess.Process) -> None:
        timer = asyncio.get_running_loop().call_later(self._idle_seconds, self._end_idle, child)
        self._idle.append((child, timer))

    def _end_idle(self, child: asyncio.subprocess.Process) -> None:
        self._idle = [one for one in self._idle if one[0] is not child]
        self._end(child)

    def _end(self, child: asyncio.subprocess.Process) -> None:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        task = asyncio.get_running_loop().create_task(_seen_off(child), name=f"sheet process {child.pid}")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


async def _exchange(child: asyncio.subprocess.Process, request: Request) -> Answer:
    if child.stdin is None or child.stdout is None:
        raise _Ended
    data = encode(request)
    try:
        child.stdin.write(len(data).to_bytes(LENGTH_BYTES) + data)
        await child.stdin.drain()
        size = int.from_bytes(await child.stdout.readexactly(LENGTH_BYTES))
        return decode_answer(await child.stdout.readexactly(size))
    except (OSError, EOFError) as error:
        raise _Ended from error


async def _seen_off(child: asyncio.subprocess.Process) -> None:
    """Wait until the process has ended."""
    await child.communicate()
