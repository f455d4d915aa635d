"""The manager keeps desired state, memory, store and task the same. Known defects are named by their number."""

from __future__ import annotations

import pytest

from shoal.accounts.account import AccountState
from shoal.errors import (
    DuplicateUnb,
    InvalidInput,
    NotApplied,
    OtherUnb,
)
from shoal.rules.keywords import KeywordRow
from support.databases.memory_store import MemoryStore, RefusingStore
from support.site.standins import ANN, FakeSite, cookie_of, in_step, managing, until


async def test_a_new_account_is_enabled_runs_and_does_not_confirm_by_itself() -> None:
    site, store = FakeSite(), MemoryStore()
    async with managing(site, store) as manager:
        outcome = await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        assert outcome.changed
        assert outcome.account.generation == 1
        assert outcome.observation.state is AccountState.RUNNING
        assert not outcome.account.auto_confirm
        await in_step(store, manager)


async def test_a1_a_refused_write_leaves_every_side_old_and_the_repeat_makes_every_side_new() -> None:
    site, store = FakeSite(), RefusingStore()
    async with managing(site, store) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        store.refusals = 1
        with pytest.raises(NotApplied):
            await manager.update_cookie_status("shop", False, caller=ANN)
        assert manager.get_cookie_status("shop")
        assert site.live["shop"] == 1
        await in_step(store, manager)
        outcome = await manager.update_cookie_status("shop", False, caller=ANN)
        assert outcome.observation.state is AccountState.STOPPED
        assert site.live["shop"] == 0
        await in_step(store, manager)


async def test_a8_a9_off_and_on_leaves_every_other_setting_alone() -> None:
    site, store = FakeSite(), MemoryStore()
    async with managing(site, store) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        await manager.update_settings("shop", {"remark": "mine", "pause_duration": 3}, caller=ANN)
        await manager.update_auto_confirm_setting("shop", True, caller=ANN)
        await manager.update_cookie_status("shop", False, caller=ANN)
        await manager.update_cookie_status("shop", True, caller=ANN)
        account = manager.account("shop")
        assert (account.remark, account.pause_duration, account.auto_confirm) == ("mine", 3, True)
        assert manager.auto_confirm_settings["shop"]
        await in_step(store, manager)


async def test_a14_a_refused_keyword_write_leaves_both_sides_old() -> None:
    site, store = FakeSite(), RefusingStore()
    async with managing(site, store) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        await manager.update_keywords("shop", [("hi", "hello")], caller=ANN)
        store.refusals = 1
        with pytest.raises(NotApplied):
            await manager.update_keywords("shop", [("hi", "changed")], caller=ANN)
        assert [rule.reply for rule in manager.keywords["shop"]] == ["hello"]
        await in_step(store, manager)


async def test_a15_replacing_general_keywords_keeps_item_rules() -> None:
    site, store = FakeSite(), MemoryStore()
    async with managing(site, store) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        rows = [
            KeywordRow(keyword="size", reply="L", item_id="800000000001"),
            KeywordRow(keyword="old", reply="1"),
        ]
        await manager.update_text_keywords("shop", rows, caller=ANN)
        await manager.update_keywords("shop", [("new", "2")], caller=ANN)
        kept = [(rule.keyword, rule.item_id) for rule in manager.keywords["shop"]]
        assert kept == [("size", "800000000001"), ("new", None)]
        await in_step(store, manager)


async def test_a20_a_deleted_id_comes_back_as_a_new_account() -> None:
    site, store = FakeSite(), MemoryStore()
    async with managing(site, store) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        await manager.update_cookie_status("shop", False, caller=ANN)
        await manager.remove_cookie("shop", caller=ANN)
        await until(lambda: "shop" not in manager.tasks)
        outcome = await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        assert outcome.account.enabled
        assert outcome.observation.state is AccountState.RUNNING
        assert outcome.account.generation == 4
        await in_step(store, manager)


async def test_a21_a_refused_creation_or_deletion_is_an_error_and_changes_nothing() -> None:
    site, store = FakeSite(), RefusingStore()
    async with managing(site, store) as manager:
        store.refusals = 1
        with pytest.raises(NotApplied):
            await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        assert "shop" not in manager.accounts
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        store.refusals = 1
        with pytest.raises(NotApplied):
            await manager.remove_cookie("shop", caller=ANN)
        assert site.live["shop"] == 1
        await in_step(store, manager)


async def test_a23_one_seller_under_two_ids_is_refused() -> None:
    async with managing(FakeSite()) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        with pytest.raises(DuplicateUnb):
            await manager.add_cookie("twin", cookie_of(1), owner_id=1, caller=ANN)
        with pytest.raises(OtherUnb):
            await manager.update_cookie("shop", cookie_of(2), caller=ANN)


async def test_ten_thousand_keywords_are_refused_and_nothing_is_lost() -> None:
    async with managing(FakeSite()) as manager:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        await manager.update_keywords("shop", [("hi", "hello")], caller=ANN)
        with pytest.raises(InvalidInput, match="at most"):
            await manager.update_keywords("shop", [(f"k{n}", "v") for n in range(10_000)], caller=ANN)
        assert [rule.keyword for rule in manager.keywords["shop"]] == ["hi"]
