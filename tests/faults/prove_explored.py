"""The long runs of the state machine, the schedules and the mutants; their figures are appended.

python -m tests.faults.prove_explored [--run LABEL] [--figures FILE] [--skip-mutants]
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

if __package__ != "faults":  # started as a script or a module of the repository
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from faults import figures

ROOT = Path(__file__).parents[2]
EXPLORING = ("tests/state", "tests/faults/test_bites.py", "tests/api/test_openapi.py")
"""What does more under ``SHOAL_PROVE``."""
_EXPLORED = re.compile(r"^(?P<name>.+): (?P<figures>\d+ \w+(?:, \d+ \w+)*); answers", re.MULTILINE)
"""What the proofs say of themselves (``state.figures.Figures``)."""
_FIGURE = re.compile(r"(\d+) (\w+)")
_SUMMARY = re.compile(r"(\d+) (passed|failed|error)")
_CAUGHT = re.compile(r"^(\d+) of (\d+) mutants caught", re.MULTILINE)
_MUTANT = re.compile(r"^\| (?P<name>.+?) \| (?P<by>.+) \|$", re.MULTILINE)


def main() -> int:
    """Run both; 1 when a test failed or a mutant was missed."""
    parser = argparse.ArgumentParser(description="explore states and schedules, and try the mutants")
    parser.add_argument("--run", default="", help="a label, such as the commit")
    parser.add_argument("--figures", type=Path, default=figures.DEFAULT_DIRECTORY / "explored.jsonl")
    parser.add_argument("--skip-mutants", action="store_true")
    chosen = parser.parse_args()
    failed = _explore(chosen.figures, chosen.run)
    return int(failed or (not chosen.skip_mutants and _try_mutants(chosen.figures, chosen.run)))


def _said_by(*words: str) -> tuple[int, str]:
    """Run a module of Python with the long budgets, show what it says, and return it."""
    environment = {**os.environ, "SHOAL_PROVE": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", *words], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        said = ""
        for line in child.stdout:
            sys.stdout.write(line)
            said += line
    return child.returncode, said


def _explore(file: Path, run: str) -> bool:
    code, said = _said_by("pytest", *EXPLORING, "-n", "2", "-rP", "-q", "-o", "faulthandler_timeout=0")
    outcome = {word: int(number) for number, word in _SUMMARY.findall(said.splitlines()[-1] if said else "")}
    for found in _EXPLORED.finditer(said):
        counted = {name: int(number) for number, name in _FIGURE.findall(found["figures"])}
        figures.append(file, "explored", {"run": run, "name": found["name"], **counted})
    figures.append(file, "tests", {"run": run, "name": "tests/state", "exit_code": code, **outcome})
    return code != 0


def _try_mutants(file: Path, run: str) -> bool:
    code, said = _said_by("tests.state.mutants.run")
    found = _CAUGHT.search(said)
    caught = {"caught": int(found[1]), "of": int(found[2])} if found else {}
    missed = [row["name"] for row in _MUTANT.finditer(said) if "**nothing**" in row["by"]]
    figures.append(file, "mutants", {"run": run, "name": "mutants", "exit_code": code, **caught, "missed": missed})
    return code != 0


if __name__ == "__main__":
    sys.exit(main())
