"""A chat's burst of messages: joined, answered once, held back, and in line for the shop's minute. No sockets."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shoal.errors import StoreError
from shoal.messages.decisions import Decision
from shoal.messages.outbox import Outbox
from support.site.sandboxed import Waits
from support.site.standins import ANN, until
from support.site.without_sockets import ME, OneShop


async def test_a_burst_gets_one_answer_that_is_bound_to_its_last_message(
    shop: OneShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = Waits(monkeypatch)
    await shop.add(keywords={"在吗": "在的"}, debounce_seconds=Waits.SECONDS)
    first, last = shop.site.says("在吗"), shop.site.says("包邮吗")
    await until(lambda: shop.site.acknowledged() == 2)
    waits.end()
    await shop.sendings("sent")
    assert shop.site.said == ["在的"]
    assert (await shop.decided(first, Decision.ANSWERED)).joined_to == last
    assert len((await shop.decided(last, Decision.ANSWERED)).sendings) == 1


async def test_what_is_said_after_an_answer_began_is_answered_after_it(shop: OneShop) -> None:
    await shop.add(keywords={"在吗": "在的", "包邮": "包"})
    shop.site.before_answer = lambda path: shop.site.says("包邮") if "Send" in path and not shop.site.said[1:] else None
    shop.site.says("在吗")
    await shop.sendings("sent", "sent")
    assert shop.site.said == ["在的", "包"]


async def test_a_message_that_comes_again_is_answered_once(shop: OneShop) -> None:
    await shop.add(keywords={"在吗": "在的"})
    shop.site.says("在吗", message_id="1.PNM")
    await shop.sendings("sent")
    shop.site.says("在吗", message_id="1.PNM")
    await until(lambda: shop.site.acknowledged() == 2)
    await shop.decided(shop.site.says("包邮吗"), Decision.NO_RULE)
    assert shop.site.said == ["在的"]


async def test_messages_that_get_no_answer_say_why(shop: OneShop) -> None:
    await shop.add(keywords={"在吗": "在的"})
    await shop.decided(shop.site.says("别的"), Decision.NO_RULE)
    old = shop.site.says("在吗", chat="52", at_ms=1_000)
    await shop.decided(old, Decision.TOO_OLD)
    assert shop.site.said == []


async def test_c4_the_echo_of_an_answer_whose_outcome_could_not_be_stored_is_not_the_owners_word(
    shop: OneShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.add(keywords={"在吗": "在的"}, pause_duration=10)
    settle, full = Outbox.settle, [StoreError("disk full")]

    async def stored(*values: Any, **named: Any) -> bool:
        if full:
            raise full.pop()
        return await settle(*values, **named)

    monkeypatch.setattr(Outbox, "settle", stored)
    shop.site.held = []
    shop.site.says("在吗")
    await until(lambda: bool(shop.site.held))
    echo = shop.site.says("在的", by=ME)
    await until(lambda: any(task.get_name().startswith("echo:") for task in asyncio.all_tasks()))
    shop.site.release()
    await shop.decided(echo, Decision.ECHO)
    (sending,) = await shop.sendings("sent")
    assert (sending.reason, sending.site_message_id, full) == ("echo", echo, [])
    await until(lambda: [frame.get("lwp") for frame in shop.site.frames].count("/reg") == 2)  # the next connection
    await shop.decided(shop.site.says("在吗"), Decision.ANSWERED)


async def test_the_owners_word_silences_the_chat_and_no_other(shop: OneShop) -> None:
    await shop.add(keywords={"在吗": "在的"}, pause_duration=10)
    human = shop.site.says("我来了", by=ME)
    await shop.decided(human, Decision.HUMAN)
    await shop.decided(shop.site.says("在吗"), Decision.PAUSED)
    await shop.decided(shop.site.says("在吗", chat="52"), Decision.ANSWERED)


async def test_the_echo_of_an_answer_is_no_word_of_the_owner(shop: OneShop) -> None:
    await shop.add(keywords={"在吗": "在的"}, pause_duration=10)
    shop.site.says("在吗")
    (sending,) = await shop.sendings("sent")
    await shop.decided(shop.site.says("在的", by=ME, message_id=sending.site_message_id or ""), Decision.ECHO)
    await shop.decided(shop.site.says("在吗"), Decision.ANSWERED)


async def test_a_burst_without_room_is_overtaken_by_no_later_one(
    shop: OneShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.messages.conversations.LONGEST_ROOM_WAIT_SECONDS", 0.4)
    await shop.add(keywords={"在吗": "在的"}, shop_replies_per_minute=1)
    await shop.decided(shop.site.says("在吗", chat="51"), Decision.ANSWERED)
    first = shop.site.says("在吗", chat="52")
    await shop.decided(first, Decision.SHOP_LIMIT)
    more = shop.site.says("还在吗", chat="52")  # joins the burst that is in line
    await until(lambda: shop.site.acknowledged() == 3)
    await shop.set(shop_replies_per_minute=2)  # room for one: the one that has waited longest
    second = shop.site.says("在吗", chat="53")
    await shop.decided(second, Decision.SHOP_LIMIT)
    assert (await shop.decided(first, Decision.ANSWERED)).joined_to == more
    await shop.decided(second, Decision.SHOP_LIMIT)
    await shop.set(shop_replies_per_minute=3)
    await shop.decided(second, Decision.ANSWERED)
    await shop.sendings("sent", "sent", "sent")


async def test_what_was_stored_and_not_decided_is_answered_by_the_next_connection(shop: OneShop) -> None:
    await shop.add(keywords={"在吗": "在的"}, debounce_seconds=30)
    asked = shop.site.says("在吗")
    await shop.decided(asked, Decision.PENDING)
    await shop.set(debounce_seconds=0)
    await shop.reopen()
    await shop.decided(asked, Decision.ANSWERED)
    await shop.sendings("sent")
    assert shop.site.said == ["在的"]


async def test_an_account_that_is_switched_off_while_a_burst_grows_says_nothing(shop: OneShop) -> None:
    await shop.add(keywords={"在吗": "在的"}, debounce_seconds=30)
    await shop.decided(shop.site.says("在吗"), Decision.PENDING)
    await shop.manager.update_cookie_status("shop", False, caller=ANN)
    left = {task.get_name().partition(":")[0] for task in asyncio.all_tasks()}
    assert not left & {"connection", "chat", "reply"}, "what could still answer"
    assert shop.site.said == []


async def test_a_message_that_comes_while_replies_are_off_is_told_so_for_good(shop: OneShop) -> None:
    await shop.add(keywords={"在吗": "在的"}, default_reply="请说", default_reply_enabled=True, replies=False)
    told = [shop.site.says("在吗"), shop.site.says("别的", chat="52")]
    for message in told:
        await shop.decided(message, Decision.REPLIES_OFF)
    await shop.set(replies=True)
    await shop.reopen()
    await shop.running()
    await shop.decided(shop.site.says("在吗", chat="53"), Decision.ANSWERED)
    await shop.sendings("sent")
    assert shop.site.said == ["在的"]


async def test_a_reply_that_was_chosen_before_the_switch_went_off_is_not_sent(
    shop: OneShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.add(keywords={"在吗": "在的"})
    queue, chosen, off = shop.sender._outbox.queue, asyncio.Event(), asyncio.Event()

    async def queued_late(*rows: Any, **given: Any) -> Any:
        chosen.set()
        await off.wait()
        return await queue(*rows, **given)

    monkeypatch.setattr(shop.sender._outbox, "queue", queued_late)
    message = shop.site.says("在吗")
    async with asyncio.timeout(60):
        await chosen.wait()
    await shop.set(replies=False)
    off.set()
    await shop.decided(message, Decision.REPLIES_OFF)
    assert shop.site.said == []
