"""Processes that read and write files: in fair turns, bounded in time and memory, ended with their caller."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import Final

import msgspec
import structlog

from shoal.concurrency.bounded_worker import CALL, END, FAILURE, HEAD_BYTES, Call, Failure, head_of, message
from shoal.concurrency.child_process import child_environment
from shoal.concurrency.fair_turns import FairTurns
from shoal.errors import TemporaryFailure

log = structlog.get_logger("shoal.processes")

IDLE_SECONDS: Final = 60.0
"""A process that is unused for so long is ended: it holds 30 MB."""


class GivenUp(Exception):  # the caller says what it means for its kind of file
    """The work took more time or memory than it may, or had a larger answer."""


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What the processes of one kind may use."""

    places: int
    """How many of them work at once."""
    waiting_each: int
    """How many calls of one user may wait; each is held in memory."""
    waiting_all: int
    cpu_seconds: int
    """The processor time of one call."""
    deadline_seconds: float
    """The longest time of one call in all, on a busy machine."""
    memory_bytes: int
    answer_bytes: int
    """The largest answer; the server holds it in memory."""


class BoundedProcesses:
    """Calls functions (``Job``) in processes of one kind. Starts one when needed, and keeps it for the next call."""

    def __init__(self, bounds: Bounds, *, idle_seconds: float = IDLE_SECONDS) -> None:
        self._bounds = bounds
        self._idle_seconds = idle_seconds
        self._turns = FairTurns(bounds.places, waiting_each=bounds.waiting_each, waiting_all=bounds.waiting_all)
        self._idle: list[tuple[asyncio.subprocess.Process, asyncio.TimerHandle]] = []
        self._busy: set[asyncio.subprocess.Process] = set()
        self._ending: set[asyncio.Task[None]] = set()

    async def call(self, job: str, argument: bytes) -> list[bytes]:
        """Call a ``Job`` by its name, and return the parts of its answer.

        Raises what the job raises, ``GivenUp``, and what ``FairTurns.turn`` raises.
        """
        async with self._turns.turn():
            child = await self._ready()
            self._busy.add(child)
            whole = False
            try:
                async with asyncio.timeout(self._bounds.deadline_seconds):
                    parts, failure = await self._exchange(child, msgspec.msgpack.encode(Call(job, argument)))
                whole = True
            except (TimeoutError, OSError, EOFError):
                log.warning("work on a file was given up", job=job)
                raise GivenUp from None
            finally:
                self._busy.discard(child)
                if whole:
                    self._keep(child)
                else:  # also when the caller was cancelled: its work ends, and then its caller goes on
                    await asyncio.shield(self._end(child))
        if failure is not None:
            raise failure.error()
        return parts

    async def close(self) -> None:
        """End every process, also those that work."""
        for child, timer in self._idle:
            timer.cancel()
            self._end(child)
        self._idle.clear()
        for child in tuple(self._busy):  # its caller sees it off
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
        await asyncio.gather(*self._ending, return_exceptions=True)

    async def _exchange(self, child: asyncio.subprocess.Process, call: bytes) -> tuple[list[bytes], Failure | None]:
        if child.stdin is None or child.stdout is None:
            raise EOFError
        child.stdin.write(message(CALL, call))
        await child.stdin.drain()
        parts: list[bytes] = []
        left = self._bounds.answer_bytes
        while True:
            kind, size = head_of(await child.stdout.readexactly(HEAD_BYTES))
            left -= size
            if left < 0:
                raise EOFError
            body = await child.stdout.readexactly(size)
            if kind == END:
                return parts, None
            if kind == FAILURE:
                return [], msgspec.msgpack.decode(body, type=Failure)
            parts.append(body)

    async def _ready(self) -> asyncio.subprocess.Process:
        while self._idle:
            child, timer = self._idle.pop()
            timer.cancel()
            if child.returncode is None:
                return child
        bounds = self._bounds
        try:
            return await asyncio.create_subprocess_exec(
                sys.executable, "-m", "shoal.concurrency.bounded_worker", str(bounds.memory_bytes),
                str(bounds.cpu_seconds), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL, env=child_environment(), start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise TemporaryFailure(f"no process could be started: {error.strerror}", code="file_not_made") from None

    def _keep(self, child: asyncio.subprocess.Process) -> None:
        timer = asyncio.get_running_loop().call_later(self._idle_seconds, self._end_idle, child)
        self._idle.append((child, timer))

    def _end_idle(self, child: asyncio.subprocess.Process) -> None:
        self._idle = [one for one in self._idle if one[0] is not child]
        self._end(child)

    def _end(self, child: asyncio.subprocess.Process) -> asyncio.Task[None]:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        task = asyncio.get_running_loop().create_task(_seen_off(child), name=f"file process {child.pid}")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        return task


async def _seen_off(child: asyncio.subprocess.Process) -> None:
    """Wait until the process has ended."""
    await child.communicate()
