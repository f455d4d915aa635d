"""How long an account waits before it is tried again."""

from __future__ import annotations

from random import Random

import pytest

from shoal.accounts.backoff import Backoff, BackoffLimits


class Longest(Random):
    """No luck: every wait is the longest that may be."""

    def uniform(self, a: float, b: float) -> float:
        return max(a, b)


def waits(backoff: Backoff, count: int, *, ran_seconds: float = 0.0, now: float = 0.0) -> tuple[list[float], float]:
    """The waits after so many failures in a row, and the time after the last of them."""
    found = []
    for _ in range(count):
        now += ran_seconds
        found.append(backoff.failed(now, ran_seconds=ran_seconds))
        now += found[-1]
    return found, now


def test_the_wait_doubles_up_to_its_bound() -> None:
    backoff = Backoff(BackoffLimits(crash_loop_failures=100), Longest())
    assert waits(backoff, 11)[0] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_a_thousand_accounts_that_fell_together_do_not_rise_together() -> None:
    """Full jitter: anything from nothing to the bound."""
    found = [waits(Backoff(BackoffLimits(), Random(seed)), 5)[0][-1] for seed in range(1000)]
    assert 0 <= min(found) < 1
    assert 15 < max(found) <= 16
    assert len({round(wait) for wait in found}) == 17


def test_a_minute_of_health_begins_anew() -> None:
    backoff = Backoff(BackoffLimits(), Longest())
    _, now = waits(backoff, 5)
    assert waits(backoff, 1, ran_seconds=59.9, now=now)[0] == [32]
    assert waits(backoff, 2, ran_seconds=60.0, now=now)[0] == [1, 1]


def test_eight_failures_in_ten_minutes_are_borne_and_nine_are_a_crash_loop() -> None:
    backoff = Backoff(BackoffLimits(), Longest())
    found, now = waits(backoff, 8)
    assert (found[-1], backoff.crash_loop) == (128, False)
    assert backoff.failed(now, ran_seconds=0) == 300
    assert backoff.crash_loop


def test_slow_failures_are_no_crash_loop() -> None:
    backoff = Backoff(BackoffLimits(), Longest())
    waits(backoff, 50, ran_seconds=120.0)
    assert not backoff.crash_loop


@pytest.mark.parametrize("seed", range(20))
def test_a_crash_loop_stays_one_though_its_long_waits_thin_the_failures_out(seed: int) -> None:
    backoff = Backoff(BackoffLimits(), Random(seed))
    _, now = waits(backoff, 9)
    assert backoff.crash_loop
    assert waits(backoff, 30, now=now)[0] == [300] * 30
    assert backoff.crash_loop


def test_f3_a_line_that_is_cut_again_and_again_is_no_crash_loop_and_waits_half_a_minute_at_most() -> None:
    backoff = Backoff(BackoffLimits(), Longest())
    found = [backoff.failed(30.0 * number, ran_seconds=10.0, outside=True) for number in range(20)]
    assert found == [1, 2, 4, 8, 16, *[30] * 15]
    assert not backoff.crash_loop
    assert backoff.failed(600.0, ran_seconds=0.0) == 300, "no answer at all: it grows on"
    assert not backoff.crash_loop


def test_f3_a_crash_loop_that_ran_for_a_moment_waits_shortly_for_its_lost_line_and_stays_one() -> None:
    backoff = Backoff(BackoffLimits(), Longest())
    _, now = waits(backoff, 9)
    assert backoff.failed(now, ran_seconds=10.0, outside=True) == 30
    assert backoff.crash_loop
    assert backoff.failed(now, ran_seconds=0.0) == 300


def test_health_or_a_word_of_the_owner_ends_a_crash_loop() -> None:
    for heal in (True, False):
        backoff = Backoff(BackoffLimits(), Longest())
        _, now = waits(backoff, 20)
        if heal:
            assert backoff.failed(now + 3600, ran_seconds=3600) == 1
        else:
            backoff.forget()
            assert backoff.failed(now, ran_seconds=0) == 1
        assert not backoff.crash_loop


def test_who_is_asked_to_come_back_later_waits_longer_and_never_nearly_nothing() -> None:
    for seed in range(100):
        wait = Backoff(BackoffLimits(), Random(seed)).failed(0.0, ran_seconds=0.0, patient=True)
        assert 8 <= wait <= 16
    backoff = Backoff(BackoffLimits(crash_loop_failures=100), Longest())
    assert [backoff.failed(0.0, ran_seconds=0.0, patient=True) for _ in range(6)] == [16, 32, 64, 128, 256, 300]
