"""Opening hours: the spans of the week and the holidays of a shop, and when it opens and closes. Pure.

All is reckoned in moments, not by the clock on the wall, so that an hour which comes twice or not at all when the clock
is changed opens and closes a shop once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from shoal.rules.schedule import DAY_MINUTES, DEFAULT_TIMEZONE, Span, minute_of
from shoal.rules.schedule_text import span_of, text_of

MAX_SPANS: Final = 20
MAX_HOLIDAYS: Final = 100
LOOKED_AT_DAYS: Final = 400
"""How far the last closing and the next opening are looked for; beyond, they are unknown."""
_BREAKS = re.compile(r"[;；\n]+")
_BLANKS = re.compile(r"[\s,，、;；]+")
_ONE_DAY = timedelta(days=1)

Days = tuple[date, date]
"""The first and the last of some days."""


class Closed(msgspec.Struct, frozen=True):
    """A closed period: since ``since_ms`` (0: longer than is looked back), until ``until_ms`` (``None``: unknown)."""

    since_ms: int
    until_ms: int | None


@dataclass(frozen=True, slots=True)
class OpeningHours:
    """Spans of the week, and days on which none of them begins. Without spans and holidays it is always open."""

    spans: tuple[Span, ...] = ()
    holidays: tuple[Days, ...] = ()

    def closed_at(self, timezone: str, at_ms: int) -> Closed | None:
        """Return the closed period that includes the moment; ``None`` while it is open.

        ``timezone``: of the shop; empty means ``DEFAULT_TIMEZONE``. The hours after midnight belong to the day on which
        the span began, so a holiday ends none that began the day before.
        """
        if not self.spans and not self.holidays:
            return None
        zone = ZoneInfo(timezone or DEFAULT_TIMEZONE)
        today = datetime.fromtimestamp(at_ms / 1000, zone).date()
        near = [span for shift in (-1, 0) for span in self._open_on(today + shift * _ONE_DAY, zone)]
        if any(start <= at_ms < end for start, end in near):
            return None
        return Closed(self._closed_since(today, zone, at_ms), self._opens_at(today, zone, at_ms))

    def _closed_since(self, today: date, zone: ZoneInfo, at_ms: int) -> int:
        for back in range(LOOKED_AT_DAYS):
            day = today - back * _ONE_DAY
            days = (day, day - _ONE_DAY)  # a span of the day before may end later
            ends = [end for one in days for _, end in self._open_on(one, zone) if end <= at_ms]
            if ends:
                return max(ends)
        return 0

    def _opens_at(self, today: date, zone: ZoneInfo, at_ms: int) -> int | None:
        for ahead in range(LOOKED_AT_DAYS):
            starts = [start for start, _ in self._open_on(today + ahead * _ONE_DAY, zone) if start > at_ms]
            if starts:
                return min(starts)
        return None

    def _open_on(self, day: date, zone: ZoneInfo) -> Iterator[tuple[int, int]]:
        """Return from when to when it is open by the spans that begin on that day."""
        if any(first <= day <= last for first, last in self.holidays):
            return
        for span in self.spans or (Span(),):
            if day.isoweekday() not in span.weekdays:
                continue
            start, end = minute_of(span.start), minute_of(span.end)
            opens = _moment(day, start, zone)
            closes = _moment(day if end > start else day + _ONE_DAY, end, zone)
            if opens < closes:  # else the clock was set forward over all of it
                yield opens, closes

    def __str__(self) -> str:
        return "; ".join(text_of(span) for span in self.spans)


def _moment(day: date, minute: int, zone: ZoneInfo) -> int:
    if minute == DAY_MINUTES:
        day, minute = day + _ONE_DAY, 0
    return round(datetime.combine(day, time(minute // 60, minute % 60), zone).timestamp() * 1000)


@lru_cache(2_048)
def opening_hours(hours: str, holidays: str) -> OpeningHours:
    """Return the opening hours of two texts. Raises ``ValueError``.

    ``hours``: spans such as ``1-5 09:00-18:00``, on lines or after semicolons; Monday is 1. ``holidays``: days such as
    ``2026-10-01`` or ``2026-10-01/2026-10-07``, after blanks or commas.
    """
    spans = tuple(_span(line) for line in _BREAKS.split(hours) if line.strip())
    days = tuple(_days(word) for word in _BLANKS.split(holidays) if word)
    if len(spans) > MAX_SPANS or len(days) > MAX_HOLIDAYS:
        raise ValueError("too many")
    return OpeningHours(spans, days)


def holidays_text(hours: OpeningHours) -> str:
    """Return the holidays as a text."""
    return " ".join(
        first.isoformat() if first == last else f"{first.isoformat()}/{last.isoformat()}"
        for first, last in hours.holidays
    )


def _span(line: str) -> Span:
    found = span_of(line)
    return Span(weekdays=tuple(found["weekdays"]), start=found["start"], end=found["end"])


def _days(word: str) -> Days:
    first, _, last = word.partition("/")
    days = date.fromisoformat(first), date.fromisoformat(last or first)
    if days[0] > days[1] or not 1971 <= days[0].year <= days[1].year <= 2999:
        raise ValueError(word)
    return days
