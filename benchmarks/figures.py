"""Prints what a benchmark measured as a table, and keeps it in ``benchmarks/results/NAME.json``."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows as a Markdown table; its columns are their keys, in the order in which they first appear."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [columns, ["---"] * len(columns), *([_cell(row.get(column)) for column in columns] for row in rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def keep(name: str, rows: Sequence[dict[str, Any]], *, about: str, directory: Path = RESULTS) -> Path:
    """Print the table, and write it with the facts of the machine and the commit into ``NAME.json``."""
    print(about)
    print(table(rows), flush=True)
    directory.mkdir(exist_ok=True)
    file = directory / f"{name}.json"
    facts = {"name": name, "about": about, **_surroundings(), "rows": list(rows)}
    file.write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return file


def _surroundings() -> dict[str, Any]:
    return {
        "commit": _commit(),
        "day": time.strftime("%Y-%m-%d", time.gmtime()),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": [round(value, 1) for value in os.getloadavg()],
    }


def _commit() -> str:
    """Return the commit, marked where code differs from it; a benchmark's own results do not count."""
    commit = _git_output("rev-parse", "--short", "HEAD")
    changed = _git_output("status", "--porcelain", "--", "src", "benchmarks/*.py")
    return f"{commit}-dirty" if changed else commit


def _git_output(*words: str) -> str:
    try:
        command = ["git", *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
