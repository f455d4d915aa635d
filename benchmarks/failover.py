"""How long shops are away when a server or a worker dies: ``python -m benchmarks.failover [--rounds 3]``.

Two servers on one PostgreSQL, one of them with two workers, and the real sandbox, with the lease of the settings. Each
case strikes again and again. Seconds are from the strike: until every shard has a living owner, and until the shops of
the struck one are connected again, with the pace of starts raised. The site's log judges, as in the proof: a shop
with two sockets is an overlap. The frozen server's own sockets, which cannot close, are none. A run of some cases is
kept apart from the last one of all (``failover_some``), and so is one of a cut link alone (``failover_cut``).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

from benchmarks.figures import keep
from benchmarks.test_modules import of_tests

CASES: Final = {
    "worker": "a worker is killed",
    "killed": "a server is killed",
    "frozen": "a server stands still",
    "cut": "its link to the database swallows all",
    "stumbling": "the same, and processes stand still for 0.1 to 0.8 s",
    "stopped": "a server gets SIGTERM",
    "database": "PostgreSQL restarts at once",
}
STUMBLING: Final = "stumbling"
LEASE_SECONDS: Final = 15.0
BUYERS_A_SECOND: Final = 0.5


async def measure(shops: int, rounds: dict[str, int]) -> list[dict[str, Any]]:
    """Strike each way so often. Return a row for each."""
    rig, striking = of_tests("faults.cluster_rig"), of_tests("faults.cluster_cases")
    warm_start, servers = of_tests("support.runs.warm_start"), of_tests("support.databases.postgres_server")
    warm, chance, rows = warm_start.WarmStart(), random.Random(1), []  # noqa: S311  no secret
    with tempfile.TemporaryDirectory() as place, servers.running_server() as postgres:
        await asyncio.to_thread(postgres.make_template)
        how = {"shops": shops, "lease_seconds": LEASE_SECONDS, "workers": 2}
        with warm_start.warm_processes(warm):
            async with rig.a_cluster(Path(place), postgres, ("one", "two"), **how) as cluster:
                await striking.prepared(cluster, units=5_000)
                for case, count in rounds.items():
                    among = {"per_second": BUYERS_A_SECOND, "chance": chance, "stumbling": case == STUMBLING}
                    struck = "cut" if case == STUMBLING else case
                    found = [await striking.run_case(cluster, struck, **among) for _ in range(count)]
                    rows.append(_row(case, found))
                    print(rows[-1], flush=True)
                    for sentence in [sentence for one in found for sentence in one.violations][:20]:
                        sys.stderr.write(f"{sentence}\n")
    warm.close()
    return rows


def _row(case: str, found: list[Any]) -> dict[str, Any]:
    return {
        "what": CASES[case],
        "rounds": len(found),
        "shops": round(statistics.mean(one.shops for one in found)),
        "owned, median s": statistics.median(one.owned_seconds for one in found),
        "owned, longest s": max(one.owned_seconds for one in found),
        "connected, median s": statistics.median(one.connected_median for one in found),
        "connected, longest s": max(one.connected_longest for one in found),
        "frames judged": sum(one.frames for one in found),
        "connected anew": round(statistics.mean(one.dropped for one in found)),
        "violations": sum(len(one.violations) for one in found),
        "load": round(os.getloadavg()[0], 1),
    }


def result_name(cases: Collection[str]) -> str:
    """Return the name under which the figures of these cases are kept: only a run of all replaces one of all."""
    if set(cases) <= {"cut", STUMBLING}:
        return "failover_cut"
    return "failover" if set(cases) == set(CASES) else "failover_some"


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shops", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cut-rounds", type=int, default=3, help="with a cut link, and the same once more, stumbling")
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    chosen = parser.parse_args()
    rounds = {case: chosen.cut_rounds if case in {"cut", STUMBLING} else chosen.rounds for case in chosen.cases}
    rows = asyncio.run(measure(chosen.shops, rounds))
    about = f"Shops of a struck server, of {chosen.shops} in all; lease {LEASE_SECONDS:g} s"
    keep(result_name(rounds), rows, about=about)


if __name__ == "__main__":
    main()
