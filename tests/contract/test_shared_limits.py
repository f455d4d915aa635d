"""Delays and limits of several nodes: what alternates between them is counted as on one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text, update
from sqlalchemy.engine import make_url

from shoal.auth.login_throttle import Guess, Known, Windows
from shoal.auth.rate_limits import SharedRateLimits
from shoal.auth.shared_throttle import SharedLoginThrottle
from shoal.cluster.limited_tries import UNDER_WAY_SECONDS, LimitedTries
from shoal.cluster.short_writes import ShortWrites
from shoal.errors import TooManyAttempts, TooManyCalls
from shoal.storage.node_tables import limited_tries
from support.site.standins import quick_settings, until, until_told

HERE, THERE = "192.0.2.7", "198.51.100.9"
WIDE = Windows(address="1000/second")


class Nodes:
    """Two nodes that take turns."""

    def __init__(self, writes: tuple[ShortWrites, ShortWrites], windows: Windows | None = None) -> None:
        self.writes = writes[0]
        self.both = [SharedLoginThrottle(LimitedTries(one), windows) for one in writes]
        self.turn = 0

    async def guess(
        self, *, right: bool = False, name: str = "ann", known: Known = Known.NOT, address: str = HERE
    ) -> int:
        """Try once, at the node whose turn it is; how long one must wait (0: the try was made)."""
        self.turn += 1
        delays = self.both[self.turn % 2]
        try:
            async with delays.attempt(Guess.PASSWORD, address=address, name=name, known=known) as attempt:
                attempt.succeed() if right else attempt.fail()
        except TooManyAttempts as error:
            return error.retry_after
        return 0

    async def sql(self, statement: str) -> None:
        """Change the rows beside the nodes."""
        await self.writes.run(lambda connection: connection.execute(text(statement)))

    async def earlier(self, seconds: int) -> None:
        """Move all tries back in time."""
        statement = update(limited_tries).values(at_ms=limited_tries.c.at_ms - seconds * 1000)
        await self.writes.run(lambda connection: connection.execute(statement))

    async def later(self, seconds: int) -> None:
        """All tries were made so much earlier, and no node remembers that it refused."""
        await self.earlier(seconds)
        for delays in self.both:
            delays._tries._full.clear()


@asynccontextmanager
async def writers(url: str) -> AsyncIterator[tuple[ShortWrites, ShortWrites]]:
    made = ShortWrites(make_url(url)), ShortWrites(make_url(url))
    try:
        yield made
    finally:
        for one in made:
            await one.close()


@pytest.fixture
async def nodes(url: str) -> AsyncIterator[Nodes]:
    async with writers(url) as made:
        yield Nodes(made, WIDE)


async def test_guesses_that_alternate_between_two_nodes_have_the_tries_of_one(nodes: Nodes) -> None:
    assert [await nodes.guess() for _ in range(5)] == [0] * 5
    assert all(0 < wait <= 60 for wait in [await nodes.guess(), await nodes.guess(), await nodes.guess(right=True)])
    await nodes.later(61)
    assert [await nodes.guess() for _ in range(5)] == [0] * 5
    waits = [await nodes.guess() for _ in range(2)]
    assert all(60 < wait <= 600 for wait in waits), "ten in ten minutes"
    assert await nodes.guess(name="bob") == 0


async def test_a_success_at_one_node_clears_the_user_at_the_other_and_not_the_address(url: str) -> None:
    async with writers(url) as made:
        nodes = Nodes(made, Windows(address="8/minute"))
        assert [await nodes.guess() for _ in range(4)] == [0] * 4
        assert await nodes.guess(right=True) == 0
        assert [await nodes.guess() for _ in range(4)] == [0] * 4
        assert 0 < await nodes.guess(name="bob", right=True) <= 60
        assert await nodes.guess(name="bob", right=True, address=THERE) == 0


async def test_guesses_at_once_at_both_nodes_are_no_more_than_the_limit_and_right_ones_wait(nodes: Nodes) -> None:
    found = await asyncio.gather(*(nodes.guess() for _ in range(16)))
    assert found.count(0) == 5
    found = await asyncio.gather(*(nodes.guess(right=True, name="bob") for _ in range(12)))
    assert found == [0] * 12, "those who know it wait for the others, and are not refused"


async def test_a_try_whose_node_died_in_the_middle_counts_once_it_is_old(nodes: Nodes) -> None:
    async def dies() -> None:
        async with nodes.both[0].attempt(Guess.PASSWORD, address=HERE, name="ann"):
            await asyncio.Event().wait()

    async def under_way() -> int:
        return await nodes.writes.run(lambda connection: connection.scalar(text("SELECT count(*) FROM limited_tries")))

    dying = [asyncio.create_task(dies()) for _ in range(5)]
    await until_told(under_way, 10)  # five by name, five by address
    waiting = asyncio.create_task(nodes.guess())
    await until(lambda: nodes.both[1]._asking == 1 or nodes.both[0]._asking == 1)
    assert not waiting.done()
    await nodes.earlier(UNDER_WAY_SECONDS - 20)
    await asyncio.sleep(0.2)
    assert not waiting.done()
    await nodes.earlier(21)
    assert await waiting == 0, "out of the window of a minute"
    assert [await nodes.guess() for _ in range(4)] == [0] * 4
    await nodes.later(61)
    assert await nodes.guess() > 60, "of the ten in ten minutes the dead node's are five"
    for task in dying:
        task.cancel()
    await asyncio.gather(*dying, return_exceptions=True)


async def test_a_known_browser_and_a_known_place_have_tries_of_their_own_on_all_nodes(nodes: Nodes) -> None:
    assert [await nodes.guess() for _ in range(5)] == [0] * 5
    assert await nodes.guess(known=Known.BY_MARK, right=True) == 0
    assert [await nodes.guess(known=Known.BY_MARK) for _ in range(5)] == [0] * 5
    assert await nodes.guess(known=Known.BY_MARK) > 0, "then it is a stranger, whose tries are used up"
    for delays in nodes.both:
        delays.remember("ann", THERE)
    assert await nodes.guess(right=True, address=THERE) == 0


async def test_while_the_database_refuses_each_node_counts_for_itself(nodes: Nodes) -> None:
    await nodes.sql("ALTER TABLE limited_tries RENAME TO away")
    assert [await nodes.guess() for _ in range(10)] == [0] * 10
    assert await nodes.guess() > 0
    assert await nodes.guess() > 0
    await nodes.sql("ALTER TABLE away RENAME TO limited_tries")
    assert await nodes.guess() == 0


async def test_pictures_and_registrations_are_limited_for_all_nodes_together(url: str) -> None:
    async with writers(url) as made:
        both = [SharedRateLimits(quick_settings(), LimitedTries(one)) for one in made]

        async def registers(number: int, work: Callable[[], object]) -> None:
            async with both[number % 2].registration(HERE):
                work()

        for number in range(6):
            with pytest.raises(ZeroDivisionError):
                await registers(number, lambda: 1 / 0)
        found = await asyncio.gather(*(registers(number, int) for number in range(12)), return_exceptions=True)
        refused = [error.code for error in found if isinstance(error, TooManyCalls)]
        assert (found.count(None), refused) == (5, ["too_many_registrations"] * 7)
        for number in range(60):
            await both[number % 2].count_channel_test(1)
        for node in both:
            with pytest.raises(TooManyCalls):
                await node.count_channel_test(1)
            await node.count_channel_test(2)


async def test_a_sign_in_while_the_server_ends_is_counted_by_it_alone(url: str) -> None:
    async with writers(url) as made:
        nodes = Nodes(made, WIDE)
    assert await nodes.guess(right=True) == 0


async def test_old_tries_are_deleted(nodes: Nodes) -> None:
    await nodes.guess()
    await nodes.sql("UPDATE limited_tries SET at_ms = at_ms - 86400000")
    nodes.both[0]._tries._swept_at = nodes.both[1]._tries._swept_at = -1e9
    await nodes.guess(name="bob")
    keys = await nodes.writes.run(
        lambda connection: connection.scalar(text("SELECT count(*) FROM limited_tries WHERE counts"))
    )
    assert keys == 2
