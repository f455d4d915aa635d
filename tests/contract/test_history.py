"""What every store promises of the past: moves of states, and a journal that folds whatever was pruned."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, Engine, event, insert, select, text, update

from shoal.accounts.account import Account
from shoal.accounts.item_setting import ItemSetting
from shoal.accounts.journal import JournalEntry, fold, projection
from shoal.accounts.store import AccountStore, Op, Pruned
from shoal.errors import NotApplied, StoreError
from shoal.rules.rule import Part, Rule
from shoal.storage import history_rows
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager, open_vault
from shoal.storage.history_tables import journal, ops
from shoal.storage.vault import Vault
from support.databases.store_steps import (
    Place,
    an_account,
    baselines_of,
    committed,
    created,
    creation,
    deletion,
    edit,
    living,
    stored,
    unchanged,
)


def an_op(at_ms: int) -> Op:
    return Op(op_id=f"op-{at_ms}", actor="user:ann", at_ms=at_ms)


async def assert_whole(store: AccountStore) -> None:
    """The fold of what is left equals the rows, without a gap, whatever was pruned."""
    contents = await store.load()
    entries, baselines = await store.journal(), await baselines_of(store)
    folded = fold(entries, baselines.values())
    assert folded == {name: projection(account) for name, account in contents.accounts.items()}
    oldest = await store.oldest_rev()
    assert oldest == max((baseline.rev for baseline in baselines.values()), default=0)
    assert all(entry.rev > oldest for entry in entries)
    assert contents.newest_rev == (entries[-1].rev if entries else oldest)
    for name, tombstone in contents.tombstones.items():
        own = [entry.generation for entry in entries if entry.account_id == name]
        assert tombstone.generation == (own[-1] if own else baselines[name].generation)


async def prune(store: AccountStore, before_ms: int) -> Pruned:
    return await store.prune(journal_before_ms=before_ms, ops_before_ms=before_ms, moves_before_ms=before_ms)


async def a_long_story(store: AccountStore, steps: int = 40) -> int:
    """Creations, edits, deletions, purges and re-creations at the moments 1, 2, 3, …; returns the last one."""
    rng = Random(11)
    names = ["one", "two", "three", "春天"]
    at = 0
    for at in range(1, steps + 1):
        name = rng.choice(names)
        account = await stored(store, name)
        if account is None:
            if name in (await store.load()).tombstones:
                await store.purge(name)
            await committed(store, creation(an_account(name), an_op(at)))
        elif rng.random() < 0.15:
            await committed(store, deletion(account, an_op(at)))
        else:
            await committed(store, edit(account, an_op(at), **_some_wish(account, rng)))
    return at


def _some_wish(account: Account, rng: Random) -> dict[str, Any]:
    number = rng.randrange(1_000_000)
    rule = Rule.simple(id=f"r{number}", keyword=f"k{number}", reply="好", position=len(account.keywords))
    edits: list[dict[str, Any]] = [
        {"remark": f"第{number}"},
        {"enabled": not account.enabled},
        {"debounce_seconds": number / 7},
        {"cookie": f"cookie2={number}", "cookie_version": account.cookie_version + 1},
        {"keywords": (*account.keywords[1:], rule)},
        {"keywords": (*(replace(row, parts=(Part(text="改"),), priority=number) for row in account.keywords), rule)},
        {"items": (ItemSetting(item_id=f"{number}", reply="x"), *account.items[:1])},
    ]
    return rng.choice(edits)


async def test_nothing_is_pruned_of_a_new_store(store: AccountStore) -> None:
    assert await prune(store, 2**50) == Pruned()
    assert (await baselines_of(store), await store.oldest_rev()) == ({}, 0)


async def test_the_fold_holds_wherever_the_journal_is_cut(store: AccountStore) -> None:
    last = await a_long_story(store)
    await assert_whole(store)
    every = await store.journal()
    for before in range(0, last + 3, 3):
        await prune(store, before)
        await assert_whole(store)
        assert await store.journal() == [entry for entry in every if entry.at_ms >= before]
        again = await prune(store, before)
        assert again == Pruned(), "a second pruning finds nothing to do"
    await prune(store, last + 1)
    assert await store.journal() == []
    await assert_whole(store)


async def test_everything_goes_on_after_everything_was_pruned(store: AccountStore) -> None:
    one, two = await created(store, an_account("one"), an_account("two"))
    await committed(store, deletion(two))
    await store.purge("two")
    newest = (await store.load()).newest_rev
    assert (await prune(store, 2**50)).entries == 3
    assert (await store.load()).newest_rev == newest
    (edited,) = await committed(store, edit(one, remark="later"))
    (again,) = await committed(store, creation(an_account("two")))
    assert (edited.generation, again.generation) == (2, 3)
    assert newest < edited.rev < again.rev
    await assert_whole(store)
    await prune(store, 2**50)
    await assert_whole(store)
    assert (await baselines_of(store))["two"].generation == 3


async def test_a_deleted_account_leaves_its_generation_and_nothing_of_its_wishes(store: AccountStore) -> None:
    (account,) = await created(store, an_account(remark="private"))
    await prune(store, 2**50)
    assert "private" in str((await baselines_of(store))["shop"])
    await committed(store, deletion(account))
    await store.purge("shop")
    await prune(store, 2**50)
    baseline = (await baselines_of(store))["shop"]
    assert (baseline.generation, baseline.deleted, baseline.projection) == (2, True, None)


async def test_no_baseline_knows_a_cookie(store: AccountStore) -> None:
    (account,) = await created(store, an_account(cookie="cookie2=canary"))
    await prune(store, 2**50)
    baseline = (await baselines_of(store))["shop"]
    assert "canary" not in str(baseline)
    assert account.fingerprint in str(baseline)


async def test_an_entry_that_is_not_old_holds_those_behind_it(store: AccountStore) -> None:
    """The journal stays one piece, whatever the clocks of those who wrote it said."""
    await committed(store, creation(an_account("one"), an_op(10)))
    await committed(store, creation(an_account("two"), an_op(900)))
    await committed(store, creation(an_account("three"), an_op(11)))
    assert (await prune(store, 100)).entries == 1
    assert [entry.account_id for entry in await store.journal()] == ["two", "three"]
    await assert_whole(store)


async def test_the_stream_is_complete_from_the_oldest_cursor_on(store: AccountStore) -> None:
    last = await a_long_story(store, 12)
    every = await store.journal()
    assert await store.oldest_rev() == 0
    await prune(store, last // 2)
    oldest = await store.oldest_rev()
    assert await store.journal(after_rev=oldest) == [entry for entry in every if entry.rev > oldest]
    assert oldest == max(entry.rev for entry in every if entry.at_ms < last // 2)


async def test_a_reader_between_two_prunings_folds_as_well(store: AccountStore) -> None:
    last = await a_long_story(store)
    entries = await store.journal()
    await prune(store, last // 2)
    contents = await store.load()
    folded = fold(entries, (await baselines_of(store)).values())
    assert folded == {name: projection(account) for name, account in contents.accounts.items()}


async def test_a_missing_entry_is_still_noticed_behind_a_baseline(store: AccountStore) -> None:
    (account,) = await created(store, an_account())
    await prune(store, 2**50)
    for number in range(2):
        await committed(store, edit(account, remark=str(number)))
        account = await living(store, "shop")
    entries, baselines = await store.journal(), (await baselines_of(store)).values()
    with pytest.raises(ValueError, match="generation gap"):
        fold(entries[1:], baselines)
    with pytest.raises(ValueError, match="generation gap"):
        fold(entries)


async def test_a_baseline_is_not_touched_by_folding_on_it(store: AccountStore) -> None:
    (account,) = await created(store, an_account(keywords=(Rule.simple(id="r1", keyword="k"),)))
    await prune(store, 2**50)
    await committed(store, edit(account, keywords=(), remark="x"))
    baselines = await baselines_of(store)
    before = str(baselines)
    fold(await store.journal(), baselines.values())
    assert str(baselines) == before


async def test_old_ops_are_forgotten_and_young_ones_kept(store: AccountStore) -> None:
    await committed(store, creation(an_account(), an_op(10)))
    await committed(store, unchanged(await living(store, "shop"), an_op(20)))
    await committed(store, edit(await living(store, "shop"), an_op(30), remark="x"))
    pruned = await store.prune(journal_before_ms=0, ops_before_ms=30, moves_before_ms=0)
    assert pruned == Pruned(ops=2)
    assert await store.op("op-10") is None
    assert await store.op("op-30") is not None


async def test_changes_go_on_while_the_store_is_pruned(store: AccountStore) -> None:
    await a_long_story(store)
    (account,) = await created(store, an_account("busy"))
    now = await living(store, "busy")

    async def work() -> None:
        nonlocal now
        for number in range(30):
            await committed(store, edit(now, remark=str(number)))
            now = await living(store, "busy")

    async def tidy() -> None:
        for _ in range(5):
            await prune(store, 2**50)

    await asyncio.gather(work(), tidy())
    assert (await living(store, "busy")).generation == account.generation + 30
    await assert_whole(store)


async def test_a_pruning_that_is_cut_short_leaves_a_journal_that_folds(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = await place.open_again()
    manager = DBManager(database, await open_vault(database, place.data_dir / "secret.key"))
    last = await a_long_story(manager)
    monkeypatch.setattr("shoal.storage.db_manager.prune_journal", _small_steps)
    left = len(await manager.journal())
    for steps in (1, 2, 3):
        monkeypatch.setattr(database, "write", _failing_after(database, steps))
        with pytest.raises(NotApplied):
            await prune(manager, last + 1)
        left -= 3 * steps
        assert len(await manager.journal()) == left
        await assert_whole(manager)
    await database.close()
    database = await place.open_again()
    manager = DBManager(database, await open_vault(database, place.data_dir / "secret.key"))
    await assert_whole(manager)
    assert (await prune(manager, last + 1)).entries == left
    await assert_whole(manager)


def _small_steps(connection: Connection, up_to_rev: int) -> int:
    return history_rows.prune_journal(connection, up_to_rev, rows=3)


def _failing_after(database: Database, steps: int) -> Callable[[Callable[[Connection], Any]], Any]:
    """A ``write`` whose power goes off after so many steps."""
    done = 0

    async def write(job: Callable[[Connection], Any]) -> Any:
        nonlocal done
        if done == steps:
            raise NotApplied("the power went off")
        done += 1
        return await Database.write(database, job)

    return write


async def test_a_step_takes_no_more_text_than_it_may(
    manager: DBManager, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    (account,) = await created(manager, an_account())
    for number in range(6):
        await committed(manager, edit(account, remark=f"{number}" * 400))
        account = await living(manager, "shop")
    monkeypatch.setattr(history_rows, "STEP_CHARACTERS", 1_500)
    newest = (await manager.load()).newest_rev
    taken = []
    while step := await database.write(lambda connection: history_rows.prune_journal(connection, newest)):
        taken.append(step)
        await assert_whole(manager)
    assert sum(taken) == 7
    assert len(taken) > 3


async def test_a_journal_that_does_not_fold_is_kept(manager: DBManager, database: Database) -> None:
    (account,) = await created(manager, an_account())
    await committed(manager, edit(account, remark="x"))
    await database.write(
        lambda connection: connection.execute(
            update(journal).where(journal.c.generation == 2).values(changes='{"remark": ["never", "x"]}')
        )
    )
    with pytest.raises(StoreError) as caught:
        await prune(manager, 2**50)
    assert caught.value.code == "journal_broken"
    assert len(await manager.journal()) == 2
    assert await baselines_of(manager) == {}


async def test_an_op_stays_while_its_idempotency_key_is_valid(manager: DBManager, database: Database) -> None:
    row = {"actor": "user:ann", "at_ms": 10}
    rows = [
        {**row, "op_id": "valid", "idem_key": "a", "expires_at_ms": 200},
        {**row, "op_id": "over", "idem_key": "b", "expires_at_ms": 50},
        {**row, "op_id": "reserved", "idem_key": "c", "at_ms": 0, "expires_at_ms": 200},
    ]
    await database.write(lambda connection: connection.execute(insert(ops), rows).rowcount)
    assert (await manager.prune(journal_before_ms=0, ops_before_ms=100, moves_before_ms=0)).ops == 1
    left = await database.read(lambda connection: set(connection.scalars(select(ops.c.op_id))))
    assert left == {"valid", "reserved"}


async def test_of_two_nodes_one_prunes(place: Place) -> None:
    if not place.url:
        pytest.skip("SQLite has one server only")
    vault = Vault([b"k" * 32])
    databases = [await place.open_again(data_dir=place.data_dir.with_name(f"node{number}")) for number in range(2)]
    nodes = [DBManager(database, vault) for database in databases]
    last = await a_long_story(nodes[0])
    entries = len(await nodes[0].journal())

    def refused_beside(connection: Connection) -> int:
        assert connection.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": history_rows._PRUNING_LOCK})
        with databases[1]._engines.writer().connect() as other, other.begin():
            return history_rows.prune_journal(other, 2**50)

    assert await databases[0].write(refused_beside) == 0
    pruned = await asyncio.gather(*(prune(node, last + 1) for node in nodes))
    assert sum(result.entries for result in pruned) <= entries
    await prune(nodes[0], last + 1)
    assert await nodes[1].journal() == []
    await assert_whole(nodes[1])


def test_an_entry_is_as_it_was_written() -> None:
    """The columns read are the fields of an entry."""
    assert {column.name for column in history_rows.ENTRY_COLUMNS} == set(JournalEntry.__dataclass_fields__)


async def test_the_past_is_found_by_index(database: Database, vault: Vault) -> None:
    """The newest entries of one account, and those from before a time: not by sorting or reading all the others."""
    count, step_ms = 4_000, 60_000
    row = {"owner_id": 1, "changes": "{}", "actor": "user:ann", "op_id": "op", "origin": ""}
    rows = [
        {"account_id": f"shop{rev % 2}", "generation": rev, "at_ms": rev * step_ms, **row}
        for rev in range(1, count + 1)
    ]
    await database.write(lambda connection: connection.execute(insert(journal), rows))
    store = DBManager(database, vault)
    asked: list[tuple[str, Any]] = []

    def noted(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        asked.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", noted)
    try:
        mine = await store.journal(account_id="shop1", newest_first=True, after_rev=2_001, limit=3)
        assert [entry.rev for entry in mine] == [1_999, 1_997, 1_995]
        early = await store.journal(owner_id=1, before_ms=101 * step_ms, newest_first=True, limit=3)
        assert [entry.rev for entry in early] == [100, 99, 98]
        assert await store.journal(owner_id=1, before_ms=0, newest_first=True) == []
    finally:
        event.remove(Engine, "before_cursor_execute", noted)
    pages = [(statement, values) for statement, values in asked if "journal.changes" in statement]
    assert (len(pages), len(asked) < 40) == (3, True)
    if database.is_sqlite:
        for statement, values in pages[:2]:
            plan = await database.read(
                lambda c, s=statement, v=values: str(c.exec_driver_sql(f"EXPLAIN QUERY PLAN {s}", v).all())  # type: ignore[misc]
            )
            assert "TEMP B-TREE" not in plan
            assert "USING INDEX" in plan or "INTEGER PRIMARY KEY" in plan


async def test_entries_of_a_clock_that_was_wrong_are_found_by_their_time(database: Database, vault: Vault) -> None:
    minute, hour = 60_000, 3_600_000
    row = {"owner_id": 1, "changes": "{}", "actor": "user:ann", "op_id": "op", "origin": "", "account_id": "shop"}
    times = {rev: rev * minute + (2 * hour if 101 <= rev <= 110 else 0) for rev in range(1, 201)}
    rows = [{"rev": rev, "generation": rev, "at_ms": at_ms, **row} for rev, at_ms in times.items()]
    await database.write(lambda connection: connection.execute(insert(journal), rows))
    store = DBManager(database, vault)
    for moment in range(0, 240 * minute, 7 * minute):
        found = [entry.rev for entry in await store.journal(before_ms=moment, newest_first=True)]
        assert found == [rev for rev in reversed(times) if times[rev] < moment]
