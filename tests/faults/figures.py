"""The figures of the long proofs: one JSON line for each part of each proof, appended to a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

DEFAULT_DIRECTORY = Path(".prove")


def append(file: Path, proof: str, row: Mapping[str, Any]) -> None:
    """Add a line: which proof, when, and its figures."""
    file.parent.mkdir(parents=True, exist_ok=True)
    line = {"proof": proof, "at": datetime.now(UTC).isoformat(timespec="seconds"), **row}
    with file.open("a", encoding="utf-8") as out:
        out.write(json.dumps(line, ensure_ascii=False) + "\n")


def read(file: Path) -> list[dict[str, Any]]:
    """Every line so far; none when there is no file. A line that a kill cut short is passed over."""
    rows: list[dict[str, Any]] = []
    if file.exists():
        for line in file.read_text(encoding="utf-8").splitlines():
            try:
                rows.append(json.loads(line))
            except ValueError:
                continue
    return rows
