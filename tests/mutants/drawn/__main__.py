"""Draw small defects over all sources by a seed, and try each against the tests that run its line.

Run from the root of the repository. ``python -m tests.mutants.drawn record`` notes which tests run which lines; after
changes it notes those of the files of tests that changed. ``python -m tests.mutants.drawn run`` tries the defects. Both
continue where they were ended. What they know is kept outside of the sources, in ``MUTANTS_DIR`` or the user's cache.
The exit status of ``run`` is 1 when less than 95 of 100 are caught or named in ``equivalent.toml``.
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import platformdirs

ROOT = Path(__file__).parents[3]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

from mutants.drawn.covering import Covering  # noqa: E402
from mutants.drawn.drawing import Drawn, draw, drawn_from, found_again  # noqa: E402
from mutants.drawn.recording import Record, record  # noqa: E402
from mutants.drawn.reporting import (  # noqa: E402
    CAUGHT,
    EQUIVALENT,
    GOOD,
    HUNG,
    SURVIVED,
    UNCOVERED,
    equivalents,
    is_equivalent,
    share,
    table,
)  # fmt: skip
from mutants.drawn.trying import Trial  # noqa: E402

SOURCE = ROOT / "src" / "shoal"
ENOUGH = 0.95


def drawn_once(path: Path, number: int, seed: int) -> list[Drawn]:
    """Draw, or read what was drawn under this label before."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        drawn = draw(SOURCE, number, seed)
        path.write_text(json.dumps([one.as_json() for one in drawn], ensure_ascii=False), encoding="utf-8")
    return [drawn_from(one) for one in json.loads(path.read_text(encoding="utf-8"))]


def where_it_is_now(drawn: Drawn, package: Path) -> Drawn | None:
    """The defect where its line is in these sources; ``None``: there is no such line any more."""
    path = package / drawn.file
    return found_again(drawn, path.read_text(encoding="utf-8")) if path.exists() else None


def results(path: Path) -> dict[str, dict[str, Any]]:
    """The last result of each defect, by its name."""
    if not path.exists():
        return {}
    said = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {one["name"]: one for one in said}


def run(kept: Path, given: argparse.Namespace) -> int:
    """Try what was not tried yet under this label, and print what became of all."""
    name = f"{given.run}-{given.seed}"
    print(f"seed {given.seed}, label {given.run}", flush=True)
    drawn = drawn_once(kept / f"{name}.json", given.number, given.seed)
    path = kept / f"{name}.jsonl"
    known = results(path)
    again = {SURVIVED, UNCOVERED} if given.again else set()
    part, parts = map(int, given.part.split("/"))
    ours = drawn[part - 1 :: parts]
    left = [one for one in ours if one.name not in known or known[one.name]["outcome"] in again]
    if left and not given.table:
        with TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as temporary:
            Path(temporary).chmod(0o755)
            try_all(Path(temporary), kept / "record", left, path, given.budget)
    known, named = results(path), equivalents()
    for one in drawn:
        if is_equivalent(one, named):  # it is not tried
            known[one.name] = {"name": one.name, "room": one.room, "outcome": EQUIVALENT}
    tried = [one for one in drawn if one.name in known]
    there = [one for one in tried if known[one.name]["outcome"] in GOOD or where_it_is_now(one, SOURCE)]
    said = [known[one.name] for one in there]
    print(table(said))
    print(f"gone with their lines, and not counted: {len(tried) - len(there)}")
    return int(share(said) < ENOUGH)


def try_all(temporary: Path, recorded: Path, left: list[Drawn], path: Path, budget: float) -> None:
    """Try each, and write at once what became of it."""
    tests = Record(recorded)
    trial = Trial(temporary, sorted(tests.files))
    covering = Covering(trial.package, tests)
    known = equivalents()
    try:
        found = [(one, now) for one in left if (now := where_it_is_now(one, trial.package)) is not None]
        found.sort(key=lambda both: trial.needs_import(both[1]))  # the quick ones first
        for number, (one, now) in enumerate(found, 1):
            if is_equivalent(one, known):
                continue
            began, cpu = time.monotonic(), time.process_time()
            chosen = covering.tests_of(now, budget)
            verdict = trial.tried(now, chosen)
            outcome = HUNG if verdict.hung else CAUGHT if verdict.caught_by else SURVIVED if chosen else UNCOVERED
            said = {
                "name": one.name, "room": one.room, "kind": one.place.kind, "outcome": outcome,
                "by": verdict.caught_by, "tests": len(chosen), "tried": verdict.tried,
                "seconds": round(time.monotonic() - began, 2), "cpu": round(time.process_time() - cpu, 2),
            }  # fmt: skip
            with path.open("a", encoding="utf-8") as out:
                out.write(json.dumps(said, ensure_ascii=False) + "\n")
            mark = "" if outcome in GOOD else "  ← " + one.place.kind
            print(f"{number}/{len(found)} {said['seconds']:g} s {outcome} {one.name}{mark}", flush=True)
    finally:
        trial.close()


def main() -> int:
    """Do what the first word says."""
    parser = argparse.ArgumentParser(description="small defects drawn by a seed")
    ways = parser.add_subparsers(dest="way", required=True)
    recording = ways.add_parser("record", help="note which tests run which lines")
    recording.add_argument("tests", nargs="*", help="files or directories; by default all but those of pages")
    running = ways.add_parser("run", help="try the defects")
    running.add_argument("--run", default="drawn", help="a label, such as the commit")
    running.add_argument("--seed", type=int, default=13)
    running.add_argument("--number", type=int, default=500)
    running.add_argument("--part", default="1/1", help="of them only this one, such as 2/3, beside runs of the others")
    running.add_argument("--budget", type=float, default=60.0, help="recorded seconds of a core for one defect")
    running.add_argument("--again", action="store_true", help="try once more what no test noticed")
    running.add_argument("--table", action="store_true", help="print only what became of those that were tried")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is ended, what was copied is removed
    kept = Path(os.environ.get("MUTANTS_DIR") or platformdirs.user_cache_path("shoal") / "mutants")
    return record(kept / "record", given.tests) if given.way == "record" else run(kept, given)


if __name__ == "__main__":
    sys.exit(main())
