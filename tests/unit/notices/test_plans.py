"""What is told when, and as what: a virtual channel that gets all the failures of a night."""

from __future__ import annotations

from collections import Counter, defaultdict

from hypothesis import example, given
from hypothesis import strategies as st

from shoal.notices.plans import (
    FIRST_DIGEST_MS,
    GIVE_UP_MS,
    GROUP_MS,
    LEAST_TRIES,
    LONGEST_PAUSE_MS,
    LONGEST_TRY_AGAIN_MS,
    MOST_SINGLE,
    Choice,
    Due,
    choose,
    next_try_ms,
    notified_from_ms,
)
from shoal.storage.incident_kinds import POLICIES, IncidentKind

NIGHT_MS = 3 * GROUP_MS
Arrival = tuple[int, str, int]
ARRIVALS = st.lists(
    st.tuples(st.integers(0, NIGHT_MS), st.sampled_from(["parked", "low_stock"]), st.integers(0, 2)), max_size=60
)


class Channel:
    """A channel that sends at once whatever is chosen, at every second of the night."""

    def __init__(self, arrivals: list[Arrival]) -> None:
        self.waiting = {
            number: Due(id=number, kind=kind, phase="begin", rank=rank, created_at_ms=at_ms)
            for number, (at_ms, kind, rank) in enumerate(sorted(arrivals))
        }
        self.not_before: dict[int, int] = {}
        self.sent: list[tuple[int, tuple[Due, ...]]] = []
        self._recent: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        self._digests: defaultdict[tuple[str, str], list[int]] = defaultdict(list)

    def run(self, until_ms: int) -> None:
        for now_ms in range(0, until_ms, 1_000):
            while (choice := self._next(now_ms)).send:
                told = tuple(self.waiting.pop(number) for number in choice.send)
                self.sent.append((now_ms, told))
                for one in told:
                    self._recent[one.kind, one.phase].append(now_ms)
                keys = {(one.kind, one.phase) for one in told}
                if choice.is_digest and len(keys) == 1:
                    self._digests[keys.pop()].append(now_ms)

    def _next(self, now_ms: int) -> Choice:
        due = [
            one
            for one in self.waiting.values()
            if one.created_at_ms <= now_ms and self.not_before.get(one.id, 0) <= now_ms
        ]
        choice = choose(due, self._recent, now_ms, self._digests)
        self.not_before |= choice.wait
        return choice


@given(ARRIVALS)
def test_everything_is_told_once_and_never_many_of_a_kind_in_a_minute(arrivals: list[Arrival]) -> None:
    channel = Channel(arrivals)
    channel.run(NIGHT_MS + 3 * GROUP_MS)
    assert channel.waiting == {}
    assert len({one.id for _, told in channel.sent for one in told}) == len(arrivals)
    for start in range(0, NIGHT_MS + 3 * GROUP_MS, 10_000):
        sent: Counter[str] = Counter()
        for at_ms, told in channel.sent:
            if start <= at_ms < start + GROUP_MS:
                sent[told[0].kind] += 1
        assert max(sent.values(), default=0) <= MOST_SINGLE + 1


@given(ARRIVALS)
@example([(0, "parked", 0), *[(1, "parked", 0)] * 5, (2_001, "parked", 0), (61_001, "parked", 0)])
def test_none_waits_longer_than_the_pause_after_the_digests_before(arrivals: list[Arrival]) -> None:
    channel = Channel(arrivals)
    channel.run(NIGHT_MS + 8 * GROUP_MS)
    digests = Counter[str]()
    for at_ms, told in channel.sent:
        pause = GROUP_MS << max(0, max(digests[one.kind] for one in told) - 1)
        assert all(at_ms - one.created_at_ms <= pause + GROUP_MS + 1_000 for one in told)
        digests[told[0].kind] += len(told) > 1 or digests[told[0].kind] > 0


def shops_that_park(every_ms: int, hours: float) -> Channel:
    """A channel of an owner whose shops are parked one after another."""
    channel = Channel([(at_ms, "parked", 2) for at_ms in range(0, round(hours * 3_600_000), every_ms)])
    channel.run(round(hours * 3_600_000) + 3_600_000)
    assert channel.waiting == {}
    return channel


def test_g11_the_sixth_shop_that_parks_within_a_minute_is_told_at_once() -> None:
    for every_ms in (1_000, 3_000, 8_000, 11_000):
        channel = Channel([(number * every_ms, "parked", 2) for number in range(6)])
        channel.run(5 * GROUP_MS)
        late = {one.id: at_ms - one.created_at_ms for at_ms, told in channel.sent for one in told}
        assert max(late.values()) <= FIRST_DIGEST_MS + 1_000, every_ms
        assert len(channel.sent) == MOST_SINGLE + 1


def test_g11_the_first_digest_of_what_is_urgent_has_all_that_came_in_three_seconds() -> None:
    arrivals = [(0, "parked", 2)] * 5 + [(1_000 + number, "parked", 2) for number in range(40)]
    channel = Channel([(at_ms // 5 * 5, kind, rank) for at_ms, kind, rank in arrivals])
    channel.run(NIGHT_MS)
    assert [(at_ms, len(told)) for at_ms, told in channel.sent] == [(0, 1)] * 5 + [(3_000, 40)]


def test_g11_a_night_in_which_shops_park_all_the_time_is_few_messages() -> None:
    """4,800 shops, one every six seconds, were 480 digests: one a minute until the morning."""
    channel = shops_that_park(6_000, 8)
    assert len(channel.sent) < 80
    late = [at_ms - told[0].created_at_ms for at_ms, told in channel.sent]
    assert max(late) <= LONGEST_PAUSE_MS + 1_000
    assert sum(at_ms < 5 * 60_000 for at_ms, _ in channel.sent) >= MOST_SINGLE + 3, "the first minutes are told soon"


def test_g11_after_a_quiet_hour_shops_are_told_each_again() -> None:
    storm = [(number * 1_000, "parked", 2) for number in range(1_200)]
    later = [(20 * 60_000 + 3_700_000 + number, "parked", 2) for number in range(3)]
    channel = Channel([*storm, *later])
    channel.run(6_000_000)
    assert [len(told) for at_ms, told in channel.sent if at_ms > 20 * 60_000 + 3_600_000] == [1, 1, 1]


def some(count: int, kind: str = "parked", *, rank: int = 2, created_at_ms: int = 0) -> list[Due]:
    return [Due(id=number, kind=kind, phase="begin", rank=rank, created_at_ms=created_at_ms) for number in range(count)]


def test_five_are_told_each_and_six_are_a_digest() -> None:
    assert choose(some(MOST_SINGLE), {}, 0).send == (0,)
    assert choose(some(MOST_SINGLE + 1), {}, 0).send == tuple(range(MOST_SINGLE + 1))
    recent = {("parked", "begin"): [10, 20, 30, 40, 50]}
    assert choose(some(1, rank=1), recent, 100) == Choice((), {0: 10 + GROUP_MS})
    assert choose(some(1, rank=1), recent, 10 + GROUP_MS).send == (0,)
    assert choose(some(1), recent, 100) == Choice((), {0: 50 + FIRST_DIGEST_MS})
    assert choose(some(1), recent, 50 + FIRST_DIGEST_MS) == Choice((0,), is_digest=True)
    digests = {("parked", "begin"): [100]}
    assert choose(some(1), recent, 200, digests) == Choice((), {0: 100 + GROUP_MS})


def test_a_pressing_one_does_not_wait_for_another_kind() -> None:
    low = [Due(id=9 + n, kind="low_stock", phase="begin", rank=0, created_at_ms=0) for n in range(3)]
    recent = {("low_stock", "begin"): [0, 0, 0, 0, 0]}
    assert choose([*low, *some(1)], recent, 5).send == (0,)


def test_what_piled_up_is_one_digest_of_all_kinds() -> None:
    due = [*some(3), *(Due(id=9 + n, kind="low_stock", phase="end", rank=0, created_at_ms=0) for n in range(3))]
    assert choose(due, {}, GROUP_MS - 1).send == (0,)
    assert choose(due, {}, GROUP_MS).send == (0, 1, 2, 9, 10, 11)


def test_one_that_may_have_arrived_is_sent_by_itself() -> None:
    alone = Due(id=70, kind="parked", phase="begin", rank=2, created_at_ms=0, alone=True)
    assert choose([*some(9), alone], {}, 10 * GROUP_MS).send == (70,)


@given(st.integers(1, 100), st.integers(0, GIVE_UP_MS - 1), st.none() | st.floats(0, 200_000))
def test_a_failed_one_is_tried_later_and_not_for_ever(tries: int, age_ms: int, retry_after: float | None) -> None:
    again = next_try_ms(age_ms, tries, 0, retry_after)
    assert again is not None
    asked_ms = min((retry_after or 0.0) * 1000, 86_400_000)
    assert 5_000 <= again - age_ms <= max(LONGEST_TRY_AGAIN_MS, asked_ms + 1)
    assert again - age_ms >= asked_ms - 1
    gives_up = tries >= LEAST_TRIES or retry_after is not None
    assert (next_try_ms(GIVE_UP_MS + age_ms, tries, 0, retry_after) is None) is gives_up


def test_what_keeps_coming_back_is_held_longer_each_time() -> None:
    retrying, parked = POLICIES[IncidentKind.RETRYING], POLICIES[IncidentKind.PARKED]
    held = [notified_from_ms(retrying, 0, times) // 60_000 for times in range(4)]
    assert held == [10, 20, 40, 80]
    assert [notified_from_ms(parked, 7, times) for times in range(4)] == [7] * 4
    assert notified_from_ms(retrying, 0, 99) == notified_from_ms(retrying, 0, 8)
