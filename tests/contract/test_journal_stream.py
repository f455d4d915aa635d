"""The journal of several nodes as a stream: nobody who reads it in its order loses an entry, whatever crosses.

Revs and transaction ids cross on purpose; a reader who remembers the largest rev loses entries then, which is shown
beside it.
"""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from sqlalchemy import text

from shoal.accounts.account import Account
from shoal.accounts.journal import fold, projection
from shoal.accounts.journal_stream import StreamPlace
from shoal.accounts.store import Committed
from shoal.storage.db_manager import DBManager
from shoal.storage.vault import Vault
from support.databases.store_steps import (
    Place,
    add_user,
    an_account,
    baselines_of,
    committed,
    created,
    deletion,
    edit,
    living,
    submitted,
)
from support.servers.node_steps import ALONE_LOCK, ByPlace, ByRev, open_writers, revs, told

pytestmark = [pytest.mark.parametrize("place", ["postgresql"], indirect=True), pytest.mark.postgresql]

WRITERS = 8
ROUNDS = 6


@pytest.fixture
async def nodes(place: Place) -> list[DBManager]:
    vault = Vault([b"k" * 32])
    add_user(place.url, 1)
    return [
        DBManager(await place.open_again(data_dir=place.data_dir / str(number)), vault, several_nodes=True)
        for number in range(2)
    ]


async def test_a_smaller_rev_that_is_committed_later_is_not_lost(nodes: list[DBManager], place: Place) -> None:
    by_rev, by_place = ByRev(nodes[0]), ByPlace(nodes[0])
    async with open_writers(place.url, 2) as (first, second):
        await first.begin()
        await second.begin()
        early = await second.insert("b")
        late = await first.insert("a")
        await first.commit()
        await by_rev.take()
        await by_place.saw(late)
        await second.commit()
        await by_rev.take()
        await by_place.saw(late, early)
    assert by_rev.seen == [late], "a reader by rev has lost the other"


async def test_an_entry_waits_for_an_older_transaction_and_says_so(nodes: list[DBManager], place: Place) -> None:
    reader = ByPlace(nodes[0])
    async with open_writers(place.url, 2) as (old, young):
        await old.begin()
        await young.begin()
        second = await young.insert("b")
        await young.commit()
        page = await reader.take()
        assert (revs(page), page.waiting, page.is_last) == ([], second, True)
        first = await old.insert("a")
        await old.commit()
        await reader.saw(first, second)


async def test_a_transaction_that_is_rolled_back_holds_up_nothing(nodes: list[DBManager], place: Place) -> None:
    reader = ByPlace(nodes[0])
    async with open_writers(place.url, 2) as (first, second):
        await first.begin()
        await first.insert("gone")
        there = await second.insert("b")
        await second.commit()
        assert revs(await reader.take()) == []
        await first.rollback()
        await reader.saw(there)


async def test_of_eight_writers_that_hold_transactions_open_nothing_is_lost(
    nodes: list[DBManager], place: Place
) -> None:
    """They begin, write and commit in orders of their own; both readers look after each commit."""
    random, by_rev, by_place = Random(7), ByRev(nodes[0]), ByPlace(nodes[1])
    every: list[int] = []
    async with open_writers(place.url, WRITERS) as writers:
        for turn in range(1, ROUNDS + 1):
            for writer in random.sample(writers, WRITERS):
                await writer.begin()
            order = random.sample(range(WRITERS), WRITERS)
            every += [await writers[number].insert(f"shop{number}", turn) for number in order]
            for writer in random.sample(writers, WRITERS):
                await writer.commit()
                await by_rev.take()
                await by_place.take()
    await told(by_place.take, lambda: len(by_place.seen) >= len(every))
    assert sorted(by_place.seen) == every
    assert by_place.seen != every, "revs and transactions did not cross"
    assert set(by_rev.seen) < set(every), "a reader by rev loses some"


async def test_what_a_load_does_not_show_follows_its_place(nodes: list[DBManager], place: Place) -> None:
    (before,) = await created(nodes[0], an_account("before"))
    await ByPlace(nodes[0]).saw(before.rev)
    async with open_writers(place.url, 2) as (first, second):
        await first.begin()
        await second.begin()
        shown = await second.insert("b")
        await second.commit()
        contents = await nodes[0].load()
        hidden = await first.insert("a")
        await first.commit()
    assert contents.newest_rev == before.rev
    assert contents.stream_start is not None
    await ByPlace(nodes[0], contents.stream_start).saw(hidden, shown)
    await ByPlace(nodes[0], await nodes[0].stream.place_of(contents.newest_rev)).saw(hidden, shown)


async def test_a_cursor_is_a_rev_and_its_place_is_looked_up(nodes: list[DBManager], place: Place) -> None:
    stream = nodes[0].stream
    assert await stream.place_of(0) == StreamPlace()
    assert await stream.place_of(7) is None
    async with open_writers(place.url, 2) as (first, second):
        await first.begin()
        early = await second.insert("b")
        late = await first.insert("a")
        await first.commit()
        await second.commit()
    found = await stream.place_of(late)
    assert found is not None
    assert await stream.has_more_than(found, 0)
    await ByPlace(nodes[0], found).saw(early)
    assert not await stream.has_more_than(found, 1)


async def test_pruning_leaves_what_may_still_get_a_predecessor(nodes: list[DBManager], place: Place) -> None:
    (account,) = await created(nodes[0], an_account("shop"))
    pruned = 0

    async def prune() -> None:
        nonlocal pruned
        pruned += (await nodes[0].prune(journal_before_ms=2**50, ops_before_ms=0, moves_before_ms=0)).entries

    async with open_writers(place.url, 1) as (old,):
        await old.begin()
        (entry,) = await committed(nodes[0], edit(account, remark="x"))
        await told(prune, lambda: pruned > 0)
        await prune()
        assert pruned == 1, "the creation; not what waits for the open transaction"
        assert [one.rev for one in await nodes[0].journal()] == [entry.rev]
        late = await old.insert("other")
        await old.commit()
    assert [one.rev for one in await nodes[0].journal()] == [entry.rev, late]
    assert await nodes[0].stream.place_of(0) is None, "the beginning was pruned"
    await told(prune, lambda: pruned >= 3)
    folded = await baselines_of(nodes[0])
    assert {name: one.generation for name, one in folded.items()} == {"shop": 2, "other": 1}


async def test_pruning_takes_a_beginning_of_the_stream(nodes: list[DBManager], place: Place) -> None:
    """A smaller rev that stands later stays: who resumes at the larger one must find it."""
    async with open_writers(place.url, 2) as (first, second):
        await first.begin()
        await second.begin()
        early = await second.insert("b", at_ms=1)
        late = await first.insert("a", at_ms=2)
        await first.commit()
        await second.commit()
    await ByPlace(nodes[0]).saw(late, early)
    assert (await nodes[0].prune(journal_before_ms=2, ops_before_ms=0, moves_before_ms=0)).entries == 0
    assert (await nodes[0].prune(journal_before_ms=3, ops_before_ms=0, moves_before_ms=0)).entries == 2


async def test_a_journal_of_another_servers_life_is_in_the_order_of_its_revs(
    nodes: list[DBManager], place: Place
) -> None:
    (account,) = await created(nodes[0], an_account("shop"))
    as_dumped = text("UPDATE journal SET xid8 = '9000000000'")
    await nodes[0]._database.write(lambda connection: connection.execute(as_dumped).rowcount)
    await place.open_again(data_dir=place.data_dir / "again")
    (entry,) = await committed(nodes[0], edit(account, remark="x"))
    reader = ByPlace(nodes[0])
    await reader.saw(account.rev, entry.rev)
    assert await nodes[0].stream.place_of(account.rev) == StreamPlace(0, account.rev)
    known = await nodes[0].stream.place_of(entry.rev)
    await place.open_again(data_dir=place.data_dir / "later")
    assert await nodes[0].stream.place_of(entry.rev) == known, "what this server wrote keeps its place"


class TestWithoutTheLock:
    """Two nodes write the same accounts through their own writers."""

    async def test_only_one_of_two_nodes_wins_a_generation(self, nodes: list[DBManager]) -> None:
        accounts = await created(nodes[0], *(an_account(f"shop{number}") for number in range(10)))
        racing = [submitted(node, edit(account, remark=str(node))) for account in accounts for node in nodes]
        settlements = await asyncio.gather(*racing)
        assert sum(isinstance(settlement, Committed) for settlement in settlements) == 10
        contents = await nodes[1].load()
        assert {account.generation for account in contents.accounts.values()} == {2}
        assert fold(await nodes[0].journal()) == {
            name: projection(account) for name, account in contents.accounts.items()
        }

    async def test_a_writer_does_not_wait_for_the_positions_of_another(
        self, nodes: list[DBManager], place: Place
    ) -> None:
        (account,) = await created(nodes[0], an_account("one"))
        async with open_writers(place.url, 1) as (other,):
            await other.connection.execute("SELECT pg_advisory_xact_lock(%s)", (ALONE_LOCK,))
            await other.insert("elsewhere")
            (entry,) = await committed(nodes[0], edit(account, remark="x"))
            assert entry.generation == 2
            await other.rollback()

    async def test_each_accounts_generations_come_in_order_in_the_stream(self, nodes: list[DBManager]) -> None:
        accounts = await created(nodes[0], *(an_account(f"shop{number}") for number in range(6)))
        readers = [ByPlace(node) for node in nodes]

        async def change(number: int, account: Account) -> None:
            for turn in range(6):
                change = edit(account, remark=f"{turn}")
                assert change.new is not None
                await committed(nodes[(number + turn) % 2], change)
                account = change.new
            await committed(nodes[number % 2], deletion(await living(nodes[0], account.id)))

        await asyncio.gather(*(change(number, account) for number, account in enumerate(accounts)))
        entries = {entry.rev: entry for entry in await nodes[0].journal()}
        for reader in readers:
            await told(reader.take, lambda: len(reader.seen) >= len(entries))  # noqa: B023
            for account in accounts:
                mine = [entries[rev] for rev in reader.seen if entries[rev].account_id == account.id]
                assert [entry.generation for entry in mine] == list(range(1, 9))
        assert readers[0].seen == readers[1].seen


async def test_a_node_that_writes_alone_waits_for_its_turn(place: Place) -> None:
    store = DBManager(await place.open_again(), Vault([b"k" * 32]))
    (account,) = await created(store, an_account())
    waits = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = :lock")
    low = {"lock": ALONE_LOCK & 0xFFFFFFFF}
    async with open_writers(place.url, 1) as (other,):
        await other.connection.execute("SELECT pg_advisory_xact_lock(%s)", (ALONE_LOCK,))
        settling = submitted(store, edit(account, remark="x"))
        async with asyncio.timeout(60):
            while not await store._database.read(lambda connection: connection.scalar(waits, low)):
                assert not settling.done()
                await asyncio.sleep(0.01)
        await other.commit()
    assert isinstance(await settling, Committed)
