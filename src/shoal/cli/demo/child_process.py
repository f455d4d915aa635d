"""Runs a program of the demo in another process: waits until it is ready, writes its log, ends it with this process."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Final

from shoal.errors import ShoalError

STOP_SECONDS: Final = 10.0
_TAIL_BYTES: Final = 8_192


class ChildDied(ShoalError):
    """A program that should run has ended."""

    code = "child_died"


class ChildProcess:
    """``python -m MODULE …`` with its own log file. It ends when this process ends in any way (see ``lifeline``)."""

    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        self._log = log
        self._file: IO[bytes] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._pump: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[str] | None = None

    @property
    def pid(self) -> int | None:
        """The process id; ``None`` before the start."""
        return self._process.pid if self._process else None

    async def start(
        self, module: str, *arguments: str, env: Mapping[str, str], cwd: Path, ready: str, ready_seconds: float
    ) -> str:
        """Start the program and wait for the line that matches ``ready``; return the first group.

        Raises ``ChildDied``.
        """
        self._ready = asyncio.get_running_loop().create_future()
        self._file = self._log.open("ab", buffering=0)
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "shoal.cli.demo.lifeline", module, *arguments),
            stdin=asyncio.subprocess.PIPE,  # kept open: see ``lifeline``
            stdout=asyncio.subprocess.PIPE,
            stderr=self._file,
            env=env,
            cwd=cwd,
            start_new_session=True,  # Ctrl-C reaches only this process, which then ends the child in order
        )
        self._pump = asyncio.create_task(self._read(re.compile(ready.encode())), name=f"output of {self.name}")
        try:
            async with asyncio.timeout(ready_seconds):
                return await asyncio.shield(self._ready)
        except TimeoutError:
            raise ChildDied(f"the {self.name} was not ready within {ready_seconds:g} s") from None

    async def wait(self) -> None:
        """Wait until the program ends, then raise ``ChildDied``."""
        if self._process is not None:
            await self._process.wait()
            raise self._died()

    async def stop(self) -> None:
        """Ask the program to end; kill it after ``STOP_SECONDS``."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        if self._pump is not None:
            await asyncio.wait([self._pump], timeout=1)
            self._pump.cancel()
        if self._file is not None:
            self._file.close()

    def last_lines(self, count: int = 15) -> list[str]:
        """Return the last lines of the log."""
        try:
            with self._log.open("rb") as file:
                size = file.seek(0, 2)
                file.seek(max(0, size - _TAIL_BYTES))
                return file.read().decode("utf-8", "replace").splitlines()[-count:]
        except OSError:
            return []

    async def _read(self, ready: re.Pattern[bytes]) -> None:
        if self._process is None or self._process.stdout is None or self._ready is None or self._file is None:
            return
        async for line in self._process.stdout:
            found = ready.search(line)
            if found and not self._ready.done():
                self._ready.set_result(found[1].decode())
            self._file.write(line)
        if not self._ready.done():
            await self._process.wait()
            self._ready.set_exception(self._died())

    def _died(self) -> ChildDied:
        code = self._process.returncode if self._process else None
        return ChildDied(f"the {self.name} has ended (exit code {code})")
