"""The task of an account: its connection, its back-off, its park. Known defects are named by their number."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from shoal.accounts.account import Account, AccountState
from shoal.accounts.account_task import Link
from shoal.accounts.change_path import Caller
from shoal.accounts.cookie_manager import CookieManager
from shoal.errors import (
    AccountBeingDeleted,
    AccountExists,
    ActionRequired,
    DuplicateUnb,
    UnknownAccount,
)
from support.databases.memory_store import MemoryStore
from support.site.standins import ANN, HOURS, FakeSite, cookie_of, in_step, managing, until


class Crashing:
    """A site whose connections end as soon as they begin, until it is mended."""

    def __init__(self) -> None:
        self.site = FakeSite()
        self.site.behave = self._behave
        self.mended = False

    async def _behave(self, account: Account, link: Link) -> None:
        if not self.mended:
            raise RuntimeError("boom")
        link.running()
        await asyncio.Event().wait()


@asynccontextmanager
async def crashed(store: MemoryStore | None = None) -> AsyncIterator[tuple[Crashing, CookieManager]]:
    """A shop whose connection has ended and would connect by itself only hours later; the site is well again."""
    world = Crashing()
    async with managing(world.site, store, backoff=HOURS) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        await until(lambda: manager.observation("shop").state is AccountState.RETRYING)
        assert world.site.live == {"shop": 0}
        world.mended = True
        yield world, manager


async def test_a2_a3_saying_enabled_again_revives_an_ended_connection() -> None:
    async with crashed() as (world, manager):
        outcome = await manager.update_cookie_status("shop", True, caller=ANN)
        assert not outcome.changed
        await until(lambda: manager.observation("shop").state is AccountState.RUNNING)
        assert (world.site.live["shop"], world.site.ever["shop"]) == (1, 2)


async def test_a2_switching_off_and_on_an_ended_connection_starts_a_live_one() -> None:
    async with crashed() as (world, manager):
        await manager.update_cookie_status("shop", False, caller=ANN)
        await manager.update_cookie_status("shop", True, caller=ANN)
        await until(lambda: manager.observation("shop").state is AccountState.RUNNING)
        assert (world.site.live["shop"], world.site.ever["shop"]) == (1, 2)


async def test_f4_a_new_cookie_does_not_sit_out_the_back_off_of_the_old_one() -> None:
    async with crashed() as (world, manager):
        await manager.update_cookie("shop", cookie_of(1, secret="s2"), caller=ANN)
        await until(lambda: manager.observation("shop").state is AccountState.RUNNING)
        assert world.site.cookies[-1] == ("shop", cookie_of(1, secret="s2"))


async def test_f4_a_change_that_has_nothing_to_do_with_the_connection_leaves_the_back_off_alone() -> None:
    async with crashed() as (world, manager):
        await manager.update_settings("shop", {"remark": "r"}, caller=ANN)
        await manager.reload_from_db()
        for _ in range(10):
            await asyncio.sleep(0)
        assert (manager.observation("shop").state, world.site.ever["shop"]) == (AccountState.RETRYING, 1)


async def test_a3_a_crashed_connection_is_started_again_by_itself() -> None:
    site = FakeSite()
    crashes = 3

    async def behave(account: Account, link: Link) -> None:
        nonlocal crashes
        if crashes:
            crashes -= 1
            raise RuntimeError("boom")
        link.running()
        await asyncio.Event().wait()

    site.behave = behave
    async with managing(site) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        await until(lambda: manager.observation("shop").state is AccountState.RUNNING)
        assert site.ever["shop"] == 4
        assert manager.get_cookie_status("shop"), "a failure never edits a wish"


async def test_a4_a_new_cookie_on_a_disabled_account_connects_only_once_it_is_enabled() -> None:
    site = FakeSite()
    async with managing(site) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        await manager.update_cookie_status("shop", False, caller=ANN)
        await manager.update_cookie("shop", cookie_of(1, secret="new"), caller=ANN)
        await asyncio.sleep(0.05)
        assert site.ever["shop"] == 1
        await manager.update_cookie_status("shop", True, caller=ANN)
        assert site.cookies[-1] == ("shop", cookie_of(1, secret="new"))


async def test_a10_a12_flapping_ends_where_the_owner_wants_it_with_one_connection_at_most() -> None:
    site, store = FakeSite(), MemoryStore()
    site.farewell_seconds = 0.05
    async with managing(site, store) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        quick = Caller(actor="user:ann", wait_seconds=0)
        flaps = [manager.update_cookie_status("shop", bool(turn % 2), caller=quick) for turn in range(60)]
        await asyncio.gather(*flaps)
        await until(lambda: manager.observation("shop").state is AccountState.RUNNING)
        assert site.live["shop"] == 1
        assert site.most_at_once["shop"] == 1
        await in_step(store, manager)


async def test_a12_a_slow_farewell_is_reported_as_stopping_and_never_doubled() -> None:
    site = FakeSite()
    async with managing(site, stop_wait_seconds=0.05) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        site.farewell_seconds = 0.4
        outcome = await manager.update_cookie_status("shop", False, caller=ANN)
        assert outcome.observation.state is AccountState.STOPPING
        outcome = await manager.update_cookie_status("shop", True, caller=ANN)
        await until(lambda: manager.observation("shop").state is AccountState.RUNNING)
        assert site.most_at_once["shop"] == 1
        site.farewell_seconds = 0.0


async def test_a11_add_remove_add_at_once_never_makes_two_connections() -> None:
    site, store = FakeSite(), MemoryStore()
    async with managing(site, store) as manager:

        async def add() -> None:
            with contextlib.suppress(AccountExists, AccountBeingDeleted, DuplicateUnb):
                await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)

        async def remove() -> None:
            with contextlib.suppress(UnknownAccount):
                await manager.remove_cookie("shop", caller=ANN)

        await asyncio.gather(*(step() for _ in range(20) for step in (add, remove, add)))
        await until(lambda: site.live["shop"] == ("shop" in manager.accounts))
        assert site.most_at_once["shop"] == 1
        await in_step(store, manager)


async def test_a_parked_account_stays_parked_until_its_owner_acts() -> None:
    site = FakeSite()

    async def refuse(account: Account, link: Link) -> None:
        raise ActionRequired("risk_control", action_url="https://site.example/verify")

    site.behave = refuse
    async with managing(site) as manager:
        outcome = await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        assert outcome.observation.state is AccountState.PARKED
        assert outcome.observation.action_url == "https://site.example/verify"
        site.behave = None
        again = await manager.update_cookie_status("shop", True, caller=ANN)
        assert again.observation.state is AccountState.PARKED
        batch = {"shop": False}
        await manager.batch_update_cookie_status(batch, caller=ANN)
        await manager.batch_update_cookie_status({"shop": True}, caller=ANN)
        await until(lambda: manager.observation("shop").state is AccountState.PARKED)
        assert site.ever["shop"] == 1
        outcome = await manager.resume("shop", caller=ANN)
        assert outcome.observation.state is AccountState.RUNNING


async def test_off_and_on_by_a_person_unparks() -> None:
    site = FakeSite()

    async def refuse(account: Account, link: Link) -> None:
        raise ActionRequired("login_expired")

    site.behave = refuse
    async with managing(site) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        site.behave = None
        await manager.update_cookie_status("shop", False, caller=ANN)
        outcome = await manager.update_cookie_status("shop", True, caller=ANN)
        assert outcome.observation.state is AccountState.RUNNING


async def test_a_park_record_survives_a_restart() -> None:
    site, store = FakeSite(), MemoryStore()

    async def refuse(account: Account, link: Link) -> None:
        raise ActionRequired("login_expired")

    site.behave = refuse
    async with managing(site, store) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
    async with managing(site, store) as manager:
        await until(lambda: manager.observation("shop").state is AccountState.PARKED)
        assert manager.observation("shop").reason == "login_expired"
        assert site.ever["shop"] == 1


@pytest.mark.parametrize(("held", "named"), [(False, []), (True, ["shop"])])
async def test_a_close_names_the_connections_that_did_not_end_in_time(held: bool, named: list[str]) -> None:
    site = FakeSite()
    with capture_logs() as said:
        async with managing(site, stop_wait_seconds=0.2 if held else 60.0) as manager:
            await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
            await until(lambda: manager.observation("shop").state is AccountState.RUNNING)
            released = site.hold_farewells() if held else None
        if released is not None:
            released.set()
            await until(lambda: site.live == {"shop": 0})
    late = [entry["account"] for entry in said if entry["event"] == "connection did not end in time"]
    assert late == named
