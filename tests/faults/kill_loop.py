"""``kill -9`` again and again on the real server, in the middle of whatever it does; and what must hold each time.

After each kill the files are looked at before anything else touches them, then the server starts on them by itself:

- acknowledged ⊆ durable ⊆ acknowledged ∪ unanswered, by op id, in the file and over the API;
- the journal folds to the rows, without a gap in any generation;
- what anybody read, and what the stream told, was committed and stays so;
- within 10 s every account runs or not as its owner wants, with never more than one socket.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks.processes import KEPT, SandboxProcess
from faults.life import CONVERGE_SECONDS, Life
from support.databases.postgres_server import PostgresServer

SERVE = ("-m", "shoal", "serve")
"""What Python is told to run."""
LONGEST_STORM = 80
CYCLES_OF_A_LIFE = 25
"""After so many kills a new data directory is begun: its birth is killed too, and the journal stays short."""


@dataclass
class Figures:
    """What a run of the loop did and found."""

    cycles: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    refused: int = 0
    unanswered: int = 0
    unanswered_and_durable: int = 0
    asked_again: int = 0
    journal_entries: int = 0
    reads_checked: int = 0
    stream_changes_checked: int = 0
    longest_convergence_seconds: float = 0.0
    longest_start_seconds: float = 0.0
    seconds: float = 0.0
    violations: list[str] = field(default_factory=list)
    kept: str = ""
    """Where the files are, when anything was broken."""

    def row(self) -> dict[str, Any]:
        """As a line for the file of figures."""
        return {**vars(self), "kills": dict(self.kills), "seconds": round(self.seconds, 1)}


class KillLoop:
    """Lives of a server, each ended again and again. Everything random comes from the seed.

    ``ways``: how the first life is killed after its birth, in this order; then by chance. ``longest_storm``: so many
    answers.
    """

    def __init__(
        self,
        directory: Path,
        sandbox: SandboxProcess,
        *,
        seed: int,
        program: tuple[str, ...],
        postgres: PostgresServer | None = None,
        clients: int = 5,
        converge_seconds: float = CONVERGE_SECONDS,
        longest_storm: int = LONGEST_STORM,
        ways: Sequence[str] = (),
    ) -> None:
        self._directory = directory
        self._sandbox = sandbox
        self._clients = clients
        self.converge_seconds = converge_seconds
        self._program = program
        self.longest_storm = longest_storm
        self.ways = ways
        self.postgres = postgres
        self._chance = random.Random(seed)
        self._http = httpx.AsyncClient(timeout=60, trust_env=False, limits=KEPT)
        self._lives = 0
        self.figures = Figures()

    async def run(self, cycles: int, *, seconds: float) -> Figures:
        """Kill so many times, or until the time is up; what broke stands in the figures."""
        began = time.monotonic()

        def is_over() -> bool:
            return time.monotonic() - began > seconds or self.figures.cycles >= cycles

        try:
            while not is_over():
                self._lives += 1
                life = Life(self, self._directory / f"life{self._lives}")
                await life.run(min(CYCLES_OF_A_LIFE, cycles - self.figures.cycles), is_over)
        finally:
            await self._http.aclose()
        self.figures.seconds = time.monotonic() - began
        return self.figures

    async def accounts(self) -> dict[str, tuple[str, str]]:
        """The ids that accounts get here, each with its seller's ``unb`` and cookie."""
        items = (await self.site("sellers"))["items"]
        return {f"shop{number}": (seller["unb"], seller["cookie"]) for number, seller in enumerate(items)}

    async def site(self, what: str) -> dict[str, Any]:
        """Look at the sandbox."""
        answer: dict[str, Any] = (await self._http.get(f"{self._sandbox.url}/_sandbox/{what}")).json()
        return answer


async def kill_loop(
    cycles: int,
    *,
    seed: int,
    shops: int = 4,
    seconds: float = float("inf"),
    program: tuple[str, ...] = SERVE,
    postgres: PostgresServer | None = None,
    **options: Any,
) -> Figures:
    """Run the loop with a sandbox of its own: so many kills, or fewer when the time is up.

    The data stand in a file, or on ``postgres``, which is struck too. The files of a life that broke are kept.
    ``options``: of ``KillLoop``.
    """
    directory = Path(tempfile.mkdtemp(prefix="shoal-kills-"))
    sandbox = await SandboxProcess(directory / "sandbox.log").start(shops=shops)
    try:
        loop = KillLoop(directory, sandbox, seed=seed, program=program, postgres=postgres, **options)
        figures = await loop.run(cycles, seconds=seconds)
    finally:
        await sandbox.end()
    if figures.violations:
        figures.kept = str(directory)
    else:
        shutil.rmtree(directory)
    return figures
