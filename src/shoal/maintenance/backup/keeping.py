"""Which of the scheduled backups in a directory are kept: the newest of the last days, weeks and months."""

from __future__ import annotations

import re
import time
from calendar import timegm
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from shoal.maintenance.backup.making import ENDING


@dataclass(frozen=True, kw_only=True, slots=True)
class Keep:
    """For how many days, weeks and months that have one the newest backup is kept."""

    days: int
    weeks: int
    months: int


def backups_in(directory: Path, store: str) -> dict[Path, int]:
    """Return the backups of one database in a directory, by their names, with when they were made, newest first."""
    form = re.compile(rf"shoal-{re.escape(store)}-(\d{{8}}-\d{{6}}){re.escape(ENDING)}")
    found = {}
    for path in directory.iterdir():
        if named := form.fullmatch(path.name):
            found[path] = _time_of(named[1])
    return dict(sorted(found.items(), key=lambda one: one[1], reverse=True))


def superfluous(times_ms: Iterable[int], keep: Keep) -> set[int]:
    """Return the times of the backups that are not kept. The newest of all is always kept."""
    times = sorted(times_ms, reverse=True)
    kept = set(times[:1])
    for most, form in ((keep.days, "%Y-%m-%d"), (keep.weeks, "%G-%V"), (keep.months, "%Y-%m")):
        newest = dict[str, int]()
        for at_ms in times:
            newest.setdefault(datetime.fromtimestamp(at_ms / 1000, UTC).strftime(form), at_ms)
        kept.update(list(newest.values())[:most])
    return set(times) - kept


def all_backups_in(directory: Path) -> list[tuple[Path, int, int]]:
    """Return the backups in a directory with when each was made and its size, newest first; none if it is not there."""
    if not directory.is_dir():
        return []
    form = re.compile(rf"shoal-[0-9a-f]{{8}}-(\d{{8}}-\d{{6}}){re.escape(ENDING)}")
    named = ((path, form.fullmatch(path.name)) for path in directory.iterdir())
    found = [(path, _time_of(match[1]), path.stat().st_size) for path, match in named if match]
    return sorted(found, key=lambda one: one[1], reverse=True)


def _time_of(stamp: str) -> int:
    return timegm(time.strptime(stamp, "%Y%m%d-%H%M%S")) * 1000
