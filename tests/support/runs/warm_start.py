"""Sandboxes and servers forked from a process that has imported Shoal: imports are most of a start.

A forked server is a real process: with its own memory, environment, files, signals and end. What it does not show is
that the command itself starts; the tests of the commands and of the demo start theirs by the interpreter.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import pytest

from benchmarks.processes import START_SECONDS, Process, ServerProcess, clean_environment
from support.runs.quick_start import blank_database

_PARENT = Path(__file__).with_name("warm_parent.py")
_FORKED = ("-m", "shoal"), ("-m", "shoal.sandbox")


class WarmProcess:
    """A running program. It has what is used here of ``asyncio.subprocess.Process``."""

    def __init__(self, pid: int, stdout: asyncio.StreamReader, told: asyncio.StreamReader) -> None:
        self.pid = pid
        self.stdout = stdout
        self._ended = asyncio.create_task(told.read(), name=f"end of {pid}")

    @property
    def returncode(self) -> int | None:
        """Its exit status, the negative signal that ended it, or ``None`` while it is not known to have ended."""
        return int(self._ended.result()) if self._ended.done() else None

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        """Wait for its end, and return the exit status."""
        return int(await asyncio.shield(self._ended))

    async def communicate(self) -> tuple[bytes, None]:
        """Read its output to the end, and wait for its own."""
        said = await self.stdout.read()
        await self.wait()
        return said, None


class WarmStart:
    """Starts programs by the process that forks for all workers of a run, whose first start begins it."""

    def __init__(self) -> None:
        self._orders: socket.socket | None = None
        self._told = b""

    async def start(
        self,
        arguments: tuple[str, ...],
        environment: dict[str, str],
        log_file: Path | None = None,
        *,
        apart: bool = False,
        typed: bytes = b"",
    ) -> WarmProcess:
        """Be ``python ARGUMENTS`` in a new process with that environment. Stderr goes to the file, else to its output.

        ``typed``: what stands in its standard input.
        """
        output, output_end = os.pipe()
        told, told_end = os.pipe()
        with tempfile.TemporaryFile() as entry, nullcontext() if log_file is None else log_file.open("ab") as log:
            entry.write(typed)
            entry.seek(0)
            order = {"arguments": arguments, "environment": environment, "apart": apart}
            ends = [entry.fileno(), output_end, output_end if log is None else log.fileno(), told_end]
            socket.send_fds(self._open(), [json.dumps(order).encode() + b"\n"], ends)
        os.close(output_end)
        os.close(told_end)
        stdout, telling = await _reader(output), await _reader(told)
        return WarmProcess(int(await telling.readline()), stdout, telling)

    def _open(self) -> socket.socket:
        if self._orders is None:
            run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or os.getpid()
            code = zlib.crc32(f"{_PARENT} {os.environ.get('PYTHONPATH')}".encode())  # a run within has other sources
            place = Path(tempfile.gettempdir()) / f"shoal-warm-{run}-{code:x}"
            orders = socket.socket(socket.AF_UNIX)
            try:
                while orders.connect_ex(str(place)):
                    subprocess.run(
                        [sys.executable, str(_PARENT), str(place)],
                        env=clean_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True,
                    )  # fmt: skip
            except BaseException:
                orders.close()
                raise
            self._orders = orders
        return self._orders

    @property
    def pid(self) -> int | None:
        """The process whose children all that this one started are; ``None`` before the first of them."""
        if self._orders is None:
            return None
        while not self._told.endswith(b"\n"):
            self._told += self._orders.recv(1)
        return int(self._told)

    def close(self) -> None:
        """End what was forked here, and wait until it has ended."""
        if self._orders is not None:
            self._orders.shutdown(socket.SHUT_WR)
            while self._orders.recv(64):
                pass
            self._orders.close()
            self._orders, self._told = None, b""


WARM = WarmStart()
"""What forks for all tests of this process."""
atexit.register(WARM.close)


async def _reader(file: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(file, "rb", buffering=0)
    )
    return reader


async def ran(
    arguments: tuple[str, ...], environment: dict[str, str], *, typed: str = ""
) -> subprocess.CompletedProcess[str]:
    """Be ``python ARGUMENTS`` in a new process until it ends: what ``subprocess.run`` returns.

    By the interpreter a command of Shoal takes 1.5 s of a processor, nearly all of it for imports.
    """
    with tempfile.TemporaryDirectory() as directory:
        errors = Path(directory) / "errors"
        child = await WARM.start(arguments, environment, errors, typed=typed.encode())
        try:
            async with asyncio.timeout(START_SECONDS):
                said, _ = await child.communicate()
        except TimeoutError:
            child.kill()
            await child.wait()
            raise
        status = child.returncode
        assert status is not None
        return subprocess.CompletedProcess(arguments, status, said.decode(), errors.read_text(encoding="utf-8"))


async def served_once(environment: dict[str, str]) -> tuple[int, str]:
    """Run ``shoal serve`` until it ends by itself: the exit status, and what it said."""
    with tempfile.TemporaryDirectory() as directory:
        process = Process(Path(directory) / "log")
        child = await process.spawn("-m", "shoal", "serve", environment=environment)
        try:
            async with asyncio.timeout(START_SECONDS):
                said, _ = await child.communicate()
        except TimeoutError:
            child.kill()
            await child.wait()
            raise AssertionError("it started") from None
        status = child.returncode
        assert status is not None
        return status, said.decode() + process.log_file.read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _forked(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fork the sandboxes of a test, and the servers of one that is not marked ``cold``."""
    with warm_processes(WARM, servers=not request.node.get_closest_marker("cold")):
        yield


@contextmanager
def warm_processes(warm: WarmStart, *, servers: bool = True) -> Iterator[None]:
    """Let sandboxes and ``servers`` be forked; other programs are started as ever.

    A server finds a new database in a directory without one: to make it is half of a start.
    """

    async def begin(self: Process, *arguments: str, environment: dict[str, str]) -> object:
        is_forked = arguments[:2] in _FORKED or arguments[0].endswith(".py")
        if not is_forked or (isinstance(self, ServerProcess) and not servers):
            return await spawn(self, *arguments, environment=environment)
        if isinstance(self, ServerProcess) and "SHOAL_DATABASE_URL" not in environment:
            await blank_database(self.data_dir)
        child = await warm.start(arguments, environment, self.log_file, apart=self.apart)
        self.adopt(child)
        return child

    spawn = Process.spawn
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Process, "spawn", begin)
        yield
