"""The proof of several servers on one PostgreSQL: each is killed, frozen, cut off, drained and stopped among buyers.

    python -m tests.faults.prove_cluster --shops 300 [--servers 2 3] [--cases killed frozen …] [--run LABEL]

The site's log judges: no shop has two sockets, no frame comes from a stale owner, no order is delivered or confirmed
twice, and no question is answered twice. A case whose figures stand under the same label is not run again.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

if __package__ != "faults":  # started as a script or a module of the repository
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from faults import figures
from faults.cluster_cases import CASES, WORKER_CASES, Found, Traded, prepared, run_case, settled
from faults.cluster_rig import a_cluster
from support.databases.postgres_server import running_server
from support.runs.warm_start import WarmStart, warm_processes

PROOF = "cluster"
NAMES = ("one", "two", "three")
UNITS = 20_000
TRADED = "buyers"


def main() -> int:
    """Run the cases that are missing; 1 when anything was broken."""
    parser = argparse.ArgumentParser(description="several servers, struck among buyers, judged by the site's log")
    parser.add_argument("--shops", type=int, default=300, help="default %(default)s")
    parser.add_argument("--servers", type=int, nargs="+", choices=[2, 3], default=[2, 3], help="default 2 3")
    parser.add_argument(
        "--workers", type=int, default=2, help="of one of two more servers; 0: none (default %(default)s)"
    )
    parser.add_argument("--cases", nargs="+", choices=[*CASES, *WORKER_CASES], default=[*CASES, *WORKER_CASES])
    parser.add_argument("--lease", type=float, default=6.0, help="seconds (default %(default)s)")
    parser.add_argument("--per-second", type=float, default=3.0, help="buyers of each kind (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--run", default="", help="a label, such as the commit: cases are taken up under the same one")
    parser.add_argument("--figures", type=Path, default=figures.DEFAULT_DIRECTORY / "cluster.jsonl")
    chosen = parser.parse_args()
    is_broken = False
    done = {row["name"] for row in figures.read(chosen.figures) if row["run"] == chosen.run}
    for servers in chosen.servers:
        is_broken = _run_missing(chosen, _Setting(servers, 0), CASES, done) or is_broken
    if chosen.workers:
        is_broken = _run_missing(chosen, _Setting(2, chosen.workers), WORKER_CASES, done) or is_broken
    return int(is_broken)


@dataclass(frozen=True, slots=True)
class _Setting:
    """How many servers, and workers of the first one."""

    servers: int
    workers: int

    def named(self, case: str) -> str:
        """Return the name of a case under which its figures stand."""
        return f"{case}, {self.servers} servers" + (f", one of {self.workers} workers" if self.workers else "")


def _run_missing(chosen: argparse.Namespace, setting: _Setting, cases: Iterable[str], done: set[str]) -> bool:
    missing = [case for case in cases if case in chosen.cases and setting.named(case) not in done]
    return bool(missing) and asyncio.run(_run(chosen, setting, missing))


async def _run(chosen: argparse.Namespace, setting: _Setting, cases: list[str]) -> bool:
    """Run cases one after another on the same servers; return whether anything was broken."""
    directory, chance, is_broken = Path(tempfile.mkdtemp(prefix="shoal-cluster-")), random.Random(chosen.seed), False
    warm = WarmStart()
    try:
        with running_server() as postgres, warm_processes(warm):
            await asyncio.to_thread(postgres.make_template)
            names, workers = NAMES[: setting.servers], setting.workers
            async with a_cluster(
                directory, postgres, names, shops=chosen.shops, lease_seconds=chosen.lease, workers=workers
            ) as cluster:
                await prepared(cluster, units=UNITS)
                for case in cases:
                    found = await run_case(cluster, case, per_second=chosen.per_second, chance=chance)
                    is_broken = bool(found.violations) or is_broken
                    _tell(chosen, setting, found)
                traded = await settled(cluster)
                is_broken = bool(traded.violations) or is_broken
                _tell_traded(chosen, setting, traded)
    finally:
        warm.close()
    if is_broken:
        sys.stdout.write(f"  kept: {directory}\n")
    else:
        shutil.rmtree(directory)
    return is_broken


def _tell(chosen: argparse.Namespace, setting: _Setting, found: Found) -> None:
    row = found.row() | {"run": chosen.run, "name": setting.named(found.name), "load": round(os.getloadavg()[0], 1)}
    figures.append(chosen.figures, PROOF, row)
    told = (
        f"{row['name']}: {found.shops} shops, owned after {found.owned_seconds:.2f} s, {found.dropped} came back, "
        f"median {found.connected_median:.2f} s, longest {found.connected_longest:.2f} s; {found.frames} frames judged"
    )
    sys.stdout.write("\n  ".join([told, *found.violations[:20]]) + "\n")
    sys.stdout.flush()


def _tell_traded(chosen: argparse.Namespace, setting: _Setting, traded: Traded) -> None:
    counted = {name: value for name, value in asdict(traded.counted).items() if name != "unexplained"}
    owner = dict(traded.with_owner)
    facts = {"questions": traded.questions, "unanswered": traded.unanswered, "owner": owner}
    name = setting.named(TRADED)
    row = {"run": chosen.run, "name": name, **facts, **counted, "violations": traded.violations}
    figures.append(chosen.figures, PROOF, row)
    told = (
        f"{name}: {traded.counted.complete} of {traded.counted.orders} orders whole, seen to by owners: {owner}, "
        f"{traded.questions} questions, {traded.unanswered} not answered"
    )
    sys.stdout.write("\n  ".join([told, *traded.violations]) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
