"""A span of the week as a text such as ``1-5 09:00-18:00``, as Excel files, the shell and settings have it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from shoal.rules.schedule import Span

_DAYS = re.compile(r"[1-7](?:-[1-7])?(?:,[1-7](?:-[1-7])?)*")
_SPAN = re.compile(r"(\S+)\s+(\d{1,2}:\d\d)\s*[-–—~～]\s*(\d{1,2}:\d\d)")


def span_of(line: str) -> dict[str, Any]:
    """Return the hours of a text such as ``1-5 09:00-18:00``. Raises ``ValueError``."""
    found = _SPAN.fullmatch(line.strip())
    days = found[1].replace("，", ",").replace("、", ",") if found else ""
    if found is None or not _DAYS.fullmatch(days):
        raise ValueError(line)
    chosen: list[int] = []
    for run in days.split(","):
        first, _, last = run.partition("-")
        chosen += range(int(first), int(last or first) + 1)
    return {"weekdays": chosen, "start": found[2].zfill(5), "end": found[3].zfill(5)}


def text_of(span: Span) -> str:
    """Return a span as its text."""
    return f"{_days_text(span.weekdays)} {span.start}-{span.end}"


def _days_text(days: Sequence[int]) -> str:
    """Return days as ``1-5`` or ``1,3,6-7``."""
    runs: list[list[int]] = []
    for day in days:
        if runs and day == runs[-1][-1] + 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
