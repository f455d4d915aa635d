"""Write what ``make bench`` measured last into ``docs/contributing/results.md``: ``python scripts/newest_figures.py``.

The tables come from ``benchmarks/results/*.json``. They replace everything after the page's mark.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.figures import RESULTS, table  # noqa: E402  the benchmarks lie beside this folder

PAGE = ROOT / "docs" / "contributing" / "results.md"
MARK = "<!-- Written by scripts/newest_figures.py: change nothing below. -->\n"


def section(result: dict[str, Any]) -> str:
    """Return a benchmark's part of the page."""
    where = f"{result['day']}, {result['commit']}, load {result['load'][0]:g} at the end, {result['cores']} cores"
    return f"### {result['name']}\n\n{result['about']} ({where}).\n\n{table(result['rows'])}\n"


def main() -> None:
    """Renew the page."""
    head, mark, _ = PAGE.read_text(encoding="utf-8").partition(MARK)
    if not mark:
        sys.exit(f"{PAGE} has no line {MARK.strip()!r}")
    results = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(RESULTS.glob("*.json"))]
    PAGE.write_text(head + mark + "\n" + "\n".join(map(section, results)), encoding="utf-8")


if __name__ == "__main__":
    main()
