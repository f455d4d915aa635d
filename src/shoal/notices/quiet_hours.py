"""Quiet hours of a channel: when a notice may be sent, over midnight and over the change of summer time. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from shoal.rules.schedule import DAY_MINUTES, minute_of

_MINUTE_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From ``begin`` up to, but without, ``end`` (``HH:MM``) in a time zone; an ``end`` before ``begin`` is on the next
    day. Raises ``ValueError`` for invalid values."""

    begin: str
    end: str
    zone: str

    def __post_init__(self) -> None:
        if DAY_MINUTES in {minute_of(self.begin), minute_of(self.end)} or self.begin == self.end:
            raise ValueError("quiet hours begin and end before 24:00, and not at the same time")
        try:
            ZoneInfo(self.zone)
        except (KeyError, OSError) as error:
            raise ValueError(f"{self.zone!r} is no time zone") from error

    def hold(self, at_ms: int) -> bool:
        """Return whether a time is in the quiet hours, by the clock on the wall."""
        local = datetime.fromtimestamp(at_ms / 1000, ZoneInfo(self.zone))
        minute, begin, end = local.hour * 60 + local.minute, minute_of(self.begin), minute_of(self.end)
        return begin <= minute < end if begin < end else minute >= begin or minute < end

    def end_after(self, at_ms: int) -> int:
        """Return the first time from ``at_ms`` on that is not quiet."""
        return _minute_after(self, at_ms // _MINUTE_MS) * _MINUTE_MS if self.hold(at_ms) else at_ms


@lru_cache(maxsize=1024)
def _minute_after(quiet: QuietHours, minute: int) -> int:
    """Return the first minute after one in the quiet hours that is not: that of an hour costs milliseconds."""
    minute += 1  # each is looked at: the clock may jump over the end, or show it twice
    while quiet.hold(minute * _MINUTE_MS):
        minute += 1
    return minute


def quiet_hours_of(begin: str, end: str, zone: str) -> QuietHours | None:
    """Return the quiet hours of a channel's row, if it has any."""
    return QuietHours(begin, end, zone) if begin else None
