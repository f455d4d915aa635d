"""The proof of delivery, in parts that can be run one after another, or at once, and taken up again.

    python -m tests.faults.prove_delivery --orders 10000 --kills 300 --failures 200 --parts 50 [--part 2] [--run LABEL]
    python -m tests.faults.prove_delivery --refunds 0.7 --orders 1500 --kills 500 --failures 0 --parts 25

With ``--refunds`` so many buyers ask for a refund, which stays open or ends in any way, known by a card or not.

Every second part keeps its data in a PostgreSQL. Each part has a seed of its own and appends its figures when it has
ended. A part whose figures stand in the file under the same label is not run again.
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
from faults.delivery_run import delivery_run
from support.databases.postgres_server import running_server

PROOF, STORM = "delivery", "refunds"
FIRST_SEED, FIRST_SEED_OF_STORM = 5000, 9000


def main() -> int:
    """Run the parts that are missing; 1 when anything was broken, or any order was not served."""
    parser = argparse.ArgumentParser(description="paid orders, kills and failing stores, counted at the buyers' side")
    parser.add_argument("--orders", type=int, default=10_000, help="orders in all parts (default %(default)s)")
    parser.add_argument("--kills", type=int, default=300, help="kills in all parts (default %(default)s)")
    parser.add_argument("--failures", type=int, default=200, help="store failures in all parts (default %(default)s)")
    parser.add_argument("--parts", type=int, default=50, help="how many parts (default %(default)s)")
    parser.add_argument("--part", type=int, help="only this one, from 1")
    parser.add_argument("--shops", type=int, default=5, help="shops of one owner (default %(default)s)")
    parser.add_argument("--refunds", type=float, default=0.0, help="a storm of refunds: which share of the orders")
    parser.add_argument("--database", choices=["both", "sqlite", "postgresql"], default="both")
    parser.add_argument("--run", default="", help="a label, such as the commit: parts are taken up under the same one")
    parser.add_argument("--figures", type=Path, default=figures.DEFAULT_DIRECTORY / "delivery.jsonl")
    chosen = parser.parse_args()
    proof = STORM if chosen.refunds else PROOF
    done = {
        row["part"]
        for row in figures.read(chosen.figures)
        if (row["proof"], row["run"], row.get("parts")) == (proof, chosen.run, chosen.parts)
    }
    broken = False
    for part in [chosen.part] if chosen.part else range(1, chosen.parts + 1):
        if part in done:
            continue
        broken = _run(chosen, part) or broken
    return int(broken)


def _run(chosen: argparse.Namespace, part: int) -> bool:
    """Run one part and write its figures; return whether anything was broken."""
    is_postgres = chosen.database == "postgresql" or (chosen.database == "both" and part % 2 == 0)
    orders, kills, failures = (
        total * part // chosen.parts - total * (part - 1) // chosen.parts
        for total in (chosen.orders, chosen.kills, chosen.failures)
    )
    seed = part + (FIRST_SEED_OF_STORM if chosen.refunds else FIRST_SEED)
    with running_server() if is_postgres else nullcontext() as postgres:
        run = delivery_run(
            orders, kills, failures, seed=seed, shops=chosen.shops, postgres=postgres, refunds=chosen.refunds
        )
        found = asyncio.run(run)
    database = "postgresql" if is_postgres else "sqlite"
    place = {"run": chosen.run, "parts": chosen.parts, "part": part, "seed": seed, "database": database}
    figures.append(chosen.figures, STORM if chosen.refunds else PROOF, {**place, **found.row()})
    counted = found.counted
    told = (
        f"part {part} of {chosen.parts} on {database}: {counted.complete} of {counted.orders} orders whole, "
        f"{counted.undone} undone by their buyers, "
        f"{counted.units_received} of {counted.units_ordered} units, {found.kills} kills, "
        f"{found.store_failures} store failures, {found.owner.total()} seen to by the owner, {found.seconds:.0f} s"
    )
    left = [f"not served: {dict(found.left)}"] if counted.not_served else []
    sys.stdout.write("\n  ".join([told, *left, *found.violations, found.kept]).rstrip() + "\n")
    sys.stdout.flush()
    return bool(found.violations) or counted.not_served > 0


if __name__ == "__main__":
    sys.exit(main())
