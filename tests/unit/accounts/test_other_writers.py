"""What another writer of the same store did is published once, in its order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from shoal.accounts.events import AccountChanged, Subscription
from shoal.accounts.store import Glimpse
from shoal.errors import (
    AccountExists,
)
from support.databases.memory_store import MemoryStore
from support.site.standins import ANN, FakeSite, cookie_of, managing, until


async def test_what_another_writer_stored_is_published_and_built_upon() -> None:
    site, store = FakeSite(), MemoryStore()
    async with managing(site, store) as manager, managing(FakeSite(), store) as other:
        await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        await other.reload_from_db()
        await other.update_settings("shop", {"remark": "theirs"}, caller=ANN)
        await manager.update_settings("shop", {"pause_duration": 1}, caller=ANN)
        account = manager.account("shop")
        assert (account.remark, account.pause_duration, account.generation) == ("theirs", 1, 3)


async def _told(subscription: Subscription) -> list[tuple[str, int]]:
    """What was fanned out since it was last asked: account and generation, in order."""
    events = await subscription.take()
    return [(event.account_id, event.entry.generation) for event in events if isinstance(event, AccountChanged)]


async def test_what_another_writer_did_is_told_from_its_creation_on_and_once() -> None:
    """An account unknown here tells all of its past, though later changes of others were told before."""
    store = MemoryStore()
    async with managing(FakeSite(), store) as manager, managing(FakeSite(), store) as other:
        with manager.events.subscribe() as heard:
            await other.add_cookie("theirs", cookie_of(1), owner_id=1, caller=ANN)
            await other.update_settings("theirs", {"remark": "r"}, caller=ANN)
            await other.add_cookie("also", cookie_of(2), owner_id=1, caller=ANN)
            await manager.add_cookie("mine", cookie_of(3), owner_id=1, caller=ANN)
            assert await manager.reload_from_db() == 2
            assert await manager.reload_from_db() == 0
            assert await _told(heard) == [("mine", 1), ("also", 1), ("theirs", 1), ("theirs", 2)]


async def test_f4_what_another_writer_did_is_told_in_the_order_in_which_it_was_done() -> None:
    store = MemoryStore()
    async with managing(FakeSite(), store) as manager, managing(FakeSite(), store) as other:
        await other.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        await manager.reload_from_db()
        with manager.events.subscribe() as heard:
            for number in range(5):
                await other.update_settings("shop", {"remark": f"r{number}"}, caller=ANN)
            await manager.reload_from_db()
            events = [event for event in await heard.take() if isinstance(event, AccountChanged)]
        told = [event.entry.changes["remark"] for event in events]
        assert told == [["", "r0"], ["r0", "r1"], ["r1", "r2"], ["r2", "r3"], ["r3", "r4"]]
        assert [event.entry.rev for event in events] == sorted(event.entry.rev for event in events)


async def test_an_account_that_came_and_went_elsewhere_is_told_without_what_was_told_before() -> None:
    store = MemoryStore()
    async with managing(FakeSite(), store) as manager, managing(FakeSite(), store) as other:
        await other.add_cookie("old", cookie_of(9), owner_id=1, caller=ANN)
        await manager.reload_from_db()
        with manager.events.subscribe() as heard:
            await manager.remove_cookie("old", caller=ANN)
            await other.reload_from_db()
            await until(lambda: "old" not in manager.tasks and "old" not in other.tasks)
            assert await _told(heard) == [("old", 2)]
            await other.add_cookie("old", cookie_of(9), owner_id=1, caller=ANN)
            await manager.reload_from_db()
            assert await _told(heard) == [("old", 3)]
            await other.remove_cookie("old", caller=ANN)
            await manager.reload_from_db()
            assert await _told(heard) == [("old", 4)]
            assert "old" not in manager.accounts
            await until(lambda: "old" not in manager.tasks and "old" not in other.tasks)


async def test_an_id_that_another_writer_took_is_known_from_then_on() -> None:
    store = MemoryStore()
    async with managing(FakeSite(), store) as manager, managing(FakeSite(), store) as other:
        await other.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        with pytest.raises(AccountExists):
            await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        assert manager.account("shop") == other.account("shop")


class BusyStore(MemoryStore):
    """While one account is read, somebody else goes on changing it."""

    meanwhile: Callable[[], Awaitable[object]] | None = None

    async def glimpse(self, account_id: str, *, after_rev: int) -> Glimpse:
        stored = await super().glimpse(account_id, after_rev=after_rev)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        return stored


async def test_a_change_that_comes_while_another_writers_is_read_is_told_with_its_own_value() -> None:
    store = BusyStore()
    async with managing(FakeSite(), store) as manager, managing(FakeSite(), store) as other:
        await other.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        with manager.events.subscribe() as heard:
            store.meanwhile = lambda: other.update_settings("shop", {"remark": "late"}, caller=ANN)
            await manager.reload_from_db()
            assert (await _told(heard), manager.account("shop").generation) == ([("shop", 1)], 1)
            await manager.reload_from_db()
            assert (await _told(heard), manager.account("shop").generation) == ([("shop", 2)], 2)
