"""Apply each mutation to a copy of the sources, run the proofs against the copy, and print which of them see it.

Run from the root of the repository: ``python -m tests.state.mutants.run [words of a name …]``. The exit status is 1
when a mutation is not seen, or can no longer be applied.
"""

# ruff: noqa: T201
from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "tests"))

from state.mutants.mutations import MUTATIONS, Mutation  # noqa: E402

SUITES = {
    "state machine": ["tests/state/test_state_machine.py"],
    "schedules": [
        f"tests/state/test_{name}.py"
        for name in ("schedules", "virtual_loop", "cancellation", "sick_accounts", "found")
    ],
    "two nodes": ["tests/state/test_two_nodes.py"],
    "unit": [
        f"tests/unit/accounts/test_{name}.py"
        for name in (
            "cookie_manager",
            "account",
            "account_task",
            "change_path",
            "status_batch",
            "other_writers",
            "task_manager",
        )
    ],
}
LONGEST_SUITE_SECONDS = 300.0


def python(source: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run this Python on the sources in that directory."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SHOAL_")}
    environment |= {"PYTHONPATH": str(source), "SHOAL_NO_SHRINKING": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LONGEST_SUITE_SECONDS,
        check=False,
    )


def seen_by(source: Path, suite: list[str]) -> str:
    """The first test of the suite that fails on those sources, or nothing."""
    options = ["-x", "-q", "-p", "no:cacheprovider", "--tb=no", "-o", "timeout=60"]
    try:
        done = python(source, "-m", "pytest", *options, *suite)
    except subprocess.TimeoutExpired:
        return "(no end)"
    failed = re.search(r"^(?:FAILED|ERROR) \S+?::(.+?)(?: - .*)?$", done.stdout, re.MULTILINE)
    if done.returncode == 0:
        return ""
    if done.returncode != 1 or failed is None:
        raise RuntimeError(f"the tests could not run: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return failed.group(1)


def copied(directory: Path) -> Path:
    """A copy of the sources of which Python is sure to take the package."""
    shutil.copytree(ROOT / "src" / "shoal", directory / "shoal", ignore=shutil.ignore_patterns("__pycache__"))
    found = python(directory, "-c", "import shoal; print(shoal.__file__)").stdout.strip()
    if not found.startswith(str(directory)):
        raise RuntimeError(f"Python takes the package from {found}")
    return directory


def tried(mutation: Mutation | None) -> dict[str, str]:
    """Which suites see the mutation (``None``: no mutation), and by which test."""
    with TemporaryDirectory() as directory:
        source = copied(Path(directory).resolve())
        if mutation is not None:
            mutation.apply(source / "shoal")
        return {name: test for name, suite in SUITES.items() if (test := seen_by(source, suite))}


def main(words: list[str]) -> int:
    """Try all, or those whose name holds every word."""
    chosen = [mutation for mutation in MUTATIONS if all(word in mutation.name for word in words)]
    misfits = [misfit for mutation in chosen for misfit in mutation.misfits(ROOT / "src" / "shoal")]
    if misfits:
        print("\n".join(misfits))
        return 1
    sound = tried(None)
    if sound:
        print(f"the sources fail without any mutation: {sound}")
        return 1
    missed = 0
    print("| mutant | caught by |\n|---|---|", flush=True)
    for mutation in chosen:
        seen = tried(mutation)
        missed += not seen
        by = "; ".join(f"{suite}: `{test}`" for suite, test in seen.items())
        print(f"| {mutation.name} | {by or '**nothing**'} |", flush=True)
    print(f"\n{len(chosen) - missed} of {len(chosen)} mutants caught")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
