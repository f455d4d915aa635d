"""The proof of "Will it deliver?": twelve planted obstacles, healthy items, and rehearsals beside what arrived.

python -m tests.faults.prove_rehearsals --healthy 200 --purchases 1000 [--run LABEL]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

if __package__ != "faults":  # started as a script or a module of the repository
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from faults import figures
from faults.rehearsal_run import PLANTED, rehearsal_run

PROOF = "rehearsals"


def main() -> int:
    """Run it unless it is done under this label; 1 when anything was not as it must be."""
    parser = argparse.ArgumentParser(description="what stands in the way is named, and what is rehearsed arrives")
    parser.add_argument("--healthy", type=int, default=200, help="healthy items (default %(default)s)")
    parser.add_argument("--purchases", type=int, default=1000, help="rehearsals (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--run", default="", help="a label, such as the commit: what is done under it is not run again")
    parser.add_argument("--figures", type=Path, default=figures.DEFAULT_DIRECTORY / "rehearsals.jsonl")
    chosen = parser.parse_args()
    if any(row["run"] == chosen.run for row in figures.read(chosen.figures)):
        return 0
    with tempfile.TemporaryDirectory() as directory:
        how = {"healthy": chosen.healthy, "purchases": chosen.purchases, "seed": chosen.seed}
        found = asyncio.run(rehearsal_run(Path(directory), **how))
    figures.append(chosen.figures, PROOF, {"run": chosen.run, **found.row()})
    told = (
        f"{found.named} of {len(PLANTED)} obstacles named, {found.false_alarms} false alarms on {found.healthy} items, "
        f"{found.equal} of {found.rehearsals} rehearsals equal to what arrived, {found.seconds:.0f} s"
    )
    left = [f"not served: {dict(found.left)}"] if found.left else []
    sys.stdout.write("\n  ".join([told, *left, *found.violations[:40]]) + "\n")
    return int(bool(found.violations) or found.named < len(PLANTED) or found.equal < found.rehearsals)


if __name__ == "__main__":
    sys.exit(main())
