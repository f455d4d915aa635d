"""Which of the scheduled backups in a directory are kept: the newest of the last days, weeks and months."""

from __future__ import annotations

import re
import time
from calendar import timegm
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from shoal.maintenance.backup.making import ENDING

_DAY_MS: Final = 86_400_000


class Keep(msgspec.Struct, frozen=True, kw_only=True):
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
    for most, form in _rules(keep):
        newest = dict[str, int]()
        for at_ms in times:
            newest.setdefault(_span(at_ms, form), at_ms)
        kept.update(list(newest.values())[:most])
    return set(times) - kept


def kept_until(times_ms: Iterable[int], keep: Keep, next_ms: int) -> dict[int, int]:
    """Return when each backup is deleted, if from ``next_ms`` on one is made every day. None goes before the next."""
    times = sorted(times_ms)
    ahead = keep.days + 7 * (keep.weeks + 1) + 31 * (keep.months + 1)
    all_times = [*times, *(next_ms + number * _DAY_MS for number in range(ahead + 1))]
    until = dict.fromkeys(times, next_ms)
    for most, form in _rules(keep):
        spans = [_span(at_ms, form) for at_ms in all_times]
        begins = dict[str, int]()
        for span, at_ms in zip(spans, all_times, strict=True):
            begins.setdefault(span, at_ms)
        order = list(begins)
        place = {span: number for number, span in enumerate(order)}
        for number, at_ms in enumerate(times):
            end = begins[order[min(place[spans[number]] + most, len(order) - 1)]]
            if spans[number + 1] == spans[number]:  # a newer one of the same span takes its place
                end = min(end, all_times[number + 1])
            if most:
                until[at_ms] = max(until[at_ms], end)
    return until


def all_backups_in(directory: Path) -> list[tuple[Path, int, int]]:
    """Return the backups in a directory with when each was made and its size, newest first; none if it is not there."""
    if not directory.is_dir():
        return []
    form = re.compile(rf"shoal-[0-9a-f]{{8}}-(\d{{8}}-\d{{6}}){re.escape(ENDING)}")
    named = ((path, form.fullmatch(path.name)) for path in directory.iterdir())
    found = []
    for path, match in named:
        with suppress(FileNotFoundError):  # deleted since, or a link to nothing
            if match:
                found.append((path, _time_of(match[1]), path.stat().st_size))
    return sorted(found, key=lambda one: one[1], reverse=True)


def _rules(keep: Keep) -> tuple[tuple[int, str], ...]:
    """Return of how many spans the newest is kept, each with the form of a moment that names its span."""
    return (keep.days, "%Y-%m-%d"), (keep.weeks, "%G-%V"), (keep.months, "%Y-%m")


def _span(at_ms: int, form: str) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime(form)


def _time_of(stamp: str) -> int:
    return timegm(time.strptime(stamp, "%Y%m%d-%H%M%S")) * 1000
