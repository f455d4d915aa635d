"""Run tests on a copy of the sources with one defect in it, until one fails.

A defect of a function is tried in a fork of a process that has all tests: its functions get their new code while they
are loaded. A defect in what runs at import is tried in a process that imports anew. The file of the copy has the defect
too, for the processes that tests start.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from mutants.drawn.drawing import Drawn
from mutants.drawn.hits import ROOT
from mutants.drawn.recording import KnownTest
from mutants.drawn.serving import Served
from mutants.drawn.swapping import differences

_OLD_NS = 1_500_000_000_000_000_000
"""When the files of the copy were last changed, as it seems: what was compiled with a defect does not fit them."""
_SLOWEST_SECONDS = 40.0
_SLOWEST_FACTOR = 20
"""A test that says nothing for so many times its recorded seconds, and the seconds above, hangs."""
_LIBRARIES = (
    *("aiohttp", "alembic", "fastapi", "httpx", "hypothesis", "openpyxl", "psycopg", "pydantic_settings", "rich"),
    *("schemathesis", "sqlalchemy", "typer", "uvicorn", "websockets"),
)
"""What the sources and the tests import, so that a process that imports the sources anew has these already."""
_FIRST_FILES = 3
"""To import and collect a file takes longer than most tests: those of the likeliest files are run before all others."""
_BECOME_THE_PARENT_OF_ORPHANS = 36


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the tests say of a defect: the first that fails, and whether it had to be ended because it hung."""

    caught_by: str
    hung: bool
    tried: int


class Trial:
    """The copy of the sources, and the processes that run tests on it."""

    def __init__(self, directory: Path, files: Sequence[str]) -> None:
        """``files``: those of all tests that are asked for, from the root of the repository."""
        self._directory = directory
        self.package = directory / "shoal"
        shutil.copytree(ROOT / "src" / "shoal", self.package, ignore=shutil.ignore_patterns("__pycache__"))
        for path in self.package.rglob("*.py"):
            os.utime(path, ns=(_OLD_NS, _OLD_NS))
        # Told that they are workers of one run, the processes share the PostgreSQL of the first.
        os.environ.update(PYTHONPATH=str(directory), SHOAL_NO_SHRINKING="1", PYTEST_XDIST_WORKER="gw0")
        sys.path.insert(0, str(directory))
        for name in _LIBRARIES:
            importlib.import_module(name)
        ctypes.CDLL(None).prctl(_BECOME_THE_PARENT_OF_ORPHANS, 1, 0, 0, 0)
        self._worker = Served(files, directory / "worker", forks=True)
        if failed := self._worker.wait_until_ready():
            raise RuntimeError(f"the tests could not be collected: {failed}")
        self._stay = {one.pid for one in psutil.Process().children()}
        self._sound: dict[tuple[str, bool], bool] = {}

    def needs_import(self, drawn: Drawn) -> bool:
        """Whether the defect is in what runs at import, which takes a process of its own."""
        path = self.package / drawn.file
        old = path.read_text(encoding="utf-8")
        texts = (old, drawn.place.applied(old))
        return differences(*(compile(text, str(path), "exec", dont_inherit=True) for text in texts)) is None

    def tried(self, drawn: Drawn, tests: list[KnownTest]) -> Verdict:
        """Run the tests in their order, and stop at the first that fails only with the defect."""
        path = self.package / drawn.file
        old = path.read_text(encoding="utf-8")
        new = drawn.place.applied(old)
        fresh = self.needs_import(drawn)
        edit = {} if fresh else {"path": str(path), "old": old, "new": new}
        files = list(dict.fromkeys(test.file for test in tests))
        likely = set(files[:_FIRST_FILES] if fresh else files)
        tried = 0
        for is_first in (True, False):
            left = [
                one for one in tests if (one.file in likely) is is_first and self._sound.get((one.name, fresh), True)
            ]
            while left:
                with self._written(path, old, new):
                    failed, hung, count = self._run(left, edit, fresh=fresh)
                tried += count
                at = next((n for n, test in enumerate(left) if test.name == failed), None)
                if failed and (at is None or self._is_sound(left[at], fresh=fresh)):
                    return Verdict(failed, hung, tried)
                left = left[at + 1 :] if at is not None else []
        return Verdict("", hung=False, tried=tried)

    def close(self) -> None:
        """End the processes."""
        for one in psutil.Process(self._worker.pid).children():
            one.kill()
        self._worker.end()
        self._end_all_but(set())

    @staticmethod
    @contextlib.contextmanager
    def _written(path: Path, old: str, new: str) -> Iterator[None]:
        path.write_text(new, encoding="utf-8")
        try:
            yield
        finally:
            path.write_text(old, encoding="utf-8")
            os.utime(path, ns=(_OLD_NS, _OLD_NS))

    def _is_sound(self, test: KnownTest, *, fresh: bool) -> bool:
        """Whether the test passes here without a defect; this is tried once."""
        known = (test.name, fresh)
        if known not in self._sound:
            self._sound[known] = not self._run([test], {}, fresh=fresh)[0]
        return self._sound[known]

    def _run(self, tests: list[KnownTest], edit: dict[str, str], *, fresh: bool) -> tuple[str, bool, int]:
        names = [test.name for test in tests]
        limits = {test.name: _SLOWEST_SECONDS + _SLOWEST_FACTOR * test.seconds for test in tests}
        try:
            if fresh:
                return self._run_fresh(sorted({test.file for test in tests}), names, limits)
            return self._worker.ask(names, edit, limits)
        finally:
            self._end_all_but(self._stay)
            for left in (self._directory / "worker", self._directory / "fresh"):
                for one in left.iterdir() if left.exists() else ():
                    shutil.rmtree(one, ignore_errors=True)

    def _run_fresh(self, files: list[str], names: list[str], limits: dict[str, float]) -> tuple[str, bool, int]:
        served = Served(files, self._directory / "fresh", forks=False)
        try:
            failed = served.wait_until_ready()
            return (failed, False, 0) if failed else served.ask(names, {}, limits)
        finally:
            served.end()

    @staticmethod
    def _end_all_but(stay: set[int]) -> None:
        for process in psutil.Process().children():
            if process.pid not in stay:
                for one in [process, *process.children(recursive=True)]:
                    with contextlib.suppress(psutil.NoSuchProcess, ChildProcessError):
                        one.kill()
                        os.waitpid(one.pid, 0)
