"""What became of the defects: those that are known to change nothing, and a table of each room."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mutants.drawn.drawing import Drawn

CAUGHT, HUNG, SURVIVED, UNCOVERED, EQUIVALENT = "caught", "hung", "survived", "not covered", "equivalent"
OUTCOMES = (CAUGHT, HUNG, EQUIVALENT, SURVIVED, UNCOVERED)
GOOD = {CAUGHT, HUNG, EQUIVALENT}


@dataclass(frozen=True, slots=True)
class Equivalent:
    """A defect that changes nothing that a test could see, and why."""

    file: str
    before: str
    after: str
    reason: str


def equivalents() -> list[Equivalent]:
    """The list, which is kept by hand."""
    said = tomllib.loads((Path(__file__).parent / "equivalent.toml").read_text(encoding="utf-8"))
    return [Equivalent(**one) for one in said.get("equivalent", [])]


def is_equivalent(drawn: Drawn, known: Iterable[Equivalent]) -> bool:
    """Whether it is on the list."""
    return any((one.file, one.before, one.after) == (drawn.file, drawn.before, drawn.after) for one in known)


def table(said: list[dict[str, Any]]) -> str:
    """The figures by room, and below them each defect that no test noticed."""
    rooms: dict[str, Counter[str]] = {}
    for one in said:
        rooms.setdefault(one["room"], Counter())[one["outcome"]] += 1
    total = sum(rooms.values(), Counter[str]())
    lines = [f"| room | tried | {' | '.join(OUTCOMES)} |", f"|---|{'---|' * (len(OUTCOMES) + 1)}"]
    for room, counts in [*sorted(rooms.items()), ("all", total)]:
        figures = " | ".join(str(counts[outcome]) for outcome in OUTCOMES)
        lines.append(f"| {room} | {counts.total()} | {figures} |")
    lines += ["", f"{share(said):.1%} caught or equivalent"]
    lines += [f"{one['outcome']}: {one['name']}" for one in said if one["outcome"] not in GOOD]
    return "\n".join(lines)


def share(said: list[dict[str, Any]]) -> float:
    """How many of the defects are caught or known to change nothing."""
    return sum(one["outcome"] in GOOD for one in said) / max(len(said), 1)
