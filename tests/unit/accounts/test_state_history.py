"""The manager leaves a line of states behind for every account, across restarts, crashes and a store that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select
from structlog.testing import capture_logs

from shoal.accounts import state_history
from shoal.accounts.account import AccountState, Observation, StateMove, StopReason
from shoal.accounts.account_task import Link
from shoal.accounts.state_history import StateHistory, intervals, uptime
from shoal.clock import now_ms
from shoal.errors import ActionRequired, CommitUnknown, NotApplied
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager, commit, open_vault
from shoal.storage.history_tables import state_moves
from support.databases.memory_store import MemoryStore
from support.databases.store_steps import an_account, creation
from support.site.standins import ANN, FakeSite, cookie_of, managing, until, until_told

S = AccountState
LIFE = [(S.STARTING, ""), (S.RUNNING, "")]
GOODBYE = (S.STOPPED, StopReason.SERVER_STOPPED)


async def line(store: MemoryStore, account_id: str = "shop") -> list[tuple[AccountState, str]]:
    return [(move.state, move.reason) for move in await store.timeline(account_id)]


class FailingStore(MemoryStore):
    """Loses the observations of as many calls as it is told to; with ``applied`` it stores them and says unknown."""

    def __init__(self) -> None:
        super().__init__()
        self.failures = 0
        self.applied = False
        self.calls = 0

    async def observe(self, observations: Mapping[str, Observation], moves: Sequence[StateMove] = ()) -> None:
        self.calls += 1
        if not self.failures:
            await super().observe(observations, moves)
            return
        self.failures -= 1
        if self.applied:
            await super().observe(observations, moves)
            raise CommitUnknown("the database failed while it committed")
        raise NotApplied("database is locked")


async def test_a_life_is_a_line_of_states() -> None:
    store = MemoryStore()
    async with managing(FakeSite(), store) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        await manager.update_cookie_status("shop", False, caller=ANN)
        await manager.update_cookie_status("shop", True, caller=ANN)
    assert await line(store) == [*LIFE, (S.STOPPING, ""), (S.STOPPED, ""), *LIFE, GOODBYE]
    moments = [move.at_ms for move in await store.timeline("shop")]
    assert moments == sorted(set(moments)), "two moves of one moment keep their order"


async def test_a_change_that_moves_no_state_leaves_no_move() -> None:
    store = MemoryStore()
    async with managing(FakeSite(), store) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        await manager.update_settings("shop", {"remark": "x"}, caller=ANN)
    assert await line(store) == [*LIFE, GOODBYE]


async def test_a_restart_is_seen_as_a_gap_in_which_the_account_was_wanted() -> None:
    store = MemoryStore()
    async with managing(FakeSite(), store) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        await manager.add_cookie("off", cookie_of(2), owner_id=1, caller=ANN)
        await manager.update_cookie_status("off", False, caller=ANN)
    off = await line(store, "off")
    stored = (await store.load()).observations
    assert [(stored[name].state, stored[name].reason) for name in ("shop", "off")] == [GOODBYE, (S.STOPPED, "")]
    await asyncio.sleep(0.05)
    async with managing(FakeSite(), store) as manager:
        await until(lambda: manager.observation("shop").state is S.RUNNING)
    assert await line(store) == [*LIFE, GOODBYE, *LIFE, GOODBYE]
    gap = intervals(await store.timeline("shop"), now_ms())[2]
    assert gap.wanted
    assert gap.to_ms - gap.from_ms >= 50
    assert await line(store, "off") == off, "an account that is off does not notice a restart"


async def test_a_parked_account_stays_parked_over_a_restart_without_a_move() -> None:
    site, store = FakeSite(), MemoryStore()

    async def expired(*_: object) -> None:
        raise ActionRequired("login_expired")

    site.behave = expired
    for _ in range(2):
        async with managing(site, store) as manager:
            if not manager.accounts:
                await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
            await until(lambda manager=manager: manager.observation("shop").state is S.PARKED)  # type: ignore[misc]
    assert await line(store) == [(S.STARTING, ""), (S.PARKED, "login_expired")]
    assert uptime(await store.timeline("shop"), since_ms=0, now_ms=now_ms() + 1) == 0.0


async def test_after_a_crash_the_account_was_down_from_its_last_sign_of_life_on() -> None:
    store = MemoryStore()
    async with managing(FakeSite(), store) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
    crashed = MemoryStore()
    crashed._accounts, crashed._journal, crashed._newest_rev = store._accounts, store._journal, store._newest_rev
    moves = [StateMove(account_id="shop", state=S.RUNNING, at_ms=1_000)]
    seen = Observation(state=S.RUNNING, since_ms=1_000, last_heartbeat_at_ms=5_000, last_message_at_ms=4_000)
    await crashed.observe({"shop": seen}, moves)
    async with managing(FakeSite(), crashed) as manager:
        await until(lambda: manager.observation("shop").state is S.RUNNING)
    timeline = await crashed.timeline("shop")
    assert [(move.state, move.reason) for move in timeline] == [
        (S.RUNNING, ""), (S.STOPPED, StopReason.SERVER_DOWN), *LIFE, GOODBYE,
    ]  # fmt: skip
    assert timeline[1].at_ms == 5_001
    assert uptime(timeline, since_ms=0, now_ms=now_ms()) == pytest.approx(0, abs=0.001)


async def test_an_account_that_was_switched_off_when_the_server_crashed_was_not_wanted() -> None:
    history = StateHistory()
    history.begin({"shop": Observation(state=S.STOPPING, since_ms=1_000)}, {"shop": False})
    assert [(move.state, move.reason) for move in history.take()["shop"]] == [(S.STOPPED, "")]


async def test_what_runs_is_stored_now_and_then_so_that_a_crash_knows_its_moment() -> None:
    site, store = FakeSite(), MemoryStore()
    async with managing(site, store, resync_seconds=0.05) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        link: Link = site.links["shop"]
        link.received()
        heard = manager.observation("shop").last_heartbeat_at_ms
        assert heard is not None
        assert manager.observation("shop").last_message_at_ms is None, "a heartbeat is no message"
        await until(lambda: store._observations.get("shop", Observation()).last_heartbeat_at_ms == heard)


async def test_what_an_earlier_connection_still_hears_is_no_sign_of_life_of_the_shop() -> None:
    site = FakeSite()
    async with managing(site, MemoryStore()) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        earlier: Link = site.links["shop"]
        await manager.update_cookie_status("shop", False, caller=ANN)
        await until(lambda: manager.observation("shop").state is S.STOPPED)
        before = manager.observation("shop")
        earlier.received(message=True)
        assert manager.observation("shop") == before


@pytest.mark.slow
async def test_a_store_that_fails_delays_moves_and_loses_none() -> None:
    store = FailingStore()
    store.failures = 1
    async with managing(FakeSite(), store) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        await manager.update_cookie_status("shop", False, caller=ANN)
        await until(lambda: store.calls >= 2)
    assert await line(store) == [*LIFE, (S.STOPPING, ""), (S.STOPPED, "")]


@pytest.mark.slow
async def test_moves_whose_fate_is_unknown_are_stored_once() -> None:
    store = FailingStore()
    store.failures, store.applied = 1, True
    async with managing(FakeSite(), store) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        await until(lambda: store.calls >= 2)
    assert await line(store) == [*LIFE, GOODBYE]


async def test_a_store_that_fails_to_the_end_does_not_keep_the_server_from_closing() -> None:
    store = FailingStore()
    store.failures = 1_000
    async with managing(FakeSite(), store) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
    assert await line(store) == []


async def test_a_deleted_account_leaves_no_moves_to_its_successor() -> None:
    site, store = FakeSite(), MemoryStore()

    async def never_ready(*_: object) -> None:
        await asyncio.Event().wait()

    site.behave = never_ready
    async with managing(site, store, start_wait_seconds=0) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        await until(lambda: site.ever == {"shop": 1})
        await manager.remove_cookie("shop", caller=ANN)
        await until(lambda: not manager._task_manager.is_purging("shop"))
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        await until(lambda: site.ever == {"shop": 2})
    assert await line(store) == [(S.STARTING, ""), GOODBYE]


def test_only_so_many_moves_of_an_account_wait_and_the_loss_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_history, "MOST_WAITING_EACH", 10)
    history = StateHistory()
    states = [S.STARTING, S.RUNNING]
    history.saw("quiet", Observation(state=S.RUNNING), 1)
    with capture_logs() as logs:
        for at in range(25):
            history.saw("shop", Observation(state=states[at % 2]), at * 2_000)
        taken = history.take()
        history.saw("shop", Observation(state=S.RETRYING), 90_000)
        for moves in taken.values():
            history.put_back(moves)
    kept = {name: [move.at_ms for move in moves] for name, moves in history.take().items()}
    assert kept == {"quiet": [1], "shop": [*range(32_000, 50_000, 2_000), 90_000]}
    assert [(entry["log_level"], entry["account"]) for entry in logs] == [("warning", "shop")]
    history.stored()
    with capture_logs() as logs:
        history.put_back(taken["shop"] * 2)
    assert len(logs) == 1, "after a success the next loss is news again"


def test_a_clock_that_was_put_back_is_believed_and_a_tie_is_not() -> None:
    history = StateHistory()
    for state, at in ((S.STARTING, 10_000), (S.RUNNING, 10_000), (S.RETRYING, 9_999), (S.STARTING, 2_000)):
        history.saw("shop", Observation(state=state), at)
    assert [move.at_ms for move in history.take()["shop"]] == [10_000, 10_001, 10_002, 2_000]


def test_a_forgotten_account_has_no_moves_waiting() -> None:
    history = StateHistory()
    for name in ("one", "two"):
        history.saw(name, Observation(state=S.RUNNING), 1)
    history.forget("one")
    assert list(history.take()) == ["two"]


@pytest.mark.slow
async def test_after_a_kill_the_history_of_six_thousand_accounts_says_that_the_server_was_down(tmp_path: Path) -> None:
    """Each start makes two moves of each account at once, and the close one more."""
    names = [f"shop{number}" for number in range(6_000)]
    site = FakeSite()

    async def never_ready(*_: object) -> None:
        await asyncio.Event().wait()

    site.behave = never_ready
    async with Database(tmp_path) as database:
        store = DBManager(database, await open_vault(database, tmp_path / "secret.key"))
        await commit(store, [creation(an_account(name)) for name in names])
        await store.observe({name: Observation(state=S.RUNNING, since_ms=1_000) for name in names})

        def recorded(connection: Connection) -> tuple[int, ...]:
            stopped, up = state_moves.c.state == "stopped", func.count(state_moves.c.account_id.distinct())
            down = (select(func.count()).where(stopped, state_moves.c.reason == why) for why in StopReason)
            return tuple(connection.scalar(query) or 0 for query in (*down, select(up).where(~stopped)))

        assert list(StopReason) == [StopReason.SERVER_STOPPED, StopReason.SERVER_DOWN]
        with capture_logs() as logs:
            async with managing(site, store):
                await until_told(lambda: database.read(recorded), (0, len(names), len(names)))
        assert [entry for entry in logs if entry["log_level"] not in {"debug", "info"}] == []
        assert await database.read(recorded) == (len(names),) * 3
