"""A change of many rules is written apart: other accounts wait for no more than one of them."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from shoal.accounts.account import Account
from shoal.accounts.store import Change, Committed
from shoal.rules.rule import Part, Rule
from shoal.storage.change_rows import Draft
from shoal.storage.group_work import LARGE_ROWS, Changes
from shoal.storage.work_queue import WorkQueue
from support.databases.failing_commits import Faults, assert_whole, opened
from support.databases.store_steps import Settlements, an_account, created, edit
from support.site.standins import until


def many_rules(account: Account) -> Change:
    """A change by which an account gets 1,000 rules."""
    rules = tuple(
        Rule(id=f"r{place}", words=(f"词{place}",), parts=(Part(text="x"),), position=place) for place in range(1_000)
    )
    return edit(account, keywords=rules)


async def test_others_that_wait_are_committed_before_large_changes(tmp_path: Path) -> None:
    faults = Faults()
    async with opened(tmp_path, faults) as (database, store):
        first, *small = await created(store, an_account("a"), an_account("b"), an_account("c"))
        large = await created(store, an_account("x"), an_account("y"))
        settlements, writer = Settlements(store), database.group_writer
        faults.hold = threading.Event()
        settlements.submit("a", [edit(first, remark="held")])
        await until(lambda: writer._busy and not writer.waiting)
        for account in large:
            settlements.submit(account.id, [many_rules(account)])
        await until(lambda: writer.waiting == 2)
        for account in small:
            settlements.submit(account.id, [edit(account, enabled=False)])
        mark = asyncio.create_task(writer.settled())
        await until(lambda: writer.waiting == 5)
        faults.hold.set()
        seen = await settlements.wait_for(5)
        assert [name for name, _ in seen[:3]] == ["a", "b", "c"]
        assert {name for name, _ in seen[3:]} == {"x", "y"}  # in the order in which threads drafted them
        assert all(isinstance(settlement, Committed) for _, settlement in seen)
        async with asyncio.timeout(60):
            await mark
        await assert_whole(store)


async def test_others_that_come_are_committed_between_two_large_changes(tmp_path: Path) -> None:
    begun: list[int] = []
    comes = threading.Event()

    def point(name: str) -> None:
        """At the first large change another account's change comes."""
        if name != "begin" or not comes.is_set():
            return
        begun.append(writer.waiting)
        if len(begun) == 2:
            loop.call_soon_threadsafe(settlements.submit, "late", [edit(late, enabled=False)])
            for _ in range(6_000):
                if writer.waiting == 2:
                    break
                time.sleep(0.01)

    async with opened(tmp_path, point) as (database, store):  # type: ignore[arg-type]  # a function does as well
        late, *large = await created(store, an_account("late"), an_account("x"), an_account("y"))
        settlements, writer, loop = Settlements(store), database.group_writer, asyncio.get_running_loop()
        hold = asyncio.create_task(database.write(lambda _: held.wait(60)))
        held = threading.Event()
        await until(lambda: writer._busy and not writer.waiting)
        for account in large:
            settlements.submit(account.id, [many_rules(account)])
        await until(lambda: writer.waiting == 2)
        begun.append(0)
        comes.set()
        held.set()
        await hold
        seen = await settlements.wait_for(3)
        assert [name for name, _ in seen][1] == "late"
        assert {name for name, _ in seen} == {"x", "late", "y"}
        await assert_whole(store)


async def test_what_waits_when_the_store_is_closed_is_written(tmp_path: Path) -> None:
    async with opened(tmp_path) as (database, store):
        large = await created(store, an_account("x"), an_account("y"))
        settlements = Settlements(store)
        for account in large:
            settlements.submit(account.id, [many_rules(account)])
        await database.group_writer.close()
        seen = await settlements.wait_for(2)
        assert [type(settlement) for _, settlement in seen] == [Committed, Committed]


def test_what_writes_many_rows_is_a_group_of_its_own() -> None:
    draft = cast("Draft", SimpleNamespace(rule_rows=LARGE_ROWS))
    small, *large = [Changes((), lambda _: None, _drafts=drafts) for drafts in ((), (draft,), (draft, draft))]
    queue = WorkQueue()
    for work in (large[0], small, large[1]):
        queue.append(work)
    assert [queue.next_group() for _ in range(3)] == [[small], [large[0]], [large[1]]]
