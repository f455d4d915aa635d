"""One seller's number in the cookies of several owners: whose connection it is, on a virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from shoal.accounts.account import Account, AccountState, Observation
from shoal.accounts.account_task import Link
from shoal.accounts.change_path import Caller
from shoal.accounts.cookie_manager import CookieManager
from shoal.accounts.seller_numbers import SellerNumbers
from shoal.concurrency.fair_limiter import evenly
from shoal.errors import ActionRequired, DuplicateUnb, OtherUnb, StoreError, TemporaryFailure, UnknownNumber
from state.test_task_side import on_virtual_time
from state.world import settings
from support.databases.memory_store import MemoryStore
from support.site.standins import ANN, QUICK, cookie_of, unb_of

NUMBER = unb_of(1)
SOON = Caller(actor="user:ann", wait_seconds=0)
TAKEN = (AccountState.PARKED, "number_taken")
RUNNING = (AccountState.RUNNING, "")


@dataclass
class Seller:
    """A site that lets in who has the true cookie, and counts who is connected with one number."""

    true_cookies: set[str] = field(default_factory=lambda: {cookie_of(1, secret="true"), cookie_of(1, secret="also")})
    now: int = 0
    most: int = 0
    tried: list[str] = field(default_factory=list)
    before: Callable[[Account, Link], Awaitable[None]] | None = None
    seconds: float = 1.0

    async def connect(self, account: Account, link: Link) -> None:
        if self.before is not None:
            await self.before(account, link)
        self.tried.append(account.id)
        self.now += account.unb == NUMBER
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self.seconds)
            if account.cookie not in self.true_cookies:
                raise ActionRequired("login_expired")
            await link.hold_number()
            link.running()
            await asyncio.Event().wait()
        finally:
            self.now -= account.unb == NUMBER


@asynccontextmanager
async def managed(site: Seller, store: MemoryStore | None = None) -> AsyncIterator[CookieManager]:
    manager = CookieManager(store or MemoryStore(), site.connect, settings(), backoff=QUICK)
    await manager.open()
    yield manager
    await manager.close()


def how(manager: CookieManager, account_id: str) -> tuple[AccountState, str]:
    seen: Observation = manager.observation(account_id)
    return seen.state, seen.reason


async def add(manager: CookieManager, account_id: str, owner_id: int, secret: str) -> None:
    await manager.add_cookie(account_id, cookie_of(1, secret=secret), owner_id=owner_id, caller=SOON)


def test_f8_a_junk_cookie_takes_no_number_from_its_owner() -> None:
    async def scenario() -> None:
        site = Seller()
        async with managed(site) as manager:
            await add(manager, "junk", 2, "junk")
            await asyncio.sleep(5)
            assert how(manager, "junk") == (AccountState.PARKED, "login_expired")
            assert NUMBER not in manager.number_holders, "a cookie that the site refuses holds nothing"
            await add(manager, "mine", 1, "true")
            await asyncio.sleep(5)
            assert (how(manager, "mine"), how(manager, "junk")) == (RUNNING, TAKEN)
            tried = len(site.tried)
            await manager.resume("junk", caller=SOON)
            await manager.update_cookie("junk", cookie_of(1, secret="also"), caller=SOON)
            await manager.update_cookie_status("junk", False, caller=SOON)
            await manager.update_cookie_status("junk", True, caller=SOON)
            await asyncio.sleep(5)
            assert (how(manager, "mine"), how(manager, "junk")) == (RUNNING, TAKEN)
            assert len(site.tried) == tried, "nothing of it reaches the site, whatever its owner does"
            with pytest.raises(DuplicateUnb):
                await manager.add_cookie("again", cookie_of(1), owner_id=1, caller=ANN)
            with pytest.raises(OtherUnb):  # the holder cannot leave with the number: it keeps it
                await manager.update_cookie("mine", cookie_of(2), caller=ANN)
        assert site.most == 1

    on_virtual_time(scenario())


@pytest.mark.parametrize("end", ["deleted", "freed"])
def test_f8_of_two_that_start_at_once_the_first_let_in_keeps_the_number_until_it_is_free(end: str) -> None:
    async def scenario() -> None:
        site, store = Seller(), MemoryStore()
        async with managed(site, store) as manager:
            await asyncio.gather(add(manager, "ann", 1, "true"), add(manager, "bob", 2, "also"))
            await asyncio.sleep(0.5)
            assert sorted((how(manager, "ann")[0], how(manager, "bob")[0])) == ["starting", "waiting"]
            await asyncio.sleep(5)
            winner = manager.number_holders[NUMBER]
            loser = {"ann": "bob", "bob": "ann"}[winner]
            assert (how(manager, winner), how(manager, loser)) == (RUNNING, TAKEN)
            assert site.tried == [winner], "the other one said nothing to the site"
            await manager.update_cookie_status(winner, False, caller=ANN)
            await asyncio.sleep(5)
            assert how(manager, loser) == TAKEN, "who is off keeps the number"
        async with managed(site, store) as manager:
            await asyncio.sleep(5)
            assert (how(manager, winner)[0], how(manager, loser)) == (AccountState.STOPPED, TAKEN), "a restart, too"
            await manager.update_cookie_status(winner, True, caller=ANN)
            assert how(manager, winner) == RUNNING
            if end == "deleted":
                await manager.remove_cookie(winner, caller=ANN)
            else:
                assert await manager.free_number(NUMBER, caller=ANN) == winner
                assert not manager.account(winner).enabled
            await asyncio.sleep(5)
            assert how(manager, loser) == RUNNING, "it starts by itself"
            assert manager.number_holders[NUMBER] == loser
            if end == "freed":
                await manager.update_cookie_status(winner, True, caller=ANN)
                await asyncio.sleep(5)
                assert (how(manager, winner), how(manager, loser)) == (TAKEN, RUNNING)
            with pytest.raises(UnknownNumber):
                await manager.free_number(unb_of(99), caller=ANN)
        assert site.most == 1

    on_virtual_time(scenario())


def test_f8_who_waits_long_for_a_token_call_lends_the_number_meanwhile() -> None:
    """Somebody with many dead shops of their own cannot sit on a number by queueing for its token call."""

    async def scenario() -> None:
        site, calls = Seller(seconds=0.1), evenly(1.0)

        async def ask(account: Account, link: Link) -> None:
            async with link.lending_number():
                await calls.acquire(account.owner_id)

        site.before = ask
        async with managed(site) as manager:
            for number in range(100, 160):
                await manager.add_cookie(f"dead{number}", cookie_of(number), owner_id=2, caller=SOON)
            await add(manager, "junk", 2, "junk")
            await asyncio.sleep(3)
            await add(manager, "mine", 1, "true")
            await asyncio.sleep(4)
            assert (how(manager, "mine"), how(manager, "junk")) == (RUNNING, TAKEN)
            assert "junk" not in site.tried
        assert site.most == 1

    on_virtual_time(scenario())


def test_f8_a_claim_that_cannot_be_stored_lets_nobody_run_and_is_tried_again() -> None:
    class Full(MemoryStore):
        full = True

        async def hold_number(self, number: str, account_id: str, at_ms: int) -> str | None:
            if self.full:
                raise StoreError("full", code="store_degraded")
            return await super().hold_number(number, account_id, at_ms)

    async def scenario() -> None:
        site, store = Seller(), Full()
        async with managed(site, store) as manager:
            await add(manager, "ann", 1, "true")
            await add(manager, "bob", 2, "also")
            await asyncio.sleep(20)
            assert not manager.number_holders
            assert site.most == 1
            assert {"ann", "bob"} == set(site.tried), "they take turns"
            store.full = False
            await asyncio.sleep(400)
            assert {how(manager, "ann"), how(manager, "bob")} == {RUNNING, TAKEN}
        assert site.most == 1

    on_virtual_time(scenario())


def test_f8_another_node_that_holds_the_number_sends_a_connection_away_before_it_runs() -> None:
    async def scenario() -> None:
        site, store = Seller(), MemoryStore()
        async with managed(site, store) as manager:
            await add(manager, "ann", 1, "true")
            await asyncio.sleep(0.5)
            await add(manager, "bob", 2, "junk")
            await store.hold_number(NUMBER, "bob", 0)  # by a process that this one does not know of
            await asyncio.sleep(5)
            assert how(manager, "ann") == TAKEN
            await store.free_number(NUMBER, "bob")
            await manager.reload_from_db()
            await asyncio.sleep(5)
            assert how(manager, "ann") == RUNNING
        assert site.most == 1

    on_virtual_time(scenario())


def test_f8_who_goes_while_they_wait_for_the_number_leaves_no_turn_behind() -> None:
    async def scenario() -> None:
        site = Seller(seconds=3.0)
        site.true_cookies = set()

        async def refuse(account: Account, _: Link) -> None:
            if account.id == "bob":
                raise TemporaryFailure("no")

        site.before = refuse
        async with managed(site) as manager:
            for owner, name in enumerate(("ann", "bob", "cid", "dan"), start=1):
                await add(manager, name, owner, "junk")
            await asyncio.sleep(1)
            await manager.update_cookie_status("cid", False, caller=SOON)
            await asyncio.sleep(20)
            assert how(manager, "ann") == how(manager, "dan") == (AccountState.PARKED, "login_expired")
            assert how(manager, "cid") == (AccountState.STOPPED, "")
            assert how(manager, "bob")[0] is not AccountState.WAITING
        assert site.most == 1

    on_virtual_time(scenario())


def test_f8_a_number_that_two_free_at_once_is_not_taken_from_who_was_let_in_since() -> None:
    class SlowFree(MemoryStore):
        frees = 0

        async def free_number(self, number: str, holder: str) -> None:
            self.frees += 1
            await asyncio.sleep(5.0 * (self.frees - 1))
            await super().free_number(number, holder)

    async def scenario() -> None:
        site, store = Seller(), SlowFree()
        async with managed(site, store) as manager:
            await add(manager, "ann", 1, "true")
            await asyncio.sleep(5)
            await add(manager, "bob", 2, "also")
            await asyncio.gather(manager.free_number(NUMBER, caller=ANN), manager.free_number(NUMBER, caller=ANN))
            assert how(manager, "bob") == RUNNING
            assert manager.number_holders == await store.number_holders() == {NUMBER: "bob"}
        assert site.most == 1

    on_virtual_time(scenario())


def test_f8_what_is_read_of_the_holders_is_older_than_what_changed_during_the_reading() -> None:
    class SlowRead(MemoryStore):
        seconds = 0.0

        async def number_holders(self, *numbers: str) -> dict[str, str]:
            found = await super().number_holders(*numbers)
            await asyncio.sleep(self.seconds)
            return found

    async def scenario() -> None:
        site, store = Seller(), SlowRead()
        async with managed(site, store) as manager:
            store.seconds = 5.0
            await add(manager, "ann", 1, "true")
            await manager.reload_from_db()
            assert manager.number_holders == {NUMBER: "ann"}, "it was let in while the database was read"
            await add(manager, "bob", 2, "junk")
            reading = asyncio.create_task(manager.reload_from_db())
            await asyncio.sleep(1)
            await manager.free_number(NUMBER, caller=ANN)
            await reading
            assert not manager.number_holders
            assert how(manager, "bob") == (AccountState.PARKED, "login_expired"), "it may try"
        assert site.most == 1

    on_virtual_time(scenario())


def test_f8_a_shop_that_another_program_gave_the_cookie_of_another_seller_holds_that_number() -> None:
    async def scenario() -> None:
        site, store = Seller(), MemoryStore()
        other = cookie_of(3)
        site.true_cookies.add(other)
        async with managed(site, store) as manager:
            await add(manager, "ann", 1, "true")
            await asyncio.sleep(5)
            await add(manager, "bob", 2, "also")
            store._accounts["ann"] = store._accounts["ann"].evolve(cookie=other, unb=unb_of(3))
            await manager.reload_from_db()
            await asyncio.sleep(5)
            assert how(manager, "ann") == RUNNING
            assert how(manager, "bob") == RUNNING, "the number that it left is free"
            assert manager.number_holders == await store.number_holders() == {unb_of(3): "ann", NUMBER: "bob"}

    on_virtual_time(scenario())


async def test_f8_who_goes_in_the_moment_in_which_the_number_is_free_just_goes() -> None:
    numbers = SellerNumbers(MemoryStore(), lambda _: None)
    await numbers.begin(NUMBER)
    waits = asyncio.create_task(numbers.begin(NUMBER))
    await asyncio.sleep(0)
    waits.cancel()
    numbers.end(NUMBER)
    with pytest.raises(asyncio.CancelledError):
        await waits
    assert not numbers.is_busy(NUMBER)
