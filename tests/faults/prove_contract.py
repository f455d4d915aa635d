"""The tests of the contract at two servers on one PostgreSQL, file by file: none of them is changed for it.

    python -m tests.faults.prove_contract [--seed SEED] [--run LABEL] [--figures FILE] [FILE ...]

Each file appends its figures. What stands in the file under the same label is not run again.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

if __package__ != "faults":  # started as a script or a module of the repository
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from faults import figures

ROOT = Path(__file__).parents[2]
PROOF = "contract at two servers"
DIRECTORIES = ("api", "console", "contract")
_PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
_COUNTED = re.compile(r"(\d+) (passed|failed|error|skipped)")
_BROKEN = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)
_ASKED = re.compile(r"^two servers: (\d+) .*?, (\d+) the other; (\d+) met", re.MULTILINE)


def main() -> int:
    """Run what is missing; 1 when a test failed, or no request met the second server."""
    parser = argparse.ArgumentParser(description="the tests of the contract at two servers")
    parser.add_argument("--seed", default="1", help="which server each request meets (default %(default)s)")
    parser.add_argument("--run", default="", help="a label, such as the commit: what is done under it is not run again")
    parser.add_argument("--figures", type=Path, default=figures.DEFAULT_DIRECTORY / "contract.jsonl")
    parser.add_argument("files", nargs="*", help="only these; default: all of " + ", ".join(DIRECTORIES))
    chosen = parser.parse_args()
    done = {row["name"]: row for row in figures.read(chosen.figures) if row["run"] == chosen.run}
    for file in chosen.files or _files():
        if file not in done:
            done[file] = {"run": chosen.run, **_run(file, chosen.seed)}
            figures.append(chosen.figures, PROOF, done[file])
    rows = list(done.values())
    asked = [sum(row["asked"][number] for row in rows) for number in (0, 1)]
    sys.stdout.write(
        f"{sum(row.get('passed', 0) for row in rows)} passed, {sum(row.get('skipped', 0) for row in rows)} skipped; "
        f"{asked[0]} requests met the server that runs the shops, {asked[1]} the other\n"
    )
    return int(not asked[1] or any(row["exit_code"] for row in rows))


def _files() -> list[str]:
    found = (path for name in DIRECTORIES for path in (ROOT / "tests" / name).glob("test_*.py"))
    return [str(path.relative_to(ROOT)) for path in sorted(found)]


def _run(file: str, seed: str) -> dict[str, Any]:
    """Run a file, and return its figures."""
    ended = subprocess.run(
        [*_PYTEST, "--two-servers", seed, file], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False,
        env={**os.environ, "SHOAL_PROVE": "1"},
    )  # fmt: skip
    counted = {word: int(number) for number, word in _COUNTED.findall(ended.stdout.splitlines()[-1])}
    told = _ASKED.search(ended.stdout)
    one, two, behind = (int(number) for number in told.groups()) if told else (0, 0, 0)
    sys.stdout.write(ended.stdout if ended.returncode else f"{file}: {counted.get('passed', 0)} passed\n")
    sys.stdout.flush()
    return {
        "name": file, "exit_code": ended.returncode, **counted, "asked": [one, two], "behind": behind,
        "violations": _BROKEN.findall(ended.stdout),
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
