"""Locks come first come first served, are forgotten when unused, and tell who has them."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from shoal.accounts.account_locks import AccountLocks, Hold
from shoal.errors import LockTimeout, StoreDegraded
from support.site.standins import until


async def test_turns_come_in_the_order_of_asking_and_nothing_is_left() -> None:
    locks = AccountLocks()
    order: list[int] = []

    async def take(number: int) -> None:
        hold = await locks.acquire("shop", f"op{number}")
        order.append(number)
        await asyncio.sleep(0)
        hold.release()

    await asyncio.gather(*(take(number) for number in range(20)))
    assert order == list(range(20))
    assert len(locks) == 0


async def test_a_wait_that_is_too_long_says_who_has_the_turn() -> None:
    locks = AccountLocks(wait_seconds=0.02)
    hold = await locks.acquire("shop", "update_cookie")
    with pytest.raises(LockTimeout) as caught:
        await locks.acquire("shop", "remove_cookie")
    assert caught.value.params["operation"] == "update_cookie"
    hold.release()
    hold.release()
    assert len(locks) == 0
    assert locks.figures().timeouts_total == 1


async def test_a_waiter_who_leaves_does_not_take_the_turn_along() -> None:
    locks = AccountLocks()
    hold = await locks.acquire("shop", "first")
    second = asyncio.create_task(locks.acquire("shop", "second"))
    third = asyncio.create_task(locks.acquire("shop", "third"))
    await asyncio.sleep(0)
    hold.release()
    second.cancel()
    (await third).release()
    assert second.cancelled() or not second.cancel()
    if not second.cancelled():
        second.result().release()
    assert len(locks) == 0


async def test_the_oldest_holder_is_shown() -> None:
    locks = AccountLocks()
    first = await locks.acquire("a", "update_keywords")
    second = await locks.acquire("b", "resume")
    figures = locks.figures()
    assert (figures.held, figures.waiting, figures.oldest_account) == (2, 0, "a")
    first.release()
    second.release()


async def test_a_turn_that_refuses_others_lets_nobody_wait_for_it() -> None:
    """Who waits already hears it at once, who comes later too, and who comes after its end has a turn."""
    locks = AccountLocks(wait_seconds=600)
    hold = await locks.acquire("shop", "update_keywords")
    other = await locks.acquire("other", "update_keywords")
    waiting = [asyncio.create_task(locks.acquire("shop", f"op{number}")) for number in range(3)]
    await asyncio.sleep(0)
    hold.refuse_others(StoreDegraded)
    async with asyncio.timeout(60):
        heard = await asyncio.gather(*waiting, return_exceptions=True)
        with pytest.raises(StoreDegraded):
            await locks.acquire("shop", "late")
    assert [type(error) for error in heard] == [StoreDegraded] * 3
    assert (locks.figures().waiting, locks.figures().timeouts_total) == (0, 0)
    other.release()
    (await locks.acquire("other", "resume")).release()
    hold.release()
    hold.refuse_others(StoreDegraded)
    (await locks.acquire("shop", "resume")).release()
    assert len(locks) == 0


async def test_a_turn_that_ends_while_those_who_wait_are_refused_leaves_no_lock_behind() -> None:
    locks = AccountLocks(wait_seconds=30)
    hold = await locks.acquire("shop", "update_keywords")
    waiting = [asyncio.create_task(locks.acquire("shop", f"op{number}")) for number in range(3)]
    await asyncio.sleep(0)
    hold.refuse_others(StoreDegraded)
    hold.release()
    heard = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(error) for error in heard} <= {StoreDegraded, Hold}
    for turn in heard:
        if isinstance(turn, Hold):
            turn.release()
    assert len(locks) == 0


async def test_a_lock_that_is_held_long_is_logged_once_with_its_operation() -> None:
    locks = AccountLocks(slow_seconds=0.05)
    with capture_logs() as lines:
        brief = await locks.acquire("brief", "resume")
        brief.release()
        hold = await locks.acquire("shop", "update_keywords")
        late = await locks.acquire("late", "update_cookie")
        await until(lambda: len(lines) == 2)
        await asyncio.sleep(0.1)
        hold.release()
        late.release()
    assert [(line["account"], line["operation"]) for line in lines] == [
        ("shop", "update_keywords"), ("late", "update_cookie"),
    ]  # fmt: skip


async def test_a_caller_who_leaves_at_the_moment_of_his_turn_passes_it_on() -> None:
    locks = AccountLocks()
    hold = await locks.acquire("shop", "first")
    second = asyncio.create_task(locks.acquire("shop", "second"))
    third = asyncio.create_task(locks.acquire("shop", "third"))
    await asyncio.sleep(0)
    hold.release()  # the second has the turn, and has not learnt of it
    second.cancel()
    (await third).release()
    assert second.cancelled()
    assert len(locks) == 0
