"""Hours of the week, by the shop's own clock."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.rules.schedule import EVERY_DAY, WEEK_MINUTES, Moment, Schedule, Span, covers, holds, moment_in

NIGHT = Span(weekdays=(5,), start="22:00", end="06:00")
WORK = Span(weekdays=(1, 2, 3, 4, 5), start="09:00", end="18:00")

clocks = st.builds(lambda hour, minute: f"{hour:02}:{minute:02}", st.integers(0, 23), st.integers(0, 59))
spans = st.builds(
    lambda days, start, end: Span(weekdays=tuple(days), start=start, end="24:00" if start == end else end),
    st.lists(st.sampled_from(EVERY_DAY), min_size=1, unique=True), clocks, clocks,
)  # fmt: skip
schedules = st.lists(spans, max_size=3).map(tuple)


@pytest.mark.parametrize(
    ("span", "weekday", "minute", "inside"),
    [
        (WORK, 1, 9 * 60, True),
        (WORK, 1, 9 * 60 - 1, False),
        (WORK, 5, 18 * 60 - 1, True),
        (WORK, 5, 18 * 60, False),
        (WORK, 6, 12 * 60, False),
        (NIGHT, 5, 22 * 60, True),
        (NIGHT, 6, 5 * 60 + 59, True),
        (NIGHT, 6, 6 * 60, False),
        (NIGHT, 6, 22 * 60, False),
        (NIGHT, 5, 60, False),
        (Span(weekdays=(7,), start="22:00", end="06:00"), 1, 0, True),
        (Span(), 3, 1439, True),
    ],
)
def test_a_span_holds_from_its_start_up_to_its_end(span: Span, weekday: int, minute: int, inside: bool) -> None:
    assert span.holds(Moment(weekday, minute)) is inside


def test_no_schedule_holds_always() -> None:
    assert holds((), Moment(7, 1439))


@pytest.mark.parametrize(
    "wrong",
    [
        {"weekdays": ()}, {"weekdays": (0,)}, {"weekdays": (8,)}, {"weekdays": (1, 1)}, {"start": "24:00"},
        {"start": "9:00"}, {"start": "09:60"}, {"end": "24:01"}, {"end": ""}, {"start": "09:00", "end": "09:00"},
    ],
)  # fmt: skip
def test_what_is_no_span_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Span(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("timezone", "moment"),
    [
        ("", Moment(1, 7 * 60 + 30)),
        ("Asia/Shanghai", Moment(1, 7 * 60 + 30)),
        ("America/New_York", Moment(7, 18 * 60 + 30)),
    ],
)
def test_a_moment_is_read_off_the_shops_clock(timezone: str, moment: Moment) -> None:
    sunday_evening = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)
    assert moment_in(timezone, round(sunday_evening.timestamp() * 1000)) == moment


def test_summer_time_moves_the_clock_of_a_shop_that_has_it() -> None:
    at = [datetime(2026, month, 15, 12, 0, tzinfo=UTC).timestamp() * 1000 for month in (1, 7)]
    assert [moment_in("Europe/Paris", round(at_ms)).minute for at_ms in at] == [13 * 60, 14 * 60]


@settings(max_examples=20)
@given(schedules, schedules)
def test_one_schedule_covers_another_when_it_holds_at_each_of_its_minutes(wide: Schedule, narrow: Schedule) -> None:
    week = [Moment(minute // 1440 + 1, minute % 1440) for minute in range(WEEK_MINUTES)]
    assert covers(wide, narrow) is all(holds(wide, moment) for moment in week if holds(narrow, moment))
