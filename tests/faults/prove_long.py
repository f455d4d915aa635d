"""The tests that take too long for ``make test``: those marked ``long``, file by file.

    python -m tests.faults.prove_long [--run LABEL] [--figures FILE]

Each file appends its figures. What stands in the file under the same label is not run again.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

if __package__ != "faults":  # started as a script or a module of the repository
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from faults import figures

ROOT = Path(__file__).parents[2]
_PYTEST = (sys.executable, "-m", "pytest", "-q", "-m", "long")
_COUNTED = re.compile(r"(\d+) (passed|failed|error|skipped)")
_BROKEN = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)


def main() -> int:
    """Run what is missing; 1 when a test failed, or there is none at all."""
    parser = argparse.ArgumentParser(description="the long forms of tests")
    parser.add_argument("--run", default="", help="a label, such as the commit: what is done under it is not run again")
    parser.add_argument("--figures", type=Path, default=figures.DEFAULT_DIRECTORY / "long.jsonl")
    chosen = parser.parse_args()
    done = {row["name"] for row in figures.read(chosen.figures) if row["run"] == chosen.run}
    files = sorted(set(_files()))
    broken = not files
    for file in files:
        if file in done:
            continue
        ended = subprocess.run(
            [*_PYTEST, file], cwd=ROOT, env=_environment(), stdout=subprocess.PIPE, text=True, check=False
        )
        counted = {word: int(number) for number, word in _COUNTED.findall(ended.stdout.splitlines()[-1])}
        violations = _BROKEN.findall(ended.stdout)
        row = {"run": chosen.run, "name": file, "exit_code": ended.returncode, **counted, "violations": violations}
        figures.append(chosen.figures, "long tests", row)
        sys.stdout.write(ended.stdout if ended.returncode else f"{file}: {counted.get('passed', 0)} passed\n")
        broken = broken or ended.returncode != 0
    return int(broken)


def _files() -> Iterator[str]:
    """Return the file of each test that is marked."""
    words = [*_PYTEST, "--collect-only"]
    listed = subprocess.run(words, cwd=ROOT, env=_environment(), stdout=subprocess.PIPE, text=True, check=False).stdout
    for line in listed.splitlines():
        if "::" in line:
            yield line.partition("::")[0]


def _environment() -> dict[str, str]:
    return {**os.environ, "SHOAL_PROVE": "1"}


if __name__ == "__main__":
    sys.exit(main())
