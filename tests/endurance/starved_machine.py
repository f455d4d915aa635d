"""What a starved machine brings: lines that break or fall silent, a process that stands still, and a database whose
write lock another program holds for longer than a connection's farewell.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Final

import psycopg
from sqlalchemy.engine import make_url

from benchmarks.processes import ServerProcess
from endurance.relay import Relay

HOLDS_SECONDS: Final = ((1.2, 3.8), (5.0, 15.0))
"""How long the write lock is held: longer than a connection's farewell; and longer than the writer waits for it."""
STANDS_STILL_SECONDS: Final = (1.0, 20.0)
_KINDS: Final = {"way": 5, "lock": 3, "lock and way": 4, "stands still": 2}


class StarvedMachine:
    """The accidents. Each is over when ``strike`` returns, but for those of the way, which last for some seconds."""

    def __init__(self, relay: Relay, server: ServerProcess, source: Path | str) -> None:
        self._relay = relay
        self._server = server
        self._source = source

    async def strike(self, rng: Random) -> str:
        """Let something go wrong; returns what."""
        kind = rng.choices(list(_KINDS), list(_KINDS.values()))[0]
        match kind:
            case "way":
                return self._relay.strike(rng)
            case "stands still":
                await self._stand_still(rng.uniform(*STANDS_STILL_SECONDS))
            case _:
                seconds = rng.uniform(*rng.choice(HOLDS_SECONDS))
                holding = asyncio.create_task(asyncio.to_thread(hold_write_lock, self._source, seconds))
                if kind == "lock and way":  # connections end while what they queued waits for the writer
                    await asyncio.sleep(rng.uniform(0.2, 0.7) * seconds)
                    self._relay.cut(rng.choice([0.2, 0.5, 1.0]))
                await holding
        return kind

    def mend(self) -> None:
        """New lines are good from now on."""
        self._relay.mend()

    async def _stand_still(self, seconds: float) -> None:
        with suppress(ProcessLookupError, AssertionError):  # it has ended, or is just being restarted
            pid = self._server.child.pid
            os.kill(pid, signal.SIGSTOP)
            try:
                await asyncio.sleep(seconds)
            finally:
                os.kill(pid, signal.SIGCONT)


def hold_write_lock(source: Path | str, seconds: float, *, held: Callable[[], None] = lambda: None) -> None:
    """Hold the database's write lock for so long, as a program does that copies or repairs; change nothing."""
    with suppress(sqlite3.OperationalError, psycopg.OperationalError):  # it could not get it: then it does no harm
        if isinstance(source, Path):
            with closing(sqlite3.connect(source, timeout=30, isolation_level=None)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                held()
                time.sleep(seconds)
                connection.execute("ROLLBACK")
        else:
            url = make_url(source).set(drivername="postgresql").render_as_string(hide_password=False)
            with closing(psycopg.connect(url)) as connection:
                connection.execute("LOCK TABLE messages, outbox, intents, orders, accounts IN EXCLUSIVE MODE")
                held()
                time.sleep(seconds)
                connection.rollback()


@contextmanager
def busy_processes(number: int) -> Iterator[None]:
    """So many processes that only compute, for the time of the block; each is ended by its own id."""
    # what ends with its parent by itself: it looks for who started it now and then
    program = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    sum(range(2_000_000))"
    children = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(number)]
    try:
        yield
    finally:
        for child in children:
            child.kill()
        for child in children:
            child.wait()
