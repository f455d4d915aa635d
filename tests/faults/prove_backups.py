"""The proof of backups, in parts that can be run one after another and taken up again.

    python -m tests.faults.prove_backups --backups 50 --orders 500 --parts 10 [--part 2] [--run LABEL]

Every second part keeps its data in a PostgreSQL. A part whose figures stand in the file under the same label is not
run again.
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
from faults.backup_run import backup_run
from support.databases.postgres_server import running_server

PROOF = "backups"
FIRST_SEED = 7000


def main() -> int:
    """Run the parts that are missing; 1 when anything was broken, or any order was not served."""
    parser = argparse.ArgumentParser(description="backups under a storm of changes, deliveries and kills, restored")
    parser.add_argument("--backups", type=int, default=50, help="backups in all parts (default %(default)s)")
    parser.add_argument("--orders", type=int, default=500, help="orders in all parts (default %(default)s)")
    parser.add_argument("--parts", type=int, default=10, help="how many parts (default %(default)s)")
    parser.add_argument("--part", type=int, help="only this one, from 1")
    parser.add_argument("--run", default="", help="a label, such as the commit: parts are taken up under the same one")
    parser.add_argument("--figures", type=Path, default=figures.DEFAULT_DIRECTORY / "backups.jsonl")
    chosen = parser.parse_args()
    done = {
        row["part"]
        for row in figures.read(chosen.figures)
        if (row["proof"], row["run"], row.get("parts")) == (PROOF, chosen.run, chosen.parts)
    }
    broken = False
    for part in [chosen.part] if chosen.part else range(1, chosen.parts + 1):
        if part not in done:
            broken = _run(chosen, part) or broken
    return int(broken)


def _run(chosen: argparse.Namespace, part: int) -> bool:
    """Run one part and write its figures; return whether anything was broken."""
    orders, backups = (
        total * part // chosen.parts - total * (part - 1) // chosen.parts for total in (chosen.orders, chosen.backups)
    )
    seed, is_postgres = FIRST_SEED + part, part % 2 == 0
    with running_server() if is_postgres else nullcontext() as postgres:
        found, changes = asyncio.run(backup_run(orders, backups, seed=seed, postgres=postgres))
    database = "postgresql" if is_postgres else "sqlite"
    place = {"run": chosen.run, "parts": chosen.parts, "part": part, "seed": seed, "database": database}
    figures.append(chosen.figures, PROOF, {**place, "backups": backups, "changes": changes, **found.row()})
    counted = found.counted
    told = (
        f"part {part} of {chosen.parts} on {database}: {backups} backups beside {changes} changes, {found.kills} kills "
        f"and {counted.orders} orders, one restored; {counted.complete} orders whole, {counted.undone} undone, "
        f"{found.owner.total()} seen to by the owner, {found.seconds:.0f} s"
    )
    left = [f"not served: {dict(found.left)}"] if counted.not_served else []
    sys.stdout.write("\n  ".join([told, *left, *found.violations, found.kept]).rstrip() + "\n")
    sys.stdout.flush()
    return bool(found.violations) or counted.not_served > 0


if __name__ == "__main__":
    sys.exit(main())
