"""Opening hours: open and closed at each moment, over midnight, on holidays, and when the clock is changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.rules.opening_hours import Closed, OpeningHours, holidays_text, opening_hours


def ms(text: str, zone: str = "Asia/Shanghai", fold: int = 0) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp() * 1000)


def closed(hours: str, at: str, *, holidays: str = "", zone: str = "Asia/Shanghai") -> Closed | None:
    return opening_hours(hours, holidays).closed_at(zone, ms(at, zone))


def test_a_shop_without_hours_is_always_open() -> None:
    assert closed("", "2026-11-28T03:00") is None


def test_a_closed_shop_says_since_when_and_until_when() -> None:
    week = "1-5 09:00-18:00"
    assert closed(week, "2026-11-27T09:00") is None  # a Friday
    assert closed(week, "2026-11-27T17:59") is None
    weekend = Closed(ms("2026-11-27T18:00"), ms("2026-11-30T09:00"))
    assert closed(week, "2026-11-27T18:00") == weekend
    assert closed(week, "2026-11-29T12:00") == weekend
    assert closed(week, "2026-11-30T08:59") == weekend


def test_hours_after_midnight_belong_to_the_day_on_which_they_began() -> None:
    night = "5 20:00-02:00"
    assert closed(night, "2026-11-28T01:59") is None  # Saturday, of Friday's span
    assert closed(night, "2026-11-28T02:00") == Closed(ms("2026-11-28T02:00"), ms("2026-12-04T20:00"))
    assert closed(night, "2026-11-27T01:00") is not None


def test_a_holiday_closes_the_day_and_ends_no_span_of_the_day_before() -> None:
    hours, day = "1-7 20:00-02:00", "2026-10-01/2026-10-03"
    assert closed(hours, "2026-10-01T01:00", holidays=day) is None
    assert closed(hours, "2026-10-01T21:00", holidays=day) == Closed(ms("2026-10-01T02:00"), ms("2026-10-04T20:00"))
    assert closed("", "2026-10-02T12:00", holidays=day) == Closed(ms("2026-10-01T00:00"), ms("2026-10-04T00:00"))


def test_the_hour_that_comes_twice_is_one_period_and_the_one_that_is_left_out_opens_nothing() -> None:
    zone = "Europe/Berlin"
    hours = opening_hours("7 02:15-02:45", "")  # 2026-10-25 is a Sunday: 02:00 to 03:00 comes twice
    opens = ms("2026-10-25T02:15", zone)
    assert hours.closed_at(zone, opens) is None
    first_end = Closed(ms("2026-10-25T02:45", zone), ms("2026-11-01T02:15", zone))
    assert hours.closed_at(zone, ms("2026-10-25T02:45", zone)) == first_end
    assert hours.closed_at(zone, ms("2026-10-25T02:30", zone, fold=1)) == first_end
    spring = opening_hours("7 02:00-02:30; 7 10:00-11:00", "").closed_at(zone, ms("2026-03-29T04:00", zone))
    assert spring is not None
    assert spring.until_ms == ms("2026-03-29T10:00", zone)


def test_a_shop_that_never_opens_is_closed_without_an_end() -> None:
    found = closed("1 09:00-10:00", "2026-06-01T09:30", holidays="2020-01-01/2030-01-01")
    assert found == Closed(0, None)


@pytest.mark.parametrize("wrong", ["9:00-18:00", "8 09:00-18:00", "1 25:00-26:00", "1 09:00-09:00", "1-5"])
def test_what_are_no_hours_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        opening_hours(wrong, "")


@pytest.mark.parametrize("wrong", ["2026-13-01", "2026-10-07/2026-10-01", "tomorrow", "2026-10-01/2026-10-02/3"])
def test_what_are_no_holidays_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        opening_hours("", wrong)


def test_texts_are_read_back_as_they_are_shown() -> None:
    hours = opening_hours("1-5 9:00-18:00\n6,7 10:00 – 02:00", "2026-10-01/2026-10-07，2027-01-01")
    assert str(hours) == "1-5 09:00-18:00; 6-7 10:00-02:00"
    assert holidays_text(hours) == "2026-10-01/2026-10-07 2027-01-01"
    assert opening_hours(str(hours), holidays_text(hours)) == hours


_HOURS = ("1-5 09:00-18:00", "1-7 20:00-04:00", "6 00:00-24:00; 7 23:00-01:00", "2 02:30-03:30; 4 01:00-02:30")


@given(
    st.sampled_from(_HOURS),
    st.sampled_from(("Asia/Shanghai", "Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe")),
    st.datetimes(datetime(2025, 1, 1), datetime(2027, 12, 31)),  # noqa: DTZ001  UTC is put on below
)
def test_a_closed_period_is_the_same_at_each_of_its_moments(hours: str, zone: str, at: datetime) -> None:
    made: OpeningHours = opening_hours(hours, "2026-10-01/2026-10-07")
    moment = round(at.replace(tzinfo=UTC).timestamp() * 1000)
    found = made.closed_at(zone, moment)
    if found is None:
        return
    assert found.until_ms is not None
    assert found.since_ms <= moment < found.until_ms
    assert made.closed_at(zone, found.since_ms) == found
    assert made.closed_at(zone, found.until_ms - 1) == found
    assert made.closed_at(zone, found.until_ms) is None
    assert made.closed_at(zone, found.since_ms - 1) is None
    assert timedelta(milliseconds=found.until_ms - found.since_ms) < timedelta(days=15)
