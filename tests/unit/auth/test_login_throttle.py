"""Growing delays: how many failures are borne, whom they hold up, and whom never."""

from __future__ import annotations

import asyncio
import time

import pytest

from shoal.auth.device_marks import LIFETIME_SECONDS
from shoal.auth.login_throttle import Guess, Known, LoginThrottle, Windows
from shoal.errors import TooManyAttempts

HERE, THERE = "192.0.2.7", "198.51.100.9"


class Clock:
    """The wall clock of the delays, set by the test. It never stands quite still, as no clock does."""

    def __init__(self) -> None:
        self.now = 1_900_000_000.0

    def time(self) -> float:
        self.now += 0.000_1
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "time", clock.time)
    return clock


async def _guess(
    delays: LoginThrottle,
    *,
    right: bool = False,
    address: str = HERE,
    name: str = "ann",
    guess: Guess = Guess.PASSWORD,
    known: Known = Known.NOT,
) -> int:
    """Try once; how long one must wait (0: the try was made)."""
    try:
        async with delays.attempt(guess, address=address, name=name, known=known) as attempt:
            attempt.succeed() if right else attempt.fail()
    except TooManyAttempts as error:
        return error.retry_after
    return 0


async def test_the_delay_grows_and_has_an_end(clock: Clock) -> None:
    delays = LoginThrottle(Windows(address="1000/second"))
    waits = []
    made = 0
    began = clock.now
    while clock.now < began + 3 * 3600:
        wait = await _guess(delays)
        if wait:
            waits.append(wait)
            clock.now += wait
        else:
            made += 1
    assert waits[0] <= 60
    assert 60 < max(waits) <= 3600
    assert made <= 4 * 20


async def test_a_success_forgets_what_was_counted_of_the_person_but_not_of_the_address(clock: Clock) -> None:
    delays = LoginThrottle(Windows(address="8/minute"))
    for _ in range(4):
        assert await _guess(delays) == 0
    assert await _guess(delays, right=True) == 0
    for _ in range(4):
        assert await _guess(delays) == 0
    assert 0 < await _guess(delays, name="somebody else", right=True) <= 60
    clock.now += 61
    assert await _guess(delays, name="somebody else", right=True) == 0


async def test_a_stranger_does_not_lock_out_whoever_came_from_here_before(clock: Clock) -> None:
    delays = LoginThrottle()
    delays.remember("ann", HERE)
    for _ in range(5):
        assert await _guess(delays, address=THERE) == 0
    assert await _guess(delays, address=THERE) > 0
    assert await _guess(delays, address="203.0.113.4") > 0  # from anywhere else one waits
    assert await _guess(delays, right=True) == 0
    for _ in range(5):
        assert await _guess(delays) == 0
    assert await _guess(delays) > 0  # and here one has no more tries than others


async def test_f12_who_signed_in_here_lately_is_not_locked_out_by_others_at_the_same_address(clock: Clock) -> None:
    delays = LoginThrottle()
    delays.remember("ann", HERE)
    delays.remember("long ago", HERE, seconds_ago=LIFETIME_SECONDS + 1)
    for number in range(10):
        assert await _guess(delays, name=f"somebody {number}") == 0
    assert await _guess(delays, name="somebody else", right=True) > 0
    assert await _guess(delays, name="long ago", right=True) > 0
    assert await _guess(delays, guess=Guess.CODE) == 0
    for _ in range(5):
        assert await _guess(delays) == 0
    assert await _guess(delays, right=True) > 0  # the guesses at this very name are borne as elsewhere
    assert await _guess(delays, name="somebody else", right=True) > 0


async def test_f12_a_browser_that_is_known_is_let_in_while_others_guess_at_the_name_from_its_own_address(
    clock: Clock,
) -> None:
    delays = LoginThrottle()
    delays.remember("ann", HERE)
    for _ in range(5):
        assert await _guess(delays) == 0
    assert await _guess(delays, right=True) > 0
    for _ in range(4):
        assert await _guess(delays, known=Known.BY_MARK) == 0
    assert await _guess(delays, right=True, known=Known.BY_MARK) == 0
    for _ in range(5):
        assert await _guess(delays, known=Known.BY_MARK) == 0
    assert await _guess(delays, right=True, known=Known.BY_MARK) > 0  # with a mark one has no more tries than others
    assert await _guess(delays, right=True, known=Known.SIGNED_IN) == 0
    assert await _guess(delays, name="bob", known=Known.BY_MARK) == 0


async def test_f12_wrong_tokens_are_counted_by_their_address_and_hold_up_no_sign_in(clock: Clock) -> None:
    delays = LoginThrottle()
    for _ in range(10):
        delays.count_wrong_token(HERE)
    with pytest.raises(TooManyAttempts):
        delays.count_wrong_token(HERE)
    delays.count_wrong_token(THERE)
    assert await _guess(delays) == 0
    clock.now += 61
    delays.count_wrong_token(HERE)


async def test_a_right_password_alone_makes_nobody_known_here(clock: Clock) -> None:
    """Otherwise someone who has it could guess codes from one address after the other."""
    delays = LoginThrottle()
    for address in (HERE, THERE):
        assert await _guess(delays, right=True, address=address) == 0
    for _ in range(5):
        assert await _guess(delays, guess=Guess.CODE) == 0
    assert await _guess(delays, guess=Guess.CODE, address=THERE) > 0


async def test_a_name_is_counted_however_it_is_typed_and_whether_or_not_anybody_has_it(clock: Clock) -> None:
    delays = LoginThrottle(Windows(address="1000/second"))
    for name in ("ann", "ANN", " ann ", "ａｎｎ", "Ann"):
        assert await _guess(delays, name=name) == 0
    assert await _guess(delays, name="ann") > 0
    assert await _guess(delays, name="bob") == 0


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.7", "192.0.2.7", True),
        ("fe80::1%eth0", "fe80::2", True),
        ("192.0.2.7", "192.0.2.8", False),
        ("", "", True),
    ],
)
async def test_of_ipv6_a_whole_network_counts_as_one(clock: Clock, one: str, other: str, together: bool) -> None:
    delays = LoginThrottle(Windows(address="2/minute"))
    for number in range(2):
        assert await _guess(delays, address=one, name=str(number)) == 0
    assert (await _guess(delays, address=other, name="x") > 0) is together


async def test_many_at_once_get_no_more_tries_than_one_after_the_other(clock: Clock) -> None:
    delays = LoginThrottle(Windows(address="1000/second"))
    tried = 0

    async def slowly() -> None:
        nonlocal tried
        async with delays.attempt(Guess.PASSWORD, address=HERE, name="ann") as attempt:
            tried += 1
            await asyncio.sleep(0)
            attempt.fail()

    results = await asyncio.gather(*(slowly() for _ in range(50)), return_exceptions=True)
    assert tried == 5
    assert sum(isinstance(result, TooManyAttempts) for result in results) == 45


async def test_many_right_ones_at_once_all_come_in(clock: Clock) -> None:
    delays = LoginThrottle()
    assert await asyncio.gather(*(_guess(delays, right=True) for _ in range(50))) == [0] * 50


async def test_a_flood_for_one_name_does_not_queue_up(clock: Clock) -> None:
    delays = LoginThrottle()
    go_on = asyncio.Event()

    async def slowly(number: int) -> int:
        try:
            async with delays.attempt(Guess.PASSWORD, address=f"192.0.2.{number % 250}", name="ann") as attempt:
                await go_on.wait()
                attempt.succeed()
        except TooManyAttempts as error:
            return error.retry_after
        return 0

    flood = [asyncio.create_task(slowly(number)) for number in range(1_000)]
    while sum(task.done() for task in flood) < 1_000 - 5 - 64:  # who finds the queue full is told at once
        await asyncio.sleep(0)
    go_on.set()
    answers = await asyncio.gather(*flood)
    assert answers.count(0) == 5 + 64
    assert delays._waiting == 0


async def test_a_try_that_came_to_no_end_is_not_counted(clock: Clock) -> None:
    delays = LoginThrottle()
    for _ in range(30):
        with pytest.raises(OSError, match="disk"):
            async with delays.attempt(Guess.PASSWORD, address=HERE, name="ann"):
                raise OSError("disk")
    assert await _guess(delays) == 0
    assert not delays._under_way


async def test_codes_links_and_passwords_are_counted_apart_for_a_person(clock: Clock) -> None:
    delays = LoginThrottle(Windows(address="1000/second"))
    for _ in range(5):
        assert await _guess(delays, guess=Guess.CODE) == 0
    assert await _guess(delays, guess=Guess.CODE) > 0
    assert await _guess(delays) == 0
    assert await _guess(delays, guess=Guess.LINK) == 0
