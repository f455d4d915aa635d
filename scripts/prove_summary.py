"""Print the figures of the last ``make prove`` as Markdown, for ``docs/contributing/consistency.md``.

    python scripts/prove_summary.py [--directory .prove] [--run LABEL]

Without a label, each proof's newest run is used.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Row = dict[str, Any]
_NO_SUMS = {"proof", "at", "run", "name", "part", "parts", "seed", "scenario", "checkpoint", "exit_code"}


def main() -> int:
    """Print one table for all proofs that wrote figures."""
    parser = argparse.ArgumentParser(description="the figures of the last proof as a table")
    parser.add_argument("--directory", type=Path, default=Path(".prove"))
    parser.add_argument("--run", help="only of this run")
    chosen = parser.parse_args()
    rows = [row for file in sorted(chosen.directory.glob("*.jsonl")) for row in _rows(file)]
    lines = ["| proof | run | figures | violations |", "|---|---|---|---|"]
    for proof, report in _REPORTS.items():
        of_it = _of_one_run([row for row in rows if row["proof"] == proof], chosen.run)
        lines += [f"| {name} | {of_it[0]['run']} | {figures} | {bad} |" for name, figures, bad in report(of_it)]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _rows(file: Path) -> Iterable[Row]:
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except ValueError:  # a killed process wrote only part of the line
            continue


def _of_one_run(rows: list[Row], run: str | None) -> list[Row]:
    """Return the rows of that run, or of the newest; the newest row for each part."""
    label = run if run is not None or not rows else max(rows, key=lambda row: str(row["at"]))["run"]
    newest = {(row.get("name"), row.get("part")): row for row in rows if row["run"] == label}
    return list(newest.values())


def _sums(rows: list[Row]) -> Counter[str]:
    sums: Counter[str] = Counter()
    for row in rows:
        for name, value in row.items():
            if isinstance(value, int) and name not in _NO_SUMS:
                sums[name] += value
    return sums


def _words(sums: Counter[str]) -> str:
    return ", ".join(f"{value:,} {name.replace('_', ' ')}" for name, value in sums.items() if value)


def _kills(rows: list[Row]) -> Iterable[tuple[str, str, int]]:
    if rows:
        hours = sum(row["seconds"] for row in rows) / 3600
        worst = max(row["longest_convergence_seconds"] for row in rows)
        how = Counter[str]()
        for row in rows:
            how.update(row["kills"])
        kinds = ", ".join(f"{name} {number}" for name, number in how.most_common())
        figures = f"{_words(_sums(rows))} ({kinds}); slowest to be in step {worst:.1f} s; {hours:.1f} h"
        yield f"`kill -9`: {rows[0]['proof']}", figures, sum(len(row["violations"]) for row in rows)


def _io(rows: list[Row]) -> Iterable[tuple[str, str, int]]:
    for row in rows:
        counts = dict(row.get("told") or {})
        sums = _sums([row]) + Counter({name: int(number) for name, number in counts.items()})
        yield f"I/O errors: {row['name']}", _words(sums), len(row["violations"])


def _explored(rows: list[Row]) -> Iterable[tuple[str, str, int]]:
    for row in rows:
        yield str(row["name"]).strip(), _words(_sums([row])), 0


def _tests(rows: list[Row]) -> Iterable[tuple[str, str, int]]:
    for row in rows:
        yield f"`{row['name']}`", f"{row.get('passed', 0)} passed", row.get("failed", 0) + row.get("error", 0)


def _long(rows: list[Row]) -> Iterable[tuple[str, str, int]]:
    if rows:
        passed = sum(row.get("passed", 0) for row in rows)
        yield "long tests", f"{passed} passed in {len(rows)} files", sum(row["exit_code"] != 0 for row in rows)


def _fuzz(rows: list[Row]) -> Iterable[tuple[str, str, int]]:
    for row in rows:
        figures = f"{row['inputs']:,} inputs in {row['seconds']} s, {row['edges']} edges"
        yield f"hostile input: {row['name']}", figures, len(row["violations"])


def _endurance(rows: list[Row]) -> Iterable[tuple[str, str, int]]:
    for kind, about in (("real", "between real processes"), ("virtual", "virtual time in one process")):
        of_it = [row for row in rows if row["name"].startswith(kind)]
        if of_it:
            outcomes, happened, counted = Counter[str](), Counter[str](), Counter[str]()
            for row in of_it:
                outcomes.update(row["outcomes"])
                happened.update(row["happened"])
                counted.update(row["counted"])
            talk = ("question", "purchase", "rest", "the same", "push ")
            struck = sum(number for what, number in happened.items() if not what.startswith(talk))
            figures = "; ".join([_words(outcomes), f"{struck:,} faults and acts of owners", _words(counted)])
            name = f"endurance, {about}: {', '.join(row['name'].partition(' ')[2] for row in of_it)}"
            yield name, figures, sum(len(row["violations"]) for row in of_it)


def _delivery(rows: list[Row], name: str = "delivery") -> Iterable[tuple[str, str, int]]:
    if rows:
        owner, ended = Counter[str](), Counter[str]()
        for row in rows:
            owner.update(row["owner"])
            ended.update(row.get("ended", {}))
        asked = _listed(owner)
        hours = sum(row["seconds"] for row in rows) / 3600
        bad = sum(len(row["violations"]) + row["not_served"] for row in rows)
        refunds = f"; refunds that ended by: {_listed(ended)}" if ended else ""
        yield name, f"{_words(_sums(rows))}; the owner saw to {asked}{refunds}; {hours:.1f} h", bad


def _listed(numbers: Counter[str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in numbers.most_common()) or "nothing"


def _refunds(rows: list[Row]) -> Iterable[tuple[str, str, int]]:
    return _delivery(rows, "refunds")


def _rehearsals(rows: list[Row]) -> Iterable[tuple[str, str, int]]:
    for row in rows:
        named = f"{row['named']} of {row['planted']} planted obstacles named"
        alarms = f"{row['false_alarms']} false alarms on {row['healthy']} items"
        equal = f"{row['equal']:,} of {row['rehearsals']:,} rehearsals equal to what arrived"
        yield "will it deliver", f"{named}, {alarms}, {equal}", len(row["violations"])


def _contract(rows: list[Row]) -> Iterable[tuple[str, str, int]]:
    if rows:
        sums = _sums(rows)
        one, two = (sum(row["asked"][number] for row in rows) for number in (0, 1))
        figures = f"{sums['passed']:,} passed, {sums['skipped']} hold of one server only"
        met = f"{one:,} requests met the server that runs the shops, {two:,} the other"
        yield "the contract at two servers", f"{figures}; {met}", sum(row["exit_code"] != 0 for row in rows)


def _notices(rows: list[Row]) -> Iterable[tuple[str, str, int]]:
    for row in rows:
        kills = f"{row['kills']} kills, {row['incidents']:,} incidents over 3 channels, {row['ends']:,} ends"
        arrived = f"{row['once']:,} notices arrived once, {row['twice']:,} twice"
        unsure = f"{row['unsure']} not, and are shown as uncertain"
        yield f"notices {row['name']}", f"{kills}; {arrived}, {unsure}", len(row["violations"])


def _filter(rows: list[Row]) -> Iterable[tuple[str, str, int]]:
    for row in rows:
        yield "output filter", f"{row['texts']:,} made-up texts, each by {row['ways']} ways", row["passed"]


def _models(rows: list[Row]) -> Iterable[tuple[str, str, int]]:
    for row in rows:
        words = f"{row['chats']:,} chats whose owner writes at a random moment, {row['kills']} kills"
        ends = ", ".join(f"{count:,} {state}" for state, count in sorted(row["states"].items()))
        ways = "; ".join(
            f"{way}: {counts['chats']:,}, {counts['before']:,} answered before it"
            for way, counts in row.get("ways", {}).items()
        )
        figures = f"{words}{f' ({ways})' if ways else ''}; runs: {ends}"
        yield "language models", figures, row["spoken_over"] + row["twice"]


def _model_outputs(rows: list[Row]) -> Iterable[tuple[str, str, int]]:
    for row in rows:
        words = f"{row['outputs']:,} outputs over a socket, seed {row['seed']}"
        yield "rails", f"{words}; {row['good_held_back']} of {row['good']} good ones held back", row["breaches"]


def _webhooks(rows: list[Row]) -> Iterable[tuple[str, str, int]]:
    for row in rows:
        kills = (
            f"{row['kills']} kills, {row['events']:,} events, {row['down']} calls while the receiver was down for a day"
        )
        arrived = f"all arrived in order, {row['again']:,} more than once"
        yield f"webhooks {row['name']}", f"{kills}; {arrived}", len(row["violations"])


def _mutants(rows: list[Row]) -> Iterable[tuple[str, str, int]]:
    for row in rows:
        yield "mutants", f"{row.get('caught', 0)} of {row.get('of', 0)} caught", len(row["missed"])


def _cluster(rows: list[Row]) -> Iterable[tuple[str, str, int]]:
    for row in rows:
        if "questions" in row:
            figures = f"{row['complete']:,} of {row['orders']:,} orders whole, {row['questions']:,} questions"
        else:
            owned = f"owned elsewhere after {row['owned_seconds']:.1f} s"
            figures = f"{row['shops']} shops, {owned}, the last connected after {row['connected_longest']:.1f} s"
        yield f"several servers: {row['name']}", figures, len(row["violations"])


def _event_streams(rows: list[Row]) -> Iterable[tuple[str, str, int]]:
    for row in rows:
        figures = f"{row['said']:,} messages, {row['again']:,} told again, {row['resets']} resets"
        yield f"events at {row['name']}", figures, len(row["violations"])


def _other_clients(rows: list[Row]) -> Iterable[tuple[str, str, int]]:
    for row in rows:
        figures = f"{len(row['done'])} things done; recorded: {_words(Counter(row['recorded'])) or 'nothing'}"
        yield f"{row['name']} on the strict sandbox", figures, len(row["failed"]) + len(row["refused"])


_REPORTS: dict[str, Callable[[list[Row]], Iterable[tuple[str, str, int]]]] = {
    "kill loop": _kills,
    "kill loop on PostgreSQL": _kills,
    "I/O sweep": _io,
    "explored": _explored,
    "tests": _tests,
    "long tests": _long,
    "mutants": _mutants,
    "fuzz": _fuzz,
    "endurance": _endurance,
    "delivery": _delivery,
    "refunds": _refunds,
    "rehearsals": _rehearsals,
    "notices": _notices,
    "filter": _filter,
    "models": _models,
    "model_outputs": _model_outputs,
    "webhooks": _webhooks,
    "cluster": _cluster,
    "told events": _event_streams,
    "contract at two servers": _contract,
    "other_clients": _other_clients,
}


if __name__ == "__main__":
    sys.exit(main())
