"""An op that is tried again does nothing twice, whatever it does, and says what it did."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from shoal.accounts.callers import Outcome
from shoal.accounts.change_path import Caller
from shoal.accounts.cookie_manager import CookieManager
from shoal.accounts.store import Change, Refused, Settle
from shoal.errors import AlreadyRemoved, StaleGeneration, UnknownAccount
from support.databases.memory_store import MemoryStore
from support.site.standins import ANN, FakeSite, cookie_of, managing, until

FIRST = Caller(actor="user:ann", owner_id=1, op_id="op")
AGAIN = Caller(actor="user:ann", owner_id=1, op_id="op", repeats=True)

Way = Callable[[CookieManager, Caller], Awaitable[Outcome]]
WAYS: dict[str, Way] = {
    "add": lambda manager, caller: manager.add_cookie("new", cookie_of(9), owner_id=1, caller=caller),
    "resume": lambda manager, caller: manager.resume("shop", caller=caller),
    "switch": lambda manager, caller: manager.update_cookie_status("shop", False, caller=caller),
    "remove keyword": lambda manager, caller: manager.remove_keyword("shop", 0, caller=caller),
    "nothing": lambda manager, caller: manager.update_settings("shop", {"remark": ""}, caller=caller),
}


async def _prepared(manager: CookieManager) -> None:
    await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
    await manager.update_keywords("shop", [("a", "1"), ("b", "2")], caller=ANN)


@pytest.mark.parametrize("name", WAYS)
async def test_what_was_done_is_answered_and_not_done_again(name: str) -> None:
    store = MemoryStore()
    async with managing(FakeSite(), store) as manager:
        await _prepared(manager)
        first = await WAYS[name](manager, FIRST)
        await manager.update_settings(first.account.id, {"remark": "later"}, caller=ANN)
        entries = len(await store.journal())
        again = await WAYS[name](manager, AGAIN)
        assert (again.changed, again.generation, again.rev) == (first.changed, first.generation, first.rev)
        assert again.account.remark == "later", "the account is shown as it is"
        assert len(await store.journal()) == entries
        assert len(manager.locks) == 0


async def test_what_was_not_done_is_done_by_the_repeat() -> None:
    async with managing(FakeSite()) as manager:
        await _prepared(manager)
        assert (await manager.resume("shop", caller=AGAIN)).generation == 3


async def test_a_removal_tried_again_says_when_it_was_made() -> None:
    async with managing(FakeSite()) as manager:
        await _prepared(manager)
        first = await manager.remove_cookie("shop", caller=FIRST)
        assert first.generation == 3
        for _ in range(2):
            with pytest.raises(AlreadyRemoved) as caught:
                await manager.remove_cookie("shop", caller=AGAIN)
            assert caught.value.params == {"generation": 3, "rev": first.rev, "purged": True}
            if "shop" not in manager.accounts:
                await until(lambda: "shop" not in manager.tasks)
                await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        assert manager.account("shop").generation == 4
        with pytest.raises(UnknownAccount):
            await manager.remove_cookie("nobody", caller=AGAIN)


@pytest.mark.parametrize("atomic", [True, False])
async def test_a_batch_tried_again_is_told_per_account(atomic: bool) -> None:
    store = MemoryStore()
    async with managing(FakeSite(), store) as manager:
        for number in range(3):
            await manager.add_cookie(f"shop{number}", cookie_of(number), owner_id=1, caller=ANN)
        updates = {"shop0": False, "shop1": True, "shop2": False}
        first = await manager.batch_update_cookie_status(updates, caller=FIRST, atomic=atomic)
        await manager.update_cookie_status("shop0", True, caller=ANN)
        entries = len(await store.journal())
        again = await manager.batch_update_cookie_status(updates, caller=AGAIN, atomic=atomic)
        assert [(row.account_id, row.outcome, row.generation) for row in again] == [
            (row.account_id, row.outcome, row.generation) for row in first
        ]
        assert len(await store.journal()) == entries
        assert manager.get_cookie_status("shop0")


class TwinStore(MemoryStore):
    """Another machine commits the very same op first."""

    def submit(self, changes: Sequence[Change], settle: Settle) -> None:
        if changes[0].op.op_id == "op":
            super().submit(changes, lambda _: settle(Refused(StaleGeneration("moved on"))))
        else:
            super().submit(changes, settle)


async def test_an_op_that_a_twin_applied_meanwhile_is_found() -> None:
    store = TwinStore()
    async with managing(FakeSite(), store) as manager:
        await _prepared(manager)
        async with asyncio.timeout(60):
            outcome = await manager.resume("shop", caller=FIRST)
        assert (outcome.changed, outcome.generation, outcome.account.restart_nonce) == (True, 3, 1)
        assert len(await store.journal()) == 3
