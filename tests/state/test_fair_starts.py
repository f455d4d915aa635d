"""Whose turn it is to start, and to ask for a token: on a virtual clock, so that what is late is exactly so late."""

from __future__ import annotations

import asyncio

import pytest

from shoal.accounts.account import Account, AccountState
from shoal.accounts.account_task import Link
from shoal.accounts.backoff import BackoffLimits
from shoal.accounts.change_path import Caller
from shoal.accounts.cookie_manager import CookieManager
from shoal.concurrency.fair_limiter import FairLimiter, evenly, in_bursts
from shoal.errors import TemporaryFailure
from state.test_task_side import on_virtual_time
from state.world import settings
from support.databases.memory_store import MemoryStore
from support.site.standins import ANN, FakeSite, cookie_of

AT_ONCE = Caller(actor="user:ann", wait_seconds=0)


class Turns:
    """Asks a limiter for turns, and notes who got one when."""

    def __init__(self, limiter: FairLimiter) -> None:
        self._limiter = limiter
        self.given: list[tuple[str, float]] = []
        self.asking: dict[str, asyncio.Task[None]] = {}

    async def ask(self, *names: str, late: bool = False) -> None:
        """Each name begins with its owner's number."""
        for name in names:
            self.asking[name] = asyncio.create_task(self._take(name, late=late))
        await asyncio.sleep(0)

    async def _take(self, name: str, *, late: bool) -> None:
        await self._limiter.acquire(int(name[0]), late=late)
        self.given.append((name, round(asyncio.get_running_loop().time(), 6)))

    async def all_given(self) -> list[str]:
        """The order in which the turns came."""
        await asyncio.gather(*self.asking.values(), return_exceptions=True)
        return [name for name, _ in self.given]


def test_f11_turns_go_round_by_owner_however_many_of_one_wait() -> None:
    async def scenario() -> None:
        turns = Turns(evenly(1.0))
        await turns.ask("1a", "1b", "1c", "1d", "2a", "2b")
        await asyncio.sleep(1.5)
        await turns.ask("3a", "1e")
        assert await turns.all_given() == ["1a", "1b", "2a", "1c", "3a", "2b", "1d", "1e"]
        assert [at for _, at in turns.given] == [float(second) for second in range(8)]
        await asyncio.sleep(10)
        assert await Turns(evenly(1.0)).all_given() == []

    on_virtual_time(scenario())


def test_f11_what_keeps_failing_waits_for_all_others_of_its_owner_and_for_no_one_elses_second_turn() -> None:
    async def scenario() -> None:
        turns = Turns(evenly(1.0))
        await turns.ask("1a")
        await turns.ask("1x", "1y", late=True)
        await turns.ask("1b", "2a")
        await turns.ask("2x", late=True)
        await turns.ask("1c", "2b")
        assert await turns.all_given() == ["1a", "1b", "2a", "1c", "2b", "1x", "2x", "1y"]

    on_virtual_time(scenario())


def test_f11_a_second_of_turns_may_come_at_once_and_then_they_are_spaced() -> None:
    async def scenario() -> None:
        turns = Turns(in_bursts(4.0))
        await turns.ask(*(f"1{number}" for number in range(6)), "2a")
        await turns.all_given()
        assert turns.given[4:] == [("14", 0.25), ("2a", 0.5), ("15", 0.75)]
        assert {at for _, at in turns.given[:4]} == {0.0}

    on_virtual_time(scenario())


@pytest.mark.parametrize(("its_turn_has_come", "order"), [(False, ["1a", "1c", "2a"]), (True, ["1a", "2a", "1c"])])
def test_f11_who_goes_takes_no_turn_along(its_turn_has_come: bool, order: list[str]) -> None:
    async def scenario() -> None:
        limiter = evenly(1.0)
        turns = Turns(limiter)
        await turns.ask("1a", "1b", "2a", "1c")
        if not its_turn_has_come:
            turns.asking["1b"].cancel()
        else:
            loop = asyncio.get_running_loop()
            (timer,) = (timer for _, _, timer in loop._later if not timer.cancelled())  # type: ignore[attr-defined]
            asyncio.get_running_loop().call_at(timer.when(), turns.asking["1b"].cancel)  # in the very same moment
        assert await turns.all_given() == order
        assert [at for _, at in turns.given] == [0.0, 1.0, 2.0]
        await asyncio.sleep(1.5)
        assert limiter.has_room()

    on_virtual_time(scenario())


def test_f11_a_new_shop_starts_within_two_turns_beside_120_dead_ones() -> None:
    """The dead ones of one owner ask for a token again and again, in every way that a start can wait."""

    async def scenario() -> None:
        site, calls, asked = FakeSite(), evenly(1.0), []

        async def connect(account: Account, link: Link) -> None:
            await calls.acquire(account.owner_id, late=link.keeps_failing)
            asked.append((account.id, asyncio.get_running_loop().time()))
            if account.id.startswith("dead"):
                raise TemporaryFailure("no", code="token_refused")
            link.running()
            await asyncio.Event().wait()

        site.behave = connect
        limits = BackoffLimits(first_seconds=1.0, longest_seconds=5.0)
        manager = CookieManager(MemoryStore(), site.connect, settings(), backoff=limits)
        await manager.open()
        for number in range(120):
            await manager.add_cookie(f"dead{number}", cookie_of(number), owner_id=1, caller=AT_ONCE)
        await asyncio.sleep(400)
        began = asyncio.get_running_loop().time()
        await manager.add_cookie("new", cookie_of(500), owner_id=2, caller=AT_ONCE)
        await manager.add_cookie("another", cookie_of(501), owner_id=1, caller=AT_ONCE)
        await asyncio.sleep(5)
        assert [manager.observation(name).state for name in ("new", "another")] == [AccountState.RUNNING] * 2
        new, another = (next(at for name, at in asked if name == wanted) for wanted in ("new", "another"))
        assert new - began <= 2.0, "its owner's turn is the next or the one after"
        assert another - began <= 4.0, "the dead ones of the same owner wait for the one that never failed"
        await manager.update_cookie("dead0", cookie_of(0, secret="fresh"), caller=ANN)
        assert not manager.tasks["dead0"].keeps_failing, "another cookie is another hope"
        await manager.close()

    on_virtual_time(scenario())
