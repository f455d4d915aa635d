"""The proof that webhooks get every event, in order: a program that posts is killed again and again.

    python -m tests.faults.prove_webhooks --kills 100 --events 20000 [--postgres] [--run LABEL] [--figures FILE]

In the middle third of the kills the receiver is down, for a day of the program's time.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from pathlib import Path

if __package__ != "faults":  # started as a script or a module of the repository
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from faults import figures
from faults.posting import posted_in_a_new_place
from support.databases.postgres_server import running_server

PROOF = "webhooks"


def main() -> int:
    """Run it unless it is done under this label; 1 when anything was not as it must be."""
    parser = argparse.ArgumentParser(description="every event arrives at a webhook, in order, through kills")
    parser.add_argument("--kills", type=int, default=100, help="default %(default)s")
    parser.add_argument("--events", type=int, default=20_000, help="default %(default)s")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--run", default="", help="a label, such as the commit: what is done under it is not run again")
    parser.add_argument("--figures", type=Path, default=figures.DEFAULT_DIRECTORY / "webhooks.jsonl")
    parser.add_argument("--postgres", action="store_true", help="on PostgreSQL")
    chosen = parser.parse_args()
    name = "on PostgreSQL" if chosen.postgres else "on SQLite"
    if any((row["run"], row["name"]) == (chosen.run, name) for row in figures.read(chosen.figures)):
        return 0
    how = {"kills": chosen.kills, "events": chosen.events, "seed": chosen.seed}
    with running_server() if chosen.postgres else nullcontext() as postgres:
        found = posted_in_a_new_place(**how, postgres=postgres)
    figures.append(chosen.figures, PROOF, {"run": chosen.run, "name": name, **found.row()})
    told = (
        f"{name}, {found.kills} kills: {found.events} events, {found.calls} calls, {found.down} while the receiver was "
        f"down for a day; {found.again} events came again, {found.seconds:.0f} s"
    )
    sys.stdout.write("\n  ".join([told, *found.violations]) + "\n")
    return int(bool(found.violations))


if __name__ == "__main__":
    sys.exit(main())
