"""Sets and groups of changes: applied or refused whole, settled in the order of their commits."""

from __future__ import annotations

import asyncio

import pytest

from shoal.accounts.account import Account
from shoal.accounts.store import AccountStore, Committed, Refused
from shoal.errors import AccountExists, DuplicateUnb, StaleGeneration
from support.databases.store_steps import (
    Settlements,
    an_account,
    assert_fold_equals_rows,
    committed,
    created,
    creation,
    edit,
    living,
    refusal,
    unchanged,
)


async def test_a_set_is_applied_whole(store: AccountStore) -> None:
    one, two, three = await created(store, an_account("one"), an_account("two"), an_account("three"))
    entries = await committed(
        store,
        edit(two, remark="b"),
        edit(one, cookie="cookie2=new", cookie_version=2),
        unchanged(three),
        creation(an_account("four")),
    )
    assert [entry.account_id for entry in entries] == ["two", "one", "four"]
    assert len({entry.rev for entry in entries}) == 3
    for entry in entries:
        assert (await living(store, entry.account_id)).rev == entry.rev
    await assert_fold_equals_rows(store)


@pytest.mark.parametrize("bad", ["stale", "exists", "duplicate"])
async def test_a_set_is_refused_whole(store: AccountStore, bad: str) -> None:
    one, two = await created(store, an_account("one"), an_account("two"))
    await committed(store, edit(two, remark="moved"))
    fault = {
        "stale": edit(two, remark="late"),
        "exists": creation(an_account("two")),
        "duplicate": creation(an_account("three", unb=one.unb)),
    }[bad]
    good = edit(one, remark="x")
    before = (await store.load()).accounts, await store.journal()
    await refusal(store, good, fault)
    assert ((await store.load()).accounts, await store.journal()) == before
    assert await store.op(good.op.op_id) is None


async def test_one_bad_change_in_a_group_harms_no_other(store: AccountStore) -> None:
    accounts = await created(store, *(an_account(f"shop{number}") for number in range(20)))
    moved = await committed(store, edit(accounts[7], remark="moved"))
    settlements = Settlements(store)
    for account in accounts:
        settlements.submit(account.id, [edit(account, enabled=False)])
    settlements.submit("taken", [creation(an_account("shop3"))])
    settlements.submit("fresh", [creation(an_account("fresh"))])
    settlements.submit("twin", [creation(an_account("twin", unb=accounts[0].unb))])
    seen = dict(await settlements.wait_for(23))
    refused = {name: settlement.error for name, settlement in seen.items() if isinstance(settlement, Refused)}
    assert {name: type(error) for name, error in refused.items()} == {
        "shop7": StaleGeneration, "taken": AccountExists, "twin": DuplicateUnb,
    }  # fmt: skip
    contents = await store.load()
    assert {name for name, account in contents.accounts.items() if account.enabled} == {"shop7", "fresh"}
    assert contents.accounts["shop7"].rev == moved[0].rev
    await assert_fold_equals_rows(store)


async def test_settlements_come_in_commit_order(store: AccountStore) -> None:
    await created(store, *(an_account(f"shop{number:02}") for number in range(50)))
    accounts = (await store.load()).accounts
    settlements = Settlements(store)
    for name, account in accounts.items():
        settlements.submit(name, [edit(account, remark="x")])
    seen = await settlements.wait_for(50)
    assert [name for name, _ in seen] == list(accounts)
    revs = [entry.rev for _, settlement in seen if isinstance(settlement, Committed) for entry in settlement.entries]
    assert revs == sorted(revs)
    assert len(set(revs)) == 50


async def test_positions_rise_in_the_order_of_the_settlements(store: AccountStore) -> None:
    """Else a reader of the stream who is cut off between two changes of one group resumes beyond one of them."""
    names = ["m", "z", "a", "y", "b", "x", "c", "w"]
    accounts = await created(store, *map(an_account, names))
    settlements = Settlements(store)
    for number in range(0, len(accounts), 2):
        settlements.submit(names[number], [edit(account, remark="x") for account in accounts[number : number + 2]])
    seen = [settlement for _, settlement in await settlements.wait_for(len(names) // 2)]
    revs = [entry.rev for settlement in seen if isinstance(settlement, Committed) for entry in settlement.entries]
    assert revs == sorted(revs)
    entries = await store.journal(after_rev=revs[0] - 1)
    assert [(entry.rev, entry.account_id) for entry in entries] == list(zip(revs, names, strict=True))


async def test_changes_of_one_account_that_follow_each_other_are_all_applied(store: AccountStore) -> None:
    (account,) = await created(store, an_account())
    settlements = Settlements(store)
    for number in range(10):
        change = edit(account, remark=str(number))
        settlements.submit(str(number), [change])
        assert change.new is not None
        account = change.new
    assert all(isinstance(settlement, Committed) for _, settlement in await settlements.wait_for(10))
    assert (await living(store, "shop")).generation == 11
    await assert_fold_equals_rows(store)


async def test_writers_at_the_same_time_leave_a_journal_without_gaps(store: AccountStore) -> None:
    accounts = await created(store, *(an_account(f"shop{number}") for number in range(8)))

    async def work(account: Account) -> None:
        for number in range(12):
            await committed(store, edit(account, remark=str(number)))
            account = await living(store, account.id)

    await asyncio.gather(*(work(account) for account in accounts))
    assert len(await store.journal()) == 8 * 13
    await assert_fold_equals_rows(store)
