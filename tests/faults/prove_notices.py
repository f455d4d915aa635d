"""The proof that every incident is told, and at most twice: a program that tells about them is killed again and again.

    python -m tests.faults.prove_notices --kills 100 --incidents 1000 [--postgres] [--run LABEL] [--figures FILE]

What did not arrive and is shown as uncertain is counted apart: two of its sendings were cut off or not answered, and a
third could be the third to arrive.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from pathlib import Path

if __package__ != "faults":  # started as a script or a module of the repository
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from faults import figures
from faults.telling import CHANNELS, told_in_a_new_place
from support.databases.postgres_server import running_server

PROOF = "notices"


def main() -> int:
    """Run it unless it is done under this label; 1 when anything was not as it must be."""
    parser = argparse.ArgumentParser(description="every incident is told, and at most twice, through kills")
    parser.add_argument("--kills", type=int, default=100, help="default %(default)s")
    parser.add_argument("--incidents", type=int, default=1000, help="default %(default)s")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--run", default="", help="a label, such as the commit: what is done under it is not run again")
    parser.add_argument("--figures", type=Path, default=figures.DEFAULT_DIRECTORY / "notices.jsonl")
    parser.add_argument("--postgres", action="store_true", help="on PostgreSQL")
    chosen = parser.parse_args()
    name = "on PostgreSQL" if chosen.postgres else "on SQLite"
    if any((row["run"], row["name"]) == (chosen.run, name) for row in figures.read(chosen.figures)):
        return 0
    how = {"kills": chosen.kills, "incidents": chosen.incidents, "seed": chosen.seed}
    with running_server() if chosen.postgres else nullcontext() as postgres:
        found = told_in_a_new_place(**how, postgres=postgres)
    figures.append(chosen.figures, PROOF, {"run": chosen.run, "name": name, **found.row()})
    told = (
        f"{name}, {found.kills} kills: {found.incidents} incidents over {CHANNELS} channels, {found.ends} ends; "
        f"{found.told[1]} notices once, {found.told[2]} twice, {found.unsure} did not arrive and are shown as "
        f"uncertain, {found.seconds:.0f} s"
    )
    sys.stdout.write("\n  ".join([told, *found.violations]) + "\n")
    return int(bool(found.violations))


if __name__ == "__main__":
    sys.exit(main())
