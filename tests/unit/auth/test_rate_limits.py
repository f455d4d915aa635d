"""Calls of a minute are limited by key; a refusal says when one more call is let in."""

from __future__ import annotations

import time

import pytest

from shoal.auth.rate_limits import RateLimits
from shoal.errors import TooManyCalls
from support.site.standins import quick_settings


def test_at_most_so_many_calls_of_one_session_are_let_in_within_any_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    limits, now = RateLimits(quick_settings(session_calls_per_minute=5)), 1_030.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    let_in: list[float] = []

    def refused_for() -> int:
        try:
            limits.count_session("one")
        except TooManyCalls as refused:
            return refused.retry_after
        let_in.append(now)
        return 0

    while now < 1_300:
        refused_for()
        now += 1
    assert let_in[:5] == [1_030.0, 1_031.0, 1_032.0, 1_033.0, 1_034.0]
    assert len(let_in) > 15
    assert all(sum(start <= at < start + 60 for at in let_in) <= 6 for start in let_in)
    while not (wait := refused_for()):
        now += 1
    assert 1 <= wait <= 60
    now += wait
    limits.count_session("one")
    limits.count_session("another")
    now += 600
    assert [refused_for() > 0 for _ in range(6)] == [False] * 5 + [True]
