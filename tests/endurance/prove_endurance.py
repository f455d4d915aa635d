"""The long endurance runs, in parts that can be taken up again; each appends its figures.

    python -m tests.endurance.prove_endurance [--minutes 20] [--hours 2] [--seeds 6] [--only real|virtual] [--run LABEL]

``real``: so many minutes between real processes. ``virtual``: for each seed so many hours of virtual time in one
process. A part whose figures stand in the file under the same label is not run again. The story of a run that broke a
promise is kept beside the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import structlog

if __package__ != "endurance":  # started as a script or a module of the repository
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from endurance import real_world, virtual_world
from faults import figures

FIRST_SEED = 5000


def main() -> int:
    """Run the parts that are missing; 1 when any promise was broken."""
    parser = argparse.ArgumentParser(description="every fault at random, for long")
    parser.add_argument("--minutes", type=float, default=20, help="between real processes (default %(default)s)")
    parser.add_argument("--hours", type=float, default=2, help="of virtual time for each seed (default %(default)s)")
    parser.add_argument("--seeds", type=int, default=6, help="how many virtual runs (default %(default)s)")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--only", choices=["real", "virtual"])
    parser.add_argument("--run", default="", help="a label, such as the commit: parts are taken up under the same one")
    parser.add_argument("--figures", type=Path, default=figures.DEFAULT_DIRECTORY / "endurance.jsonl")
    chosen = parser.parse_args()
    _silence()
    done = {row["name"] for row in figures.read(chosen.figures) if row["run"] == chosen.run}
    seeds = range(chosen.first_seed, chosen.first_seed + chosen.seeds)
    parts = {} if chosen.only == "virtual" else {f"real {chosen.minutes:g} min": chosen.first_seed}
    if chosen.only != "real":
        parts |= {f"virtual {chosen.hours:g} h, seed {seed}": seed for seed in seeds}
    broken = False
    for name, seed in parts.items():
        if name in done:
            continue
        row, log = _real(seed, chosen.minutes * 60) if name.startswith("real") else _virtual(seed, chosen.hours * 3600)
        figures.append(chosen.figures, "endurance", {"run": chosen.run, "name": name, "seed": seed, **row})
        sys.stdout.write("\n  ".join([f"{name}: {row['outcomes']}", *row["violations"]]) + "\n")
        sys.stdout.flush()
        if row["violations"]:
            story = chosen.figures.with_name(f"endurance-{chosen.run}-{name.replace(' ', '-')}.log")
            story.write_text("\n".join([*row["violations"], *log]), encoding="utf-8")
            broken = True
    return int(broken)


def _real(seed: int, seconds: float) -> tuple[dict[str, Any], list[str]]:
    with TemporaryDirectory() as directory:
        found = asyncio.run(real_world.live(seed, seconds, Path(directory)))
        server_log = (Path(directory) / "data.log").read_text(encoding="utf-8", errors="replace").splitlines()
    return _row(found, found.seconds), [*found.log, "--- the server ---", *server_log]


def _virtual(seed: int, seconds: float) -> tuple[dict[str, Any], list[str]]:
    began = time.monotonic()
    with TemporaryDirectory() as directory:
        found = virtual_world.live(seed, seconds, Path(directory))
    return _row(found, time.monotonic() - began) | {"virtual_seconds": round(seconds)}, list(found.log)


def _row(found: real_world.Figures | virtual_world.Figures, seconds: float) -> dict[str, Any]:
    happened: Mapping[str, int] = found.happened
    return {
        "seconds": round(seconds),
        "outcomes": dict(sorted(found.outcomes.items())),
        "happened": dict(sorted(happened.items())),
        "counted": dict(found.counted),
        "violations": found.violations,
    }


def _silence() -> None:
    """What the server in this process logs is not of interest; a run that breaks a promise can be replayed."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)


if __name__ == "__main__":
    if (
        "PYTHONHASHSEED" not in os.environ
    ):  # else sets are gone through in another order each time, and no run is replayed
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, "PYTHONHASHSEED": "0"})  # noqa: S606
    sys.exit(main())
