"""When a rule applies: spans of the week in the account's own time zone, also over midnight. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

DEFAULT_TIMEZONE = "Asia/Shanghai"
"""The time zone of an account that sets none."""
EVERY_DAY = (1, 2, 3, 4, 5, 6, 7)
DAY_MINUTES = 24 * 60
WEEK_MINUTES = 7 * DAY_MINUTES

_CLOCK = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d|24:00")


def minute_of(clock: str) -> int:
    """Return the minutes since midnight of a time such as ``09:30``; ``24:00`` is the day's end.

    Raises ``ValueError``.
    """
    if not _CLOCK.fullmatch(clock):
        raise ValueError(f"{clock!r} is no time of a day")
    return int(clock[:2]) * 60 + int(clock[3:])


def day_began_ms(timezone: str, at_ms: int) -> int:
    """Return when the day of a shop in that zone began, in milliseconds since 1970."""
    there = datetime.fromtimestamp(at_ms / 1000, ZoneInfo(timezone or DEFAULT_TIMEZONE))
    return int(there.replace(hour=0, minute=0, second=0, microsecond=0).timestamp() * 1000)


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """The same hours on some days: from ``start`` up to, but without, ``end``.

    Weekdays are those of ISO 8601, Monday is 1. An ``end`` that is not after ``start`` is on the next day, and the
    hours after midnight belong to the day on which the span began. Raises ``ValueError`` for invalid values.
    """

    weekdays: tuple[int, ...] = EVERY_DAY
    start: str = "00:00"
    end: str = "24:00"

    def __post_init__(self) -> None:
        if not self.weekdays or set(self.weekdays) - set(EVERY_DAY) or len(set(self.weekdays)) < len(self.weekdays):
            raise ValueError("weekdays are some of 1 to 7, each once")
        if minute_of(self.start) == DAY_MINUTES or minute_of(self.start) == minute_of(self.end):
            raise ValueError("a span begins before 24:00 and does not end when it begins")

    def holds(self, moment: Moment) -> bool:
        """Return whether the moment is in the span."""
        start, end = minute_of(self.start), minute_of(self.end)
        if start < end:
            return moment.weekday in self.weekdays and start <= moment.minute < end
        yesterday = (moment.weekday - 2) % 7 + 1
        return (moment.weekday in self.weekdays and moment.minute >= start) or (
            yesterday in self.weekdays and moment.minute < end
        )


Schedule = tuple[Span, ...]
"""The times of a rule: any of its spans. A rule without a span always applies."""


class Moment(msgspec.Struct, frozen=True):
    """A moment by the account's own clock: the weekday (Monday is 1) and the minute of the day."""

    weekday: int
    minute: int


def moment_in(timezone: str, at_ms: int) -> Moment:
    """Return the local time, in that time zone (empty: ``DEFAULT_TIMEZONE``), of ``at_ms`` milliseconds after 1970."""
    there = datetime.fromtimestamp(at_ms / 1000, ZoneInfo(timezone or DEFAULT_TIMEZONE))
    return Moment(there.isoweekday(), there.hour * 60 + there.minute)


def holds(schedule: Schedule, moment: Moment) -> bool:
    """Return whether a schedule includes that moment."""
    return not schedule or any(span.holds(moment) for span in schedule)


def covers(wide: Schedule, narrow: Schedule) -> bool:
    """Return whether ``wide`` includes every minute of the week that ``narrow`` includes."""
    return not wide or wide == narrow or not _week(narrow) & ~_week(wide)


def _week(schedule: Schedule) -> int:
    """Return the minutes of a week that a schedule includes, as the bits of a number."""
    if not schedule:
        return (1 << WEEK_MINUTES) - 1
    found = 0
    for span in schedule:
        start, end = minute_of(span.start), minute_of(span.end)
        length = (end - start) % DAY_MINUTES or DAY_MINUTES
        for weekday in span.weekdays:
            found |= ((1 << length) - 1) << ((weekday - 1) * DAY_MINUTES + start)
    return (found | found >> WEEK_MINUTES) & ((1 << WEEK_MINUTES) - 1)
