"""The tests of the contract at two servers on one PostgreSQL: none of them is changed for it.

    python -m tests.faults.prove_contract [--seed SEED] [--run LABEL] [--figures FILE] [--together N] [FILE ...]

Some files at a time are run by one pytest, whose start and database take longer than most files. Each file appends its
figures. What stands there under the same label and seed is not run again; what was broken is told again. Of a whole run
requests must meet both servers; files that are named may send none, or few.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

if __package__ != "faults":  # started as a script or a module of the repository
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from faults import figures

ROOT = Path(__file__).parents[2]
PROOF = "contract at two servers"
DIRECTORIES = ("api", "console", "contract")
_PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
_ENDED = {"failure": "failed", "error": "error", "skipped": "skipped"}
_NO_TESTS = 5
"""pytest's exit code when nothing was chosen."""


def main() -> int:
    """Run what is missing; 1 when a test failed, or in a whole run no request met the second server."""
    parser = argparse.ArgumentParser(description="the tests of the contract at two servers")
    parser.add_argument("--seed", default="1", help="which server each request meets (default %(default)s)")
    parser.add_argument("--run", default="", help="a label, such as the commit: what is done under it is not run again")
    parser.add_argument("--figures", type=Path, default=figures.DEFAULT_DIRECTORY / "contract.jsonl")
    parser.add_argument("--together", type=int, default=12, help="files run by one pytest (default %(default)s)")
    parser.add_argument("files", nargs="*", help="only these; default: all of " + ", ".join(DIRECTORIES))
    chosen = parser.parse_args()
    kept = [row for row in figures.read(chosen.figures) if row["run"] == chosen.run]
    done = {row["name"]: row for row in kept if row["seed"] == chosen.seed}
    missing = [file for file in chosen.files or _files() if file not in done]
    for start in range(0, len(missing), chosen.together):
        for row in _run(missing[start : start + chosen.together], chosen.seed):
            done[row["name"]] = {"run": chosen.run, "seed": chosen.seed, **row}
            figures.append(chosen.figures, PROOF, done[row["name"]])
    return told(list(done.values()), is_whole=not chosen.files)


def told(rows: list[dict[str, Any]], *, is_whole: bool) -> int:
    """Print the sums and what was broken; 1 when something was, or in a whole run no request met the second server."""
    asked = [sum(row["asked"][number] for row in rows) for number in (0, 1)]
    broken = [test for row in rows for test in row["violations"]]
    sys.stdout.write(
        f"{sum(row['passed'] for row in rows)} passed, {sum(row['skipped'] for row in rows)} skipped; "
        f"{asked[0]} requests met the server that runs the shops, {asked[1]} the other\n"
    )
    sys.stdout.writelines(f"broken: {test}\n" for test in broken)
    return int(bool(broken) or (is_whole and not asked[1]))


def _files() -> list[str]:
    found = (path for name in DIRECTORIES for path in (ROOT / "tests" / name).glob("test_*.py"))
    return [str(path.relative_to(ROOT)) for path in sorted(found)]


def _run(files: list[str], seed: str) -> list[dict[str, Any]]:
    """Run some files by one pytest, and return the figures of each. Its output is printed if anything failed."""
    with tempfile.TemporaryDirectory() as place:
        report = Path(place, "report.xml")
        ended = subprocess.run(
            [*_PYTEST, "--two-servers", seed, f"--junit-xml={report}", *files], cwd=ROOT, stdout=subprocess.PIPE,
            text=True, check=False, env={**os.environ, "SHOAL_PROVE": "1"},
        )  # fmt: skip
        found = counted(report.read_text(encoding="utf-8")) if report.exists() else {}
    rows = [{"name": file, **found.get(file, _nothing())} for file in files]
    is_whole = ended.returncode in {0, _NO_TESTS} or any(row["violations"] for row in rows)
    if not is_whole:  # it could not collect a file, or was killed
        rows[0]["violations"] = [f"pytest ended with {ended.returncode}: {' '.join(files)}"]
    sys.stdout.write(ended.stdout if any(row["violations"] for row in rows) else "")
    sys.stdout.writelines(f"{row['name']}: {row['passed']} passed\n" for row in rows)
    sys.stdout.flush()
    return rows


def _nothing() -> dict[str, Any]:
    return {"passed": 0, "failed": 0, "error": 0, "skipped": 0, "asked": [0, 0], "behind": 0, "violations": []}


def counted(report: str) -> dict[str, dict[str, Any]]:
    """Return the figures of each file of a report of pytest (JUnit's form)."""
    rows: dict[str, dict[str, Any]] = {}
    for test in ET.fromstring(report).iter("testcase"):  # noqa: S314  our own pytest wrote it
        module = test.get("classname") or test.get("name") or ""  # the latter of a file that could not be collected
        file = "/".join(module.split(".")[:3]) + ".py"
        row = rows.setdefault(file, _nothing())
        ended = Counter(_ENDED[part.tag] for part in test if part.tag in _ENDED)
        for name in ended or ("passed",):
            row[name] += 1
        if ended.keys() & {"failed", "error"}:
            row["violations"].append(f"{file}::{test.get('name')}")
        _add_asked(row, {one.get("name", ""): one.get("value", "") for one in test.iter("property")})
    return rows


def _add_asked(row: dict[str, Any], told: Mapping[str, str]) -> None:
    met = re.findall(r"\d+", told.get("asked", "0 0"))
    row["asked"] = [one + int(more) for one, more in zip(row["asked"], met, strict=True)]
    row["behind"] += int(told.get("behind", "0"))


if __name__ == "__main__":
    sys.exit(main())
