"""The long kill loop, in parts that can be run one after another, or at once, and taken up again.

    python -m tests.faults.prove_kills --cycles 1000 --parts 20 [--part 2] [--postgres] [--run LABEL] [--figures FILE]

Each part has a seed of its own and appends its figures when it has ended. A part whose figures stand in the file
under the same label is not run again. With ``--postgres`` the data stand in a PostgreSQL, which is killed, too.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import nullcontext
from pathlib import Path

if __package__ != "faults":  # started as a script or a module of the repository
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from faults import figures
from faults.kill_loop import kill_loop
from support.databases.postgres_server import running_server

FIRST_SEED = 1000


def main() -> int:
    """Run the parts that are missing; 1 when any promise was broken."""
    parser = argparse.ArgumentParser(description="kill -9 on the real server, many times")
    parser.add_argument("--cycles", type=int, default=1000, help="kills in all parts (default %(default)s)")
    parser.add_argument("--parts", type=int, default=20, help="how many parts (default %(default)s)")
    parser.add_argument("--part", type=int, help="only this one, from 1")
    parser.add_argument("--run", default="", help="a label, such as the commit: parts are taken up under the same one")
    parser.add_argument("--figures", type=Path, default=figures.DEFAULT_DIRECTORY / "kills.jsonl")
    parser.add_argument("--postgres", action="store_true", help="on PostgreSQL, which is killed too")
    chosen = parser.parse_args()
    proof = "kill loop on PostgreSQL" if chosen.postgres else "kill loop"
    done = {
        row["part"]
        for row in figures.read(chosen.figures)
        if (row["proof"], row["run"], row["parts"]) == (proof, chosen.run, chosen.parts)
    }
    broken = False
    for part in [chosen.part] if chosen.part else range(1, chosen.parts + 1):
        if part in done:
            continue
        cycles = chosen.cycles * part // chosen.parts - chosen.cycles * (part - 1) // chosen.parts
        with running_server() if chosen.postgres else nullcontext() as postgres:
            found = asyncio.run(kill_loop(cycles, seed=FIRST_SEED + part, postgres=postgres))
        place = {"run": chosen.run, "parts": chosen.parts, "part": part, "seed": FIRST_SEED + part}
        figures.append(chosen.figures, proof, {**place, **found.row()})
        sys.stdout.write("\n  ".join([f"part {part}: {found.cycles} kills", *found.violations, found.kept]) + "\n")
        broken = broken or bool(found.violations)
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
