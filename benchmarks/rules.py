"""Time to replace an account's rules, beside a bulk insert of as many rows: ``python -m benchmarks.rules``.

The real server process with a stubbed site. Each round replaces the rules by one request after another, then inserts
the same rows into an empty table with one durable commit (``sqlite3``, no server). Then the rules are replaced again
and again while another account is switched on and off: how long its longest request took. CPU is that of the server's
process.

``--base URL`` measures another server with the same REST contract, by the route that both have (see
``benchmarks.http``).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.figures import keep
from benchmarks.http import Target, add_accounts, comparing_parser, remove_accounts, shoal, sign_in
from benchmarks.load import Figures, call, request_bytes

SIZES = (10, 1_000, 5_000)
ACCOUNTS = ("bench-rules", "bench-other")
_COLUMNS = (
    "account_id", "id", "position", "match_mode", "priority", "word_mode", "cooldown_seconds", "active",
    "delay_min_seconds", "delay_max_seconds", "words", "item_ids", "schedule", "parts",
)  # fmt: skip

Texts = dict[str, str]
"""The reply of each keyword."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A route that changes rules, and its request."""

    name: str
    request: Callable[[Target, Texts], bytes]
    before: Callable[[Target, Texts], bytes] | None = None
    """Sent first. Such a route changes one rule of many."""


def _keywords(target: Target, texts: Texts) -> bytes:
    path = f"/keywords/{ACCOUNTS[0]}"
    return request_bytes("POST", target.base, path, token=target.token, body={"keywords": texts})


def _rules(target: Target, texts: Texts, ids: str = "") -> bytes:
    rules = [
        {"words": [word], "parts": [{"text": text}], **({"id": f"{ids}{place}"} if ids else {})}
        for place, (word, text) in enumerate(texts.items())
    ]
    path = f"/cookies/{ACCOUNTS[0]}/rules"
    return request_bytes("PUT", target.base, path, token=target.token, body={"rules": rules})


def _one_rule(target: Target, texts: Texts) -> bytes:
    middle = len(texts) // 2
    path = f"/cookies/{ACCOUNTS[0]}/rules/r{middle}"
    body = {"parts": [{"text": list(texts.values())[middle]}]}
    return request_bytes("PATCH", target.base, path, token=target.token, body=body)


KINDS = (
    Kind("POST /keywords/{cid}", _keywords),
    Kind("PUT /cookies/{cid}/rules", _rules),
    Kind("PATCH /cookies/{cid}/rules/{id}", _one_rule, before=partial(_rules, ids="r")),
)


def all_differ(number: int) -> list[Texts]:
    """Return lists of which no two have a rule in common."""
    return [{f"词{place}x{turn}": f"这是第 {place} 条回复" for place in range(number)} for turn in range(4)]


def one_differs(number: int) -> list[Texts]:
    """Return lists that differ in the reply of one rule."""
    texts = {f"词{place}x": f"这是第 {place} 条回复" for place in range(number)}
    return [texts | {f"词{number // 2}x": f"第 {turn} 次"} for turn in range(4)]


class Bulk:
    """A table like that of the rules, without a server."""

    def __init__(self, file: Path) -> None:
        self._database = sqlite3.connect(file, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.execute(f"CREATE TABLE rules ({', '.join(_COLUMNS)}, PRIMARY KEY (account_id, id))")

    def insert(self, texts: Texts) -> tuple[float, float]:
        """Insert one row for each rule into the empty table, durably. Return the seconds, and those of the CPU."""
        rows = [
            ("shop", f"{place:016x}", place, "contains", 0, "any", 0, True, 0.0, 0.0, json.dumps([word]), "", "",
             json.dumps([{"text": text}]))
            for place, (word, text) in enumerate(texts.items())
        ]  # fmt: skip
        self._database.execute("DELETE FROM rules")
        began, used = time.perf_counter(), time.thread_time()
        self._database.execute("BEGIN IMMEDIATE")
        self._database.executemany(f"INSERT INTO rules VALUES ({', '.join('?' * len(_COLUMNS))})", rows)
        self._database.execute("COMMIT")
        return time.perf_counter() - began, time.thread_time() - used

    def close(self) -> None:
        """Close the table."""
        self._database.close()


def _toggles(target: Target) -> list[bytes]:
    path = f"/cookies/{ACCOUNTS[1]}/status?wait=0"
    return [
        request_bytes("PUT", target.base, path, token=target.token, body={"enabled": value}) for value in (False, True)
    ]


async def measure(
    target: Target, kinds: Sequence[Kind], sizes: Sequence[int], *, rounds: int, seconds: float
) -> list[dict[str, Any]]:
    """Return a row for each route and each number of rules."""
    rows: list[dict[str, Any]] = []
    toggles = _toggles(target)
    rest = await call(target.base, toggles, callers=1, seconds=seconds, pid=target.pid)
    with tempfile.TemporaryDirectory() as directory, closing(Bulk(Path(directory) / "bulk.db")) as bulk:
        for kind in kinds:
            for name, lists in _cases(sizes if kind.before is None else (), most=max(sizes)):
                if kind.before is not None:
                    await call(target.base, [kind.before(target, lists[0])], callers=1, seconds=0.1)
                requests = [kind.request(target, texts) for texts in lists]
                runs: list[Figures] = []
                inserted: list[tuple[float, float]] = []
                await call(target.base, requests, callers=1, seconds=0.1)  # the first one finds other rules
                for _ in range(rounds):
                    runs.append(await call(target.base, requests, callers=1, seconds=seconds, pid=target.pid))
                    inserted += [bulk.insert(texts) for texts in lists]
                _, others = await asyncio.gather(
                    call(target.base, requests, callers=1, seconds=2 * seconds),
                    call(target.base, toggles, callers=1, seconds=2 * seconds),
                )
                rows.append(_row(kind, name, runs, inserted, others))
                print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    for row in rows:
        row["at rest: p50 ms"], row["at rest: longest ms"] = rest.quantile_ms(0.5), rest.quantile_ms(1)
    return rows


def _cases(sizes: Sequence[int], most: int) -> Iterator[tuple[str, list[Texts]]]:
    for size in sizes:
        yield f"{size:,} of {size:,}", all_differ(size)
    yield f"1 of {most:,}", one_differs(most)


def _row(
    kind: Kind, name: str, runs: Sequence[Figures], inserted: list[tuple[float, float]], others: Figures
) -> dict[str, Any]:
    cpus = [run.cpu_us / 1000 for run in runs if run.cpu_us is not None]
    cpu = statistics.median(cpus) if cpus else None
    p50 = statistics.median(run.quantile_ms(0.5) for run in runs)
    bulk, bulk_cpu = (statistics.median(seconds) * 1000 for seconds in zip(*inserted, strict=True))
    refused = sorted({status for run in (*runs, others) for status in run.refused})
    return {
        "route": kind.name,
        "rules that differ": name,
        "p50 ms": p50,
        "longest ms": max(run.quantile_ms(1) for run in runs),
        "CPU ms": cpu,
        "bulk insert ms": bulk,
        "of bulk insert": p50 / bulk,
        "bulk insert's CPU ms": bulk_cpu,
        "CPU of bulk insert's": None if cpu is None else cpu / bulk_cpu,
        "another account's toggle: p50 ms": others.quantile_ms(0.5),
        "another account's toggle: longest ms": others.quantile_ms(1),
        "refused": ", ".join(map(str, refused)) or "none",
    }


async def measure_here(arguments: argparse.Namespace) -> None:
    """Measure this server."""
    with tempfile.TemporaryDirectory() as directory:
        async with shoal(Path(directory)) as target:
            await add_accounts(target, ACCOUNTS, rules=0)
            rows = await measure(target, KINDS, arguments.sizes, rounds=arguments.rounds, seconds=arguments.seconds)
    keep("rules", rows, about=_about(arguments))


async def measure_there(arguments: argparse.Namespace) -> None:
    """Measure another server with the same REST contract."""
    target = await sign_in(arguments.base, arguments.pid)
    try:
        await add_accounts(target, ACCOUNTS, rules=0)
        rows = await measure(target, KINDS[:1], arguments.sizes, rounds=arguments.rounds, seconds=arguments.seconds)
    finally:
        await remove_accounts(target, ACCOUNTS)
    keep("rules-compare", rows, about=f"{arguments.base}: {_about(arguments)}")


def _about(arguments: argparse.Namespace) -> str:
    return f"Replacing rules, {arguments.rounds} rounds of {arguments.seconds:g} s each"


def main() -> None:
    """Read the arguments and measure."""
    parser = comparing_parser(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    arguments = parser.parse_args()
    uvloop.run(measure_there(arguments) if arguments.base else measure_here(arguments))


if __name__ == "__main__":
    main()
