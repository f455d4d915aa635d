from __future__ import annotations

import asyncio
import threading
import time
from types import SimpleNamespace

import pytest

from shoal import clock
from shoal.clock import Clock, SiteClock, Witness, now_ms, reading, steady_ms


def test_it_is_the_machines_clock_unless_another_is_given() -> None:
    assert abs(now_ms() - time.time() * 1000) < 1000


async def test_another_clock_is_read_by_what_is_started_from_there_and_by_nobody_else() -> None:
    async def ask() -> int:
        await asyncio.sleep(0)
        return now_ms()

    with reading(lambda: 7):
        inside = asyncio.create_task(ask())
    outside = asyncio.create_task(ask())
    assert await inside == 7
    assert await outside > 7


HOUR_MS = 3600_000


class Machine:
    """A machine whose clock can be set: ``wall`` is what it shows, ``steady`` goes on evenly."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, wall_ms: int) -> None:
        self.wall_ms, self.steady = wall_ms, 500
        kinds = {"time_ns": lambda: self.wall_ms * 10**6, "monotonic_ns": lambda: self.steady * 10**6}
        monkeypatch.setattr(clock, "time", SimpleNamespace(**kinds))

    def pass_by(self, ms: int) -> None:
        self.wall_ms += ms
        self.steady += ms


@pytest.mark.parametrize("wrong_by_ms", [-30 * HOUR_MS, -6_000, 6_000, 30 * HOUR_MS])
def test_what_the_site_told_is_as_long_ago_by_our_clock_however_wrong_that_is(
    monkeypatch: pytest.MonkeyPatch, wrong_by_ms: int
) -> None:
    site_ms = 1_750_000_000_000
    machine = Machine(monkeypatch, site_ms + wrong_by_ms)
    site = SiteClock(site_ms)
    machine.pass_by(60_000)
    assert site.ours(site_ms + 59_000) == now_ms() - 1_000
    machine.wall_ms += HOUR_MS
    assert site.ours(site_ms + 59_000) == now_ms() - 1_000, "also when it is set in between"


def test_clocks_that_nearly_agree_are_taken_for_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, 1_750_000_000_000)
    site = SiteClock(machine.wall_ms + 4_000)
    assert site.ours(1_750_000_000_123) == 1_750_000_000_123


@pytest.mark.parametrize("told_ms", [0, -1, 2**53, 10**30])
def test_a_site_that_tells_no_moment_is_taken_to_agree(told_ms: int) -> None:
    assert (SiteClock(told_ms).ours(7), SiteClock(told_ms).ahead_ms) == (7, 0)


def test_nothing_happened_before_1970(monkeypatch: pytest.MonkeyPatch) -> None:
    Machine(monkeypatch, 1_000)
    assert SiteClock(1_750_000_000_000).ours(1) == 0


def test_on_a_clock_of_ones_own_time_goes_on_as_that_says() -> None:
    with reading(lambda: 7):
        assert steady_ms() == 7


TRUE_MS = 1_750_000_000_000
DAY_MS = 24 * HOUR_MS
MINUTE_MS = 60_000
WRONG = [-TRUE_MS + 1_000, -40 * DAY_MS, -HOUR_MS, HOUR_MS, DAY_MS, 40 * DAY_MS, 400 * DAY_MS]
"""By how much a machine's clock is wrong: the first one starts in 1970."""


class Witnessed(Clock):
    """The clock of a machine that shows ``wrong_ms`` more than the true time, which is ``true_ms``."""

    def __init__(self, wrong_ms: int) -> None:
        self.true_ms, self.wrong_ms = TRUE_MS, wrong_ms
        super().__init__(lambda: self.true_ms + self.wrong_ms, lambda: self.true_ms - TRUE_MS + 500)

    @property
    def off_ms(self) -> int:
        """How far its time is ahead of the true time."""
        return self.now_ms() - self.true_ms


@pytest.mark.parametrize("wrong_ms", WRONG)
def test_g22_from_the_sites_first_answer_on_a_wrong_clock_does_not_count(wrong_ms: int) -> None:
    clock = Witnessed(wrong_ms)
    assert (clock.off_ms, clock.witness, clock.is_sure) == (wrong_ms, None, True), "nothing contradicts it"
    clock.note_site(TRUE_MS)
    clock.true_ms += 3 * DAY_MS
    assert (clock.off_ms, clock.skew_ms, clock.is_sure) == (0, wrong_ms, False), "also days after that answer"
    clock.wrong_ms = 0
    assert (clock.off_ms, clock.skew_ms, clock.is_sure) == (0, 0, True), "it was set right"


@pytest.mark.parametrize("wrong_ms", WRONG)
def test_g22_a_clock_that_is_set_while_it_runs_moves_no_time(wrong_ms: int) -> None:
    clock = Witnessed(0)
    clock.note_site(TRUE_MS)
    for shown_ms in (wrong_ms, 0, wrong_ms):
        clock.wrong_ms, clock.true_ms = shown_ms, clock.true_ms + MINUTE_MS
        assert (clock.off_ms, clock.is_sure) == (0, shown_ms == 0)


@pytest.mark.parametrize("wrong_ms", [-58 * MINUTE_MS, 0, 58 * MINUTE_MS])
def test_a_clock_that_is_less_than_an_hour_off_counts(wrong_ms: int) -> None:
    clock = Witnessed(wrong_ms)
    clock.note_site(TRUE_MS)
    assert (clock.off_ms, clock.skew_ms, clock.is_sure) == (wrong_ms, wrong_ms, True)
    clock.note_stored(TRUE_MS)
    assert (clock.off_ms, clock.is_sure) == (wrong_ms, True)


def test_g22_what_is_stored_has_passed_and_says_no_more() -> None:
    behind, ahead = Witnessed(-TRUE_MS + 1_000), Witnessed(400 * DAY_MS)
    for one in (behind, ahead):
        one.note_stored(TRUE_MS - DAY_MS)
        one.true_ms += MINUTE_MS
        assert (one.witness, one.is_sure) == (Witness.STORED, False)
    assert behind.off_ms == -DAY_MS, "it goes on from there, until the site tells more"
    assert ahead.off_ms == 400 * DAY_MS, "the server may have been off for so long"
    for one in (behind, ahead):
        one.note_site(one.true_ms)
        assert (one.off_ms, one.witness, one.is_sure) == (0, Witness.SITE, False)


@pytest.mark.parametrize("wrong_ms", [0, 400 * DAY_MS])
def test_g22_one_strange_answer_of_the_site_moves_no_time(wrong_ms: int) -> None:
    clock = Witnessed(wrong_ms)
    for strange_ms in (-40 * DAY_MS, 2 * HOUR_MS):
        clock.note_site(clock.true_ms)
        clock.true_ms += MINUTE_MS
        clock.note_site(clock.true_ms + strange_ms)
        assert (clock.off_ms, clock.skew_ms) == (0, wrong_ms)
        assert clock.site_ahead_ms == strange_ms - wrong_ms, "but calls carry the time that the site asks for"
    clock.note_site(clock.true_ms + 2 * HOUR_MS + MINUTE_MS)
    assert (clock.off_ms, clock.is_sure) == (2 * HOUR_MS + MINUTE_MS, False), "another one says the same"
    clock.note_site(clock.true_ms)
    clock.note_site(clock.true_ms)
    assert clock.off_ms == 0


def test_g22_an_answer_that_agrees_with_the_machine_is_believed_at_once() -> None:
    clock = Witnessed(0)
    clock.note_site(TRUE_MS + DAY_MS)
    assert (clock.off_ms, clock.is_sure) == (DAY_MS, False)
    clock.note_site(TRUE_MS)
    assert (clock.off_ms, clock.is_sure) == (0, True)


@pytest.mark.parametrize("told_ms", [0, -1, 2**53, 10**30])
def test_an_answer_that_is_no_moment_changes_nothing(told_ms: int) -> None:
    clock = Witnessed(DAY_MS)
    clock.note_site(told_ms)
    assert (clock.off_ms, clock.witness, clock.is_known_since_set) == (DAY_MS, None, False)


def test_it_is_asked_again_after_the_machine_was_set_or_slept() -> None:
    clock = Witnessed(0)
    clock.note_site(TRUE_MS)
    clock.true_ms += 3 * DAY_MS
    known = [clock.is_known_since_set]
    clock.wrong_ms = 2 * MINUTE_MS
    known.append(clock.is_known_since_set)
    clock.note_site(clock.true_ms)
    assert [*known, clock.is_known_since_set] == [True, False, True]
    clock.forget()
    assert (clock.witness, clock.site_ahead_ms) == (None, 0)


def test_g22_every_thread_reads_a_true_time_while_the_machine_is_set_and_the_site_answers() -> None:
    shown = {"ahead_ms": 400 * DAY_MS}

    def steady() -> int:
        return time.monotonic_ns() // 1_000_000

    clock = Clock(lambda: TRUE_MS + steady() + shown["ahead_ms"], steady)
    clock.note_site(TRUE_MS + steady())
    is_over, strange = threading.Event(), list[int]()

    def read() -> None:
        while not is_over.is_set():
            before = TRUE_MS + steady()
            if not before - MINUTE_MS <= clock.now_ms() <= TRUE_MS + steady() + MINUTE_MS:
                strange.append(clock.now_ms())

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for number in range(2_000):
        shown["ahead_ms"] = WRONG[number % len(WRONG)]
        clock.note_site(TRUE_MS + steady() + number % 3 * 1_000)
    is_over.set()
    for reader in readers:
        reader.join()
    assert strange == []
