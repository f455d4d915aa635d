"""Quiet hours end when the clock on the wall says so, over midnight and over the change of summer time."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shoal.notices.quiet_hours import QuietHours, quiet_hours_of

ZONES = ("Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC")
MINUTE_MS = 60_000
CLOCKS = st.integers(0, 24 * 60 - 1).map(lambda minute: f"{minute // 60:02}:{minute % 60:02}")


def at(text: str, zone: str) -> int:
    """Milliseconds of a local time such as ``2026-03-29 01:30``."""
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


@given(CLOCKS, CLOCKS, st.sampled_from(ZONES), st.integers(1_735_689_600_000, 1_830_297_600_000))
@example("22:00", "02:30", "Europe/Berlin", at("2026-03-28 23:00", "Europe/Berlin"))  # 02:30 does not exist
@example("22:00", "02:30", "Europe/Berlin", at("2026-10-24 23:00", "Europe/Berlin"))  # 02:30 comes twice
@example("01:45", "02:15", "Australia/Lord_Howe", at("2026-04-05 01:50", "Australia/Lord_Howe"))
def test_the_end_is_the_first_minute_that_is_not_quiet(begin: str, end: str, zone: str, now_ms: int) -> None:
    if begin == end:
        return
    quiet = QuietHours(begin, end, zone)
    found = quiet.end_after(now_ms)
    assert not quiet.hold(found)
    if quiet.hold(now_ms):
        assert now_ms < found <= now_ms + 25 * 60 * MINUTE_MS
        first = now_ms // MINUTE_MS + 1
        between = range(first, found // MINUTE_MS, max(1, (found // MINUTE_MS - first) // 40))
        assert all(quiet.hold(minute * MINUTE_MS) for minute in between)
        assert quiet.hold(found - 1)
    else:
        assert found == now_ms


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2026-11-27 23:30", "2026-11-28 08:00"),
        ("2026-11-28 07:59", "2026-11-28 08:00"),
        ("2026-11-28 08:00", "2026-11-28 08:00"),
        ("2026-11-28 21:59", "2026-11-28 21:59"),
        ("2026-11-28 22:00", "2026-11-29 08:00"),
    ],
)
def test_a_night_over_midnight(now: str, end: str) -> None:
    zone = "Asia/Shanghai"
    assert QuietHours("22:00", "08:00", zone).end_after(at(now, zone)) == at(end, zone)


def test_the_night_of_the_change_is_an_hour_shorter_or_longer() -> None:
    zone, hour = "Europe/Berlin", 3_600_000
    quiet = QuietHours("22:00", "08:00", zone)
    spring, autumn = at("2026-03-28 22:00", zone), at("2026-10-24 22:00", zone)
    assert quiet.end_after(spring) - spring == 9 * hour
    assert quiet.end_after(autumn) - autumn == 11 * hour
    assert QuietHours("22:00", "02:30", zone).end_after(spring) == at("2026-03-29 03:00", zone)


@pytest.mark.parametrize(
    ("begin", "end", "zone"),
    [
        ("22:00", "22:00", "UTC"),
        ("9", "10:00", "UTC"),
        ("22:00", "24:00", "UTC"),
        ("22:00", "08:00", "Mars/Olympus"),
        ("22:00", "08:00", "../etc/passwd"),
    ],
)
def test_what_are_no_quiet_hours_is_refused(begin: str, end: str, zone: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        QuietHours(begin, end, zone)


def test_a_channel_may_have_none() -> None:
    assert quiet_hours_of("", "", "") is None
