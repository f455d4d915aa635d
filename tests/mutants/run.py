"""Apply each defect to a copy of the sources and see its tests fail there.

Run from the root of the repository: ``python -m tests.mutants.run [words of a name …]``. The exit status is 1 when a
defect is not noticed, or can no longer be applied.
"""

# ruff: noqa: T201
from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from mutants.all import NOTICED  # noqa: E402
from mutants.catalogue import Noticed  # noqa: E402
from state.mutants.run import copied, python  # noqa: E402

OPTIONS = ("-q", "-p", "no:cacheprovider", "--tb=no", "-o", "timeout=60")
FAILED = 1
"""The exit status of pytest when tests ran and some failed."""


def unnoticed(defect: Noticed) -> list[str]:
    """Return the tests that pass although the defect is applied, with pytest's output when a test could not run."""
    with TemporaryDirectory() as directory:
        source = copied(Path(directory).resolve())
        defect.mutation.apply(source / "shoal")
        ran = {test: python(source, "-m", "pytest", *OPTIONS, test) for test in defect.tests}
    return [f"{test} {done.stdout.splitlines()[-1:]}" for test, done in ran.items() if done.returncode != FAILED]


def main(words: list[str]) -> int:
    """Try all defects, or those whose name contains every given word."""
    chosen = [defect for defect in NOTICED if all(word in defect.mutation.name for word in words)]
    misfits = [misfit for defect in chosen for misfit in defect.mutation.misfits(ROOT / "src" / "shoal")]
    if misfits:
        print("\n".join(misfits))
        return 1
    missed = 0
    for number, defect in enumerate(chosen, 1):
        passing = unnoticed(defect)
        missed += bool(passing)
        print(f"{number}/{len(chosen)} {defect.mutation.name}: {passing or 'noticed'}", flush=True)
    print(f"\n{len(chosen) - missed} of {len(chosen)} defects noticed")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
