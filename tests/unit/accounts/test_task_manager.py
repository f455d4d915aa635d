"""What is observed of accounts is stored, also while the server closes or the store refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from shoal.accounts.account import Account, AccountState, Observation, StateMove
from shoal.accounts.account_task import Link
from shoal.accounts.change_path import Caller
from shoal.accounts.cookie_manager import CookieManager
from shoal.errors import (
    ActionRequired,
    NotApplied,
    TemporaryFailure,
)
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager, open_vault
from support.databases.memory_store import MemoryStore
from support.site.standins import ANN, FakeSite, cookie_of, managing, quick_settings, until


async def test_a_purge_that_ends_during_the_close_disturbs_nothing() -> None:
    site, store = FakeSite(), MemoryStore()
    site.farewell_seconds = 0.05
    async with managing(site, store) as manager:
        for number in range(3):
            await manager.add_cookie(f"shop{number}", cookie_of(number), owner_id=1, caller=ANN)
        await manager.remove_cookie("shop1", caller=Caller(actor="ann", wait_seconds=0))
    assert site.live == {"shop0": 0, "shop1": 0, "shop2": 0}


class HesitantStore(MemoryStore):
    """Its first write of a parked account is under way when the server closes, and comes to nothing."""

    def __init__(self, refusals: int = 0) -> None:
        super().__init__()
        self.under_way = asyncio.Event()
        self.hesitate = True
        self.refusals = refusals

    async def observe(self, observations: Mapping[str, Observation], moves: Sequence[StateMove] = ()) -> None:
        if self.hesitate and any(seen.parked_for for seen in observations.values()):
            self.hesitate = False
            self.under_way.set()
            await asyncio.Event().wait()
        if self.under_way.is_set() and self.refusals:
            self.refusals -= 1
            raise NotApplied("database is locked")
        await super().observe(observations, moves)


@pytest.mark.parametrize("refusals", [0, 1])
async def test_a_park_whose_write_was_under_way_at_the_close_is_not_lost(refusals: int) -> None:
    site, store = FakeSite(), HesitantStore(refusals)

    async def refuse(account: Account, link: Link) -> None:
        raise ActionRequired("risk_control")

    site.behave = refuse
    async with managing(site, store) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        await store.under_way.wait()
    async with managing(site, store) as manager:
        await until(lambda: manager.observation("shop").state is AccountState.PARKED)
    assert site.ever["shop"] == 1, "a risk-controlled login must not be tried again by itself"


class CountingStore(MemoryStore):
    """Keeps what each write of observations held."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[Mapping[str, Observation]] = []

    async def observe(self, observations: Mapping[str, Observation], moves: Sequence[StateMove] = ()) -> None:
        self.writes.append(observations)
        await super().observe(observations, moves)


@pytest.mark.parametrize("stopping", [False, True])
async def test_observations_are_gathered_and_a_park_record_is_stored_at_once(
    monkeypatch: pytest.MonkeyPatch, stopping: bool
) -> None:
    monkeypatch.setattr("shoal.accounts.observation_writer.GATHER_SECONDS", 3600.0)
    site, store, disabled = FakeSite(), CountingStore(), asyncio.Event()

    async def behave(account: Account, link: Link) -> None:
        link.running()
        if account.id != "parked":
            await asyncio.Event().wait()
        try:
            await (disabled.wait() if stopping else asyncio.sleep(0))
        finally:
            raise ActionRequired("risk_control")

    site.behave = behave
    async with managing(site, store) as manager:
        for number in range(5):
            await manager.add_cookie(f"shop{number}", cookie_of(number), owner_id=1, caller=ANN)
            await manager.update_cookie_status(f"shop{number}", False, caller=ANN)
        assert store.writes == []
        await manager.add_cookie("parked", cookie_of(9), owner_id=1, caller=ANN)
        if stopping:
            await manager.update_cookie_status("parked", False, caller=ANN)
        await until(lambda: store.writes != [])
        (written,) = store.writes
        assert written["parked"].parked_for is not None
        assert set(written) == {*(f"shop{number}" for number in range(5)), "parked"}


async def test_what_the_site_says_is_kept_whatever_characters_it_has(tmp_path: Path) -> None:
    """Databases refuse half a surrogate pair, and NUL: a park that could not be stored would be tried again."""
    site = FakeSite()

    async def refuse(account: Account, link: Link) -> None:
        if account.id == "shop":
            raise ActionRequired("risk_control", action_url="https://site.example/verify?\ud800\x00")
        raise TemporaryFailure("half \ud800 and \x00 " + "x" * 10_000)

    site.behave = refuse
    for _ in range(2):
        async with Database(tmp_path) as database:
            store = DBManager(database, await open_vault(database, tmp_path / "secret.key"))
            async with managing(site, store) as manager:
                if not manager.accounts:
                    await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
                    await manager.add_cookie("other", cookie_of(2), owner_id=1, caller=ANN)
                await until(lambda: manager.observation("shop").state is AccountState.PARKED)
                assert manager.observation("shop").action_url == "https://site.example/verify?\ufffd\ufffd"
            seen = (await store.load()).observations
            assert (seen["shop"].state, seen["shop"].parked_reason) == (AccountState.PARKED, "risk_control")
            assert seen["other"].state is AccountState.STOPPED
    assert site.ever["shop"] == 1


class FastidiousStore(MemoryStore):
    """Cannot store what is observed of one account, and says so as no store should."""

    async def observe(self, observations: Mapping[str, Observation], moves: Sequence[StateMove] = ()) -> None:
        if "bad" in observations:
            raise ValueError("no such character")
        await super().observe(observations, moves)

    def seen(self, account_id: str) -> AccountState | None:
        found = self._observations.get(account_id)
        return found.state if found else None


async def test_one_observation_that_cannot_be_stored_keeps_no_other_from_it() -> None:
    site, store = FakeSite(), FastidiousStore()
    async with managing(site, store) as manager:
        for number, name in enumerate(("bad", "good")):
            await manager.add_cookie(name, cookie_of(number), owner_id=1, caller=ANN)
            await until(lambda: manager.observation("bad").state is AccountState.RUNNING)
        await manager.update_cookie_status("bad", False, caller=ANN)
        await manager.update_cookie_status("good", False, caller=ANN)
        await until(lambda: store.seen("good") is AccountState.STOPPED)
        await asyncio.gather(*(manager.update_cookie_status(name, True, caller=ANN) for name in ("good", "bad")))
    assert store.seen("good") is AccountState.STOPPED
    assert [move.reason for move in await store.timeline("good")][-1] == "server_stopped"


async def test_a_change_that_moves_no_state_stores_nothing_of_its_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shoal.accounts.observation_writer.GATHER_SECONDS", 0.0)
    site, store = FakeSite(), CountingStore()

    def stored(name: str) -> list[AccountState]:
        return [written[name].state for written in store.writes if name in written]

    async with managing(site, store) as manager:
        for number, name in enumerate(("off", "on", "last")):
            await manager.add_cookie(name, cookie_of(number), owner_id=1, caller=ANN)
        await manager.update_cookie_status("off", False, caller=ANN)
        await until(lambda: stored("off")[-1:] == [AccountState.STOPPED])
        await until(lambda: stored("on")[-1:] == [AccountState.RUNNING])
        before = len(store.writes)
        for turn in range(5):
            for name in ("off", "on"):
                await manager.update_auto_confirm_setting(name, turn % 2 == 0, caller=ANN)
        await until(lambda: manager.observation("off").observed_generation == 7)
        await manager.update_cookie_status("last", False, caller=ANN)
        await until(lambda: stored("last")[-1:] == [AccountState.STOPPED])
        assert {name for written in store.writes[before:] for name in written} == {"last"}


async def test_a_switch_is_no_line_of_the_log_and_trouble_is_told_with_its_end() -> None:
    site, fails = FakeSite(), asyncio.Event()

    async def behave(account: Account, link: Link) -> None:
        if fails.is_set():
            raise TemporaryFailure("the site is away")
        link.running()
        await asyncio.Event().wait()

    site.behave = behave

    def told(logs: Sequence[Mapping[str, object]]) -> list[object]:
        return [line.get("state", line["event"]) for line in logs if line["log_level"] != "debug"]

    async with managing(site) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        for enabled in (False, True):
            with capture_logs() as logs:
                await manager.update_cookie_status("shop", enabled, caller=ANN)
            assert told(logs) == []
        await manager.update_cookie_status("shop", False, caller=ANN)
        fails.set()
        with capture_logs() as logs:
            await manager.update_cookie_status("shop", True, caller=ANN)
            await until(lambda: "retrying" in told(logs))
            fails.clear()
            await until(lambda: manager.observation("shop").state is AccountState.RUNNING)
        assert told(logs)[-1] == "running"
        assert set(told(logs)[:-1]) == {"retrying"}


async def test_many_accounts_begin_to_start_in_slices_with_turns_of_the_loop_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shoal.accounts.task_manager.STARTED_AT_ONCE", 10)
    site, store = FakeSite(), MemoryStore()
    async with managing(site, store) as manager:
        for number in range(45):
            await manager.add_cookie(f"shop{number}", cookie_of(number), owner_id=1, caller=ANN)
    site.ever.clear()
    begun: set[int] = set()

    async def look() -> None:
        while True:
            begun.add(len(site.ever))
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    async with managing(site, store, starts_per_second=1000.0):
        await until(lambda: len(site.ever) == 45)
    looking.cancel()
    assert len(begun) > 4
    assert site.ever == {f"shop{number}": 1 for number in range(45)}


async def test_an_account_that_is_added_before_the_start_is_started_with_the_others() -> None:
    """The server takes changes while it settles what the last run left."""
    site, store = FakeSite(), MemoryStore()
    async with managing(site, store) as manager:
        await manager.add_cookie("old", cookie_of(1), owner_id=1, caller=ANN)
    manager = CookieManager(store, site.connect, quick_settings())
    await manager.load()
    await manager.add_cookie("fresh", cookie_of(2), owner_id=1, caller=Caller(actor="ann", wait_seconds=0))
    assert site.live == {"old": 0}
    await manager.start()
    try:
        await until(lambda: site.live == {"old": 1, "fresh": 1})
    finally:
        await manager.close()
