"""Apply each mutation to a copy of the sources, live through virtual hours with the copy, and print what is seen.

Run from the root of the repository: ``python -m tests.endurance.mutants.run [words of a name …]``. The exit status is
1 when a mutation is not seen by any of the seeds, or can no longer be applied.
"""

# ruff: noqa: T201
from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[3]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

from endurance.mutants.mutations import CERTAIN, MUTATIONS  # noqa: E402
from state.mutants.mutations import Mutation  # noqa: E402
from state.mutants.run import LONGEST_SUITE_SECONDS, copied, python, seen_by  # noqa: E402

SEEDS = range(100, 108)
VIRTUAL_SECONDS = 900
LIVE = """
import logging, sys, tempfile
from pathlib import Path
sys.path[:0] = ["tests", "."]
import structlog
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
logging.disable(logging.CRITICAL)
from endurance.virtual_world import live
with tempfile.TemporaryDirectory() as directory:
    violations = live({seed}, {seconds}, Path(directory)).violations
print(*violations[:1], sep="\\n")
"""


def seen_in(source: Path, seed: int) -> str:
    """The first broken promise of a run on those sources, or nothing."""
    try:
        done = python(source, "-c", LIVE.format(seed=seed, seconds=VIRTUAL_SECONDS))
    except subprocess.TimeoutExpired:
        return f"(no end within {LONGEST_SUITE_SECONDS:g} s)"
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:]
        return f"(it broke off: {' '.join(last)[:100]})"
    return done.stdout.strip().partition(": Question(")[0].partition(": Purchase(")[0]


def tried(mutation: Mutation | None) -> tuple[int, str]:
    """The seed whose run sees the mutation (``None``: no mutation), and what it sees; nothing: no seed does.

    A mutation with a test that is certain to notice it is tried with that test alone.
    """
    with TemporaryDirectory() as directory:
        source = copied(Path(directory).resolve())
        if mutation is not None:
            mutation.apply(source / "shoal")
        if mutation is not None and mutation.name in CERTAIN:
            test = CERTAIN[mutation.name]
            return 0, f"`{test}`" if seen_by(source, [test]) else ""
        for seed in SEEDS:
            if seen := seen_in(source, seed):
                return seed, seen
    return 0, ""


def main(words: list[str]) -> int:
    """Try all, or those whose name holds every word."""
    chosen = [mutation for mutation in MUTATIONS if all(word in mutation.name for word in words)]
    misfits = [misfit for mutation in chosen for misfit in mutation.misfits(ROOT / "src" / "shoal")]
    if misfits:
        print("\n".join(misfits))
        return 1
    if not words:
        seed, seen = tried(None)
        if seen:
            print(f"the sources fail without any mutation, seed {seed}: {seen}")
            return 1
    missed = 0
    print("| mutant | what the run says | seed |\n|---|---|---|", flush=True)
    for mutation in chosen:
        seed, seen = tried(mutation)
        missed += not seen
        print(f"| {mutation.name} | {seen or '**nothing**'} | {seed or '–'} |", flush=True)
    print(f"\n{len(chosen) - missed} of {len(chosen)} mutants caught")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
