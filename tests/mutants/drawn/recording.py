"""Record which tests run which lines, and read it. The record is kept outside of the sources, one file per test file.

``python -m tests.mutants.drawn record [tests/unit …]`` renews it for the files of tests that changed.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from mutants.drawn.hits import ROOT, Line, digest, lines_of, marked, recorded_name
from state.mutants.run import copied

ROOMS = (
    "unit",
    "contract",
    "api",
    "connection",
    "console",
    "wire",
    "sandbox",
    "state",
    "outside",
    "upgrades",
    "faults",
)
"""The directories of tests that are recorded unless others are named. Pages in a browser are not among them."""

OPTIONS = ("-q", "-p", "no:cacheprovider", "--tb=no", "-o", "timeout=900")

_RUN = f"""
import json, sys
from pathlib import Path
sys.path[:0] = ["tests", "."]
import pytest
from mutants.drawn.hits import Recorder
copy, kept, header, *files = sys.argv[1:]
recorder = Recorder(Path(copy), Path(kept), json.loads(header))
sys.exit(pytest.main([*{OPTIONS!r}, *files], plugins=[recorder]))
"""


@dataclass(frozen=True, slots=True)
class KnownTest:
    """A test that passed when it was recorded. ``seconds`` are those of the clock then, ``cpu`` those of a core."""

    name: str
    seconds: float
    cpu: float

    @property
    def file(self) -> str:
        """Its file, named from the root of the repository."""
        return self.name.partition("::")[0]


class Record:
    """The tests of each line, also of lines that moved since they were recorded."""

    def __init__(self, kept: Path) -> None:
        """Read what is kept there. A test that is gone is in no file, and not run."""
        self._of_line: dict[tuple[str, Line], list[KnownTest]] = defaultdict(list)
        self._texts: dict[str, dict[str, str]] = {}
        self.files: set[str] = set()
        self.of_sources: set[KnownTest] = set()
        self.of_file: dict[str, set[KnownTest]] = defaultdict(set)
        lines: dict[str, list[Line]] = {}
        for path in sorted(kept.glob("*.jsonl")):
            header, *tests = map(json.loads, path.read_text(encoding="utf-8").splitlines())
            if not (ROOT / path.stem.replace("+", "/")).exists():
                continue
            version = header["sources"]
            if version not in lines:
                said = json.loads((kept / f"sources-{version}.json").read_text(encoding="utf-8"))
                lines[version] = [(name, number) for name, number in said["lines"]]
                self._texts[version] = said["texts"]
            self.files.add(path.stem.replace("+", "/"))
            for said in tests:
                if said["passed"]:
                    test = KnownTest(said["test"], said["seconds"], said["cpu"])
                    self.of_file[test.file].add(test)
                    if test.file.startswith("tests/guards/"):
                        self.of_sources.add(test)
                    for line in lines_of(said["hits"], lines[version]):
                        self._of_line[version, line].append(test)

    def tests_of(self, file: str, source: str, lines: set[int]) -> set[KnownTest]:
        """The tests that run one of these lines of today's source, each the first line of a statement."""
        found: set[KnownTest] = set()
        for version, texts in self._texts.items():
            before = _lines_before(texts.get(file, ""), source)
            for line in lines:
                found.update(self._of_line.get((version, (file, before.get(line, 0))), ()))
        return found


def _lines_before(old: str, new: str) -> dict[int, int]:
    if old == new:
        return {number: number for number in range(1, new.count("\n") + 2)}
    matcher = difflib.SequenceMatcher(None, old.split("\n"), new.split("\n"), autojunk=False)
    return {b + n + 1: a + n + 1 for a, b, size in matcher.get_matching_blocks() for n in range(size)}


def record(kept: Path, names: list[str]) -> int:
    """Run each file of tests that is not recorded as it is now, and keep what ran. Returns how many runs failed."""
    kept.mkdir(parents=True, exist_ok=True)
    failed = 0
    with TemporaryDirectory() as temporary:
        directory = Path(temporary).resolve()
        directory.chmod(0o755)
        source = copied(directory)
        texts = {
            path.relative_to(source / "shoal").as_posix(): path.read_text(encoding="utf-8")
            for path in sorted((source / "shoal").rglob("*.py"))
        }
        said = json.dumps({"lines": marked(source), "texts": texts})
        version = hashlib.sha256(said.encode()).hexdigest()[:16]
        (kept / f"sources-{version}.json").write_text(said, encoding="utf-8")
        environment = {**os.environ, "PYTHONPATH": str(source), "SHOAL_NO_SHRINKING": "1"}
        for name in names or [f"tests/{room}" for room in ROOMS]:
            files = list(_stale(kept, ROOT / name))
            if not files:
                continue
            print(f"{name}: {len(files)} files", flush=True)  # noqa: T201
            words = [sys.executable, "-c", _RUN, str(source), str(kept), json.dumps({"sources": version}), *files]
            failed += subprocess.run(words, cwd=ROOT, env=environment, check=False).returncode not in {0, 5}
    return failed


def _stale(kept: Path, place: Path) -> Iterator[str]:
    for file in sorted([place] if place.is_file() else place.rglob("test_*.py")):
        path = kept / recorded_name(file)
        if path.exists():
            with path.open(encoding="utf-8") as opened:
                if json.loads(opened.readline())["digest"] == digest(file):
                    continue
        yield str(file.relative_to(ROOT))
