"""A Python program in a process of its own, forked from one that has imported Shoal: imports are most of a start.

Run as a script it is that process: it reads one order a line, forks, says the pid, waits, says the exit status.
"""

from __future__ import annotations

import asyncio
import json
import os
import runpy
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from benchmarks.processes import clean_environment


class WarmProcess:
    """A running program. It has what is used here of ``asyncio.subprocess.Process``."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @property
    def returncode(self) -> int | None:
        """Its exit status, the negative signal that ended it, or ``None`` while it is not known to have ended."""
        return self.ended.result() if self.ended.done() else None

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if not self.ended.done():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        """Wait for its end, and return the exit status."""
        return await asyncio.shield(self.ended)

    async def communicate(self) -> None:
        """Wait for its end: what it says is in its log."""
        await self.wait()


class WarmStart:
    """Starts programs, one after another: the one before must have ended."""

    def __init__(self) -> None:
        self._parent: asyncio.subprocess.Process | None = None
        self._telling: asyncio.Task[None] | None = None

    async def start(self, arguments: tuple[str, ...], environment: Mapping[str, str], log_file: Path) -> WarmProcess:
        """Be ``python ARGUMENTS`` in a new process with that environment; what it says goes to the file."""
        if self._parent is None:
            self._parent = await asyncio.create_subprocess_exec(
                sys.executable, __file__, env=clean_environment(PYTHONPATH=os.pathsep.join(filter(None, sys.path))),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
        if self._telling is not None:
            await self._telling
        assert self._parent.stdin is not None
        order = {"arguments": arguments, "environment": dict(environment), "log": str(log_file)}
        self._parent.stdin.write(json.dumps(order).encode() + b"\n")
        await self._parent.stdin.drain()
        process = WarmProcess(await self._number())
        self._telling = asyncio.create_task(self._publish(process))
        return process

    async def _number(self) -> int:
        assert self._parent is not None
        assert self._parent.stdout is not None
        return int(await self._parent.stdout.readline())

    async def _publish(self, process: WarmProcess) -> None:
        process.ended.set_result(await self._number())

    async def close(self) -> None:
        """End the process that forks; what it forked must have ended."""
        if self._parent is not None:
            assert self._parent.stdin is not None
            self._parent.stdin.close()
            await self._parent.wait()


def _become(arguments: list[str], environment: dict[str, str], log_file: str) -> None:
    """In the fork: be ``python ARGUMENTS`` with that environment."""
    nothing, log = os.open(os.devnull, os.O_RDONLY), os.open(log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.clear()
    os.environ.update(environment)
    if arguments[0] == "-m":
        sys.argv[:] = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv[:] = arguments
        runpy.run_path(arguments[0], run_name="__main__")


def _main() -> None:
    import shoal.__main__  # noqa: F401, PLC0415  what all forks share

    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(order["arguments"], order["environment"], order["log"])
            sys.exit(0)
        print(pid, flush=True)  # noqa: T201  the parent reads it
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201


if __name__ == "__main__":
    _main()
