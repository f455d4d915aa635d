"""The whole sweep over every read, write and sync of a change and of a batch, on both of our failing disks.

    python -m tests.faults.prove_io [--run LABEL] [--figures FILE]

Each scenario appends its figures. What stands in the file under the same label is not run again.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

if __package__ != "faults":  # started as a script or a module of the repository
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from faults import figures
from faults.fiu_sweep import FIU_RUN, fiu_sweep
from faults.replay import SCENARIOS, recorded, sweep

CHECKPOINTS = (1000, 1)
"""After how many pages SQLite moves the WAL into the database: seldom, and at every commit."""


def main() -> int:
    """Run what is missing; 1 when anything was broken, or libfiu is not there."""
    parser = argparse.ArgumentParser(description="every read, write and sync fails once")
    parser.add_argument("--run", default="", help="a label, such as the commit: a sweep is taken up under the same one")
    parser.add_argument("--figures", type=Path, default=figures.DEFAULT_DIRECTORY / "io.jsonl")
    chosen = parser.parse_args()
    done = {row["name"] for row in figures.read(chosen.figures) if row["run"] == chosen.run}
    broken = FIU_RUN is None
    for scenario in SCENARIOS:
        for name, how in _sweeps(scenario).items():
            if name in done:
                continue
            row = asyncio.run(_swept(scenario, how))
            figures.append(chosen.figures, "I/O sweep", {"run": chosen.run, "name": name, **row})
            sys.stdout.write(f"{name}: {row['fault_points']} fault points\n  " + "\n  ".join(row["violations"]) + "\n")
            broken = broken or bool(row["violations"])
    return int(broken)


def _sweeps(scenario: str) -> dict[str, int | None]:
    """The sweeps of a scenario by name: on the VFS with a checkpoint interval, and with libfiu (``None``)."""
    sweeps: dict[str, int | None] = {f"{scenario}, checkpoint {pages}": pages for pages in CHECKPOINTS}
    return sweeps if FIU_RUN is None else {**sweeps, f"{scenario}, system calls": None}


async def _swept(scenario: str, checkpoint: int | None) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as directory:
        if checkpoint is None:
            return vars(await fiu_sweep(Path(directory), scenario))
        recording = await recorded(Path(directory), scenario)
        return vars(await sweep(recording, scenario, checkpoint=checkpoint))


if __name__ == "__main__":
    sys.exit(main())
