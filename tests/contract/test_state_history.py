"""The history of states: moves in order, pruned in small steps, stored with what was observed."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, func, select, text, update

from shoal.accounts.account import AccountState, Observation, StateMove
from shoal.accounts.store import AccountStore
from shoal.errors import StoreError
from shoal.storage import history_rows
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.history_tables import state_moves
from support.databases.store_steps import (
    an_account,
    committed,
    created,
    creation,
    deletion,
)
from support.site.standins import ANN, FakeSite, cookie_of, managing, until_told

RUNNING = Observation(state=AccountState.RUNNING)


def a_move(state: AccountState, at_ms: int, account_id: str = "shop", reason: str = "") -> StateMove:
    return StateMove(account_id=account_id, state=state, reason=reason, at_ms=at_ms)


async def test_moves_are_read_in_the_order_in_which_they_were_made(store: AccountStore) -> None:
    await created(store, an_account(), an_account("other"))
    moves = [
        a_move(AccountState.STARTING, 10),
        a_move(AccountState.RUNNING, 20),
        a_move(AccountState.RETRYING, 30, reason="connection_ended"),
        a_move(AccountState.RUNNING, 25),  # the clock was put back
    ]
    await store.observe({"shop": RUNNING}, [*moves[:2], a_move(AccountState.PARKED, 15, "other", "no_cookie")])
    await store.observe({}, moves[2:])
    assert await store.timeline("shop") == moves
    assert await store.timeline("other") == [a_move(AccountState.PARKED, 15, "other", "no_cookie")]
    assert (await store.load()).observations == {"shop": RUNNING}
    assert await store.timeline("nobody") == []


async def test_a_timeline_begins_with_the_state_at_its_beginning(store: AccountStore) -> None:
    await created(store, an_account())
    moves = [a_move(state, at) for at, state in enumerate([AccountState.STARTING, AccountState.RUNNING] * 3)]
    await store.observe({}, moves)
    assert await store.timeline("shop", since_ms=3) == moves[2:]
    assert await store.timeline("shop", since_ms=0) == moves
    assert await store.timeline("shop", since_ms=1_000) == moves[-1:]
    assert await store.timeline("shop", limit=2) == moves[-2:]
    assert await store.timeline("shop", since_ms=3, limit=100) == moves[2:]
    assert await store.timeline("shop", limit=0) == []


async def test_the_same_move_again_is_no_move(store: AccountStore) -> None:
    """A caller who does not know what became of his call repeats it."""
    await created(store, an_account())
    moves = [a_move(AccountState.STARTING, 10), a_move(AccountState.RUNNING, 10), a_move(AccountState.RETRYING, 11)]
    await store.observe({"shop": RUNNING}, moves)
    await store.observe({"shop": RUNNING}, moves)
    assert await store.timeline("shop") == moves


async def test_moves_of_accounts_that_do_not_exist_are_left_out(store: AccountStore) -> None:
    (account,) = await created(store, an_account())
    await store.observe({}, [a_move(AccountState.RUNNING, 1), a_move(AccountState.RUNNING, 1, "nobody")])
    assert await store.timeline("nobody") == []
    await committed(store, deletion(account))
    await store.observe({"shop": RUNNING}, [a_move(AccountState.STOPPED, 2)])
    await store.purge("shop")
    assert await store.timeline("shop") == []
    await committed(store, creation(an_account()))
    assert await store.timeline("shop") == [], "a new account has a history of its own"


async def test_of_old_moves_the_last_of_each_account_stays(store: AccountStore) -> None:
    await created(store, an_account("quiet"), an_account("busy"))
    quiet = a_move(AccountState.RUNNING, 5, "quiet")
    busy = [a_move(AccountState.STARTING if at % 2 else AccountState.RUNNING, at, "busy") for at in range(20)]
    await store.observe({}, [quiet, *busy])
    assert await prune_moves(store, 10) == 9
    assert await prune_moves(store, 10) == 0
    assert await store.timeline("quiet") == [quiet]
    assert await store.timeline("busy") == busy[9:]
    assert await prune_moves(store, 1_000) == 10
    assert await store.timeline("busy", since_ms=500) == busy[-1:]


async def prune_moves(store: AccountStore, before_ms: int) -> int:
    return (await store.prune(journal_before_ms=0, ops_before_ms=0, moves_before_ms=before_ms)).moves


async def test_old_moves_and_ops_go_in_small_steps(manager: DBManager, database: Database) -> None:
    await created(manager, an_account())
    states = [AccountState.STARTING, AccountState.RUNNING]
    await manager.observe({}, [a_move(states[at % 2], at) for at in range(10)])
    steps = [await database.write(lambda connection: history_rows.prune_moves(connection, 100, rows=4)) for _ in "1234"]
    assert steps == [4, 4, 1, 0]
    assert [move.at_ms for move in await manager.timeline("shop")] == [9]


async def test_observations_and_moves_are_stored_together_or_not_at_all(
    manager: DBManager, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await created(manager, an_account())

    def failing(connection: Connection, moves: object) -> None:
        connection.execute(text("SELECT * FROM no_such_table"))

    with monkeypatch.context() as patch:
        patch.setattr("shoal.storage.db_manager.write_moves", failing)
        with pytest.raises(StoreError):
            await manager.observe({"shop": RUNNING}, [a_move(AccountState.RUNNING, 1)])
    assert (await manager.load()).observations == {}
    assert await database.read(lambda connection: connection.scalar(select(func.count()).select_from(state_moves))) == 0
    await manager.observe({"shop": RUNNING}, [a_move(AccountState.RUNNING, 1)])
    assert (await manager.load()).observations == {"shop": RUNNING}
    assert len(await manager.timeline("shop")) == 1


async def test_what_a_kill_loses_of_gathered_observations_is_observed_anew(
    manager: DBManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both switches are durable, and nothing of what their tasks did then is stored: it is gathered for a moment."""
    monkeypatch.setattr("shoal.accounts.observation_writer.GATHER_SECONDS", 0.0)

    async def lose(*_: object) -> None:
        """Store nothing, as a process that was killed."""

    async def stored() -> dict[str, AccountState]:
        return {name: seen.state for name, seen in (await manager.load()).observations.items()}

    async with managing(FakeSite(), manager) as killed:
        for number, name in enumerate(("on", "off")):
            await killed.add_cookie(name, cookie_of(number), owner_id=1, caller=ANN)
        await killed.update_cookie_status("on", False, caller=ANN)
        before = {"on": AccountState.STOPPED, "off": AccountState.RUNNING}
        await until_told(stored, before)
        with monkeypatch.context() as patch:
            patch.setattr(manager, "observe", lose)
            for name in before:
                await killed.update_cookie_status(name, name == "on", caller=ANN)
            await killed.close()
        assert await stored() == before
    async with managing(FakeSite(), manager) as restarted:
        await until_told(stored, {"on": AccountState.RUNNING, "off": AccountState.STOPPED})
        assert {name: restarted.observation(name).state for name in before} == await stored()
        histories = {name: [move.state for move in await manager.timeline(name)] for name in before}
    assert histories["off"][-2:] == [AccountState.RUNNING, AccountState.STOPPED]
    assert histories["on"][-3:] == [AccountState.STOPPED, AccountState.STARTING, AccountState.RUNNING]


async def test_an_unknown_state_in_the_history_is_named(manager: DBManager, database: Database) -> None:
    await created(manager, an_account())
    await manager.observe({}, [a_move(AccountState.RUNNING, 1)])
    await database.write(lambda connection: connection.execute(update(state_moves).values(state="asleep")).rowcount)
    with pytest.raises(StoreError, match="shop"):
        await manager.timeline("shop")
