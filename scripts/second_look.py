"""Run the few tests that failed in the whole run once more, one after another, and name those that pass now.

A test that fails once in fifty runs is a defect of the test or of the product, and is to be mended. But it must not
hold up a change that has nothing to do with it: 8,000 tests of which each is right 9,999 times of 10,000 are red
together in more than every second run. So at most ``MOST`` of them get a second look without the load of the others,
and the last lines of the run name them. More failures, or one that fails again, fail the run.

``make pytest`` calls it with the exit status of pytest and the arguments of the second run.
"""

# ruff: noqa: T201
from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

MOST = 2
_TESTS_FAILED = 1
"""The exit status of pytest when it ran to its end and some tests failed."""


def second_look(status: int, cache_dir: Path, arguments: list[str]) -> int:
    """Return the exit status of the whole: 0 when the tests that failed pass now."""
    known = cache_dir / "v" / "cache" / "lastfailed"
    if status != _TESTS_FAILED or not known.exists():
        return status
    failed = sorted(json.loads(known.read_text(encoding="utf-8")))
    if not 0 < len(failed) <= MOST:
        return status
    print(f"\n{len(failed)} failed in the whole run. Once more, without the others:", flush=True)
    again = [
        sys.executable,
        "-m",
        "pytest",
        "-o",
        f"cache_dir={cache_dir}",
        "--last-failed",
        "--last-failed-no-failures=none",
    ]
    if subprocess.run([*again, *arguments], check=False).returncode != 0:
        return status
    print("\nUNSTEADY: failed in the whole run, passed alone. Each is a defect of the test or of the product; mend it:")
    for name in failed:
        print(f"  {name}")
    return 0


if __name__ == "__main__":
    sys.exit(second_look(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
