"""A line that only looks alive is found out and replaced; a quiet one is left alone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shoal.accounts.account import AccountState
from shoal.accounts.backoff import BackoffLimits
from shoal.accounts.events import AccountStateChanged
from shoal.clock import reading
from shoal.connection import keepalive
from shoal.errors import StoreError
from shoal.sandbox import codec
from support.site.sandboxed import Hours, Shoal, Waits, impatient, looks
from support.site.standins import ANN, until

LOOKS: dict[str, Any] = {"probe_seconds": 1.0, "heartbeat_seconds": 0.1}
"""A push that is on its way for a second counts as missed, so no test may need it sooner."""


async def reopened(shoal: Shoal, **settings: Any) -> None:
    await shoal.close()
    await shoal.open(**LOOKS, **settings)


async def no_zombie(shoal: Shoal, unb: str) -> None:
    """Wait until the site knows of no deaf line any more."""
    async with asyncio.timeout(60):
        while (await shoal.sandbox.sockets(unb))["zombies"]:
            await asyncio.sleep(0.05)


async def said_to_be_deaf(shoal: Shoal, times: int) -> None:
    """Wait until the state history has it so often. The state itself may pass between two looks."""
    async with asyncio.timeout(60):
        while [move.reason for move in await shoal.store.timeline("shop")].count("deaf_connection") < times:
            await asyncio.sleep(0.02)


@pytest.mark.settings(heartbeat_timeout_seconds=1.0)
async def test_b2_unanswered_heartbeats_end_the_connection_and_it_comes_back(shoal: Shoal) -> None:
    unb = await shoal.add()
    await shoal.sandbox.do("fault", account=unb, kind="silent_zombie", heartbeats=False, times=1)
    await until(lambda: shoal.manager.observation("shop").state is not AccountState.RUNNING)
    await shoal.sandbox.do("faults/clear")
    await until(lambda: shoal.manager.observation("shop").state is AccountState.RUNNING)
    assert (await shoal.sandbox.sockets(unb))["max"] == 1


async def test_b4_a_line_whose_token_died_is_found_deaf_and_renewed_and_the_buyer_answered(shoal: Shoal) -> None:
    await shoal.sandbox.do("policy", replays_missed=False)
    await reopened(shoal)
    unb = await shoal.add(keywords={"在吗": "hi"})
    with shoal.manager.events.subscribe() as events:
        await shoal.sandbox.do("expire", account=unb, what="im_token")
        await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
        assert await shoal.sandbox.seen_soon(unb, "小鱼", 1) == ["hi"]
        await until(lambda: shoal.manager.observation("shop").state is AccountState.RUNNING)
        told = [event.observation for event in await events.take() if isinstance(event, AccountStateChanged)]
    assert len(await shoal.sandbox.calls("login.token", unb)) == 2
    await no_zombie(shoal, unb)
    assert told, "the owner sees that the line was down"


async def test_a_look_that_the_database_does_not_answer_ends_no_line_and_the_next_one_does(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    await reopened(shoal)
    unb, tries = await shoal.add(keywords={"在吗": "hi"}), 0

    async def broken(*_: object) -> set[str]:
        nonlocal tries
        tries += 1
        raise StoreError("disk broken")

    with monkeypatch.context() as reading_fails:
        reading_fails.setattr(shoal.log, "known", broken)
        await shoal.sandbox.do("fault", account=unb, kind="silent_zombie")
        await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
        await until(lambda: tries > 2)
        assert (await shoal.sandbox.sockets(unb))["total"] == 1
        assert shoal.manager.observation("shop").state is AccountState.RUNNING
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 1) == ["hi"]
    assert (await shoal.sandbox.sockets(unb))["total"] == 2


async def test_a_deaf_line_says_so_and_its_token_gets_a_second_chance_but_no_third(shoal: Shoal) -> None:
    hours, slow = Hours(shoal.sandbox), BackoffLimits(first_seconds=0.4, longest_seconds=0.5)
    with reading(hours.now_ms):
        await shoal.close()
        await shoal.open(backoff=slow, **LOOKS)
        unb = await shoal.add(keywords={"在吗": "hi"})
        for heard, minutes, calls in ((1, 0, 1), (2, 5, 1), (3, 6, 2)):
            await hours.pass_by(minutes * 60)
            await shoal.sandbox.do("fault", account=unb, kind="silent_zombie")
            await shoal.sandbox.do("say", account=unb, buyer="小鱼", text=f"在吗{heard}")
            await said_to_be_deaf(shoal, heard)
            await until(lambda: shoal.manager.observation("shop").state is AccountState.RUNNING, seconds=60)
            assert len(await shoal.sandbox.seen_soon(unb, "小鱼", heard)) == heard
            assert len(await shoal.sandbox.calls("login.token", unb)) == calls, "a young token is never blamed"


async def test_a_line_that_hears_only_what_it_cannot_read_asks_the_history_and_stays(shoal: Shoal) -> None:
    await reopened(shoal)
    unb = await shoal.add(keywords={"在吗": "hi"})
    world = shoal.sandbox.world
    buyer = world.buyer("小鱼")
    chat = world.chat(world.seller(unb), buyer)
    for number in (1, 2):
        world.write(chat, buyer.id, "在吗", codec.text_content("在吗"), codec.TEXT)  # the history has it
        await shoal.sandbox.do("push", account=unb, buyer="小鱼", shape="raw", data="nobody reads this")
        assert await shoal.sandbox.seen_soon(unb, "小鱼", number) == ["hi"] * number
    assert (await shoal.sandbox.sockets(unb))["total"] == 1, "the line is kept"
    assert shoal.push_counts.of("shop").unreadable_since(0) == 2


async def test_a_line_that_could_not_read_something_once_is_still_found_deaf_later(shoal: Shoal) -> None:
    await reopened(shoal)
    unb = await shoal.add(keywords={"在吗": "hi"})
    world = shoal.sandbox.world
    buyer = world.buyer("小鱼")
    world.write(world.chat(world.seller(unb), buyer), buyer.id, "在吗", codec.text_content("在吗"), codec.TEXT)
    await shoal.sandbox.do("push", account=unb, buyer="小鱼", shape="raw", data="nobody reads this")
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 1) == ["hi"]
    await shoal.sandbox.do("fault", account=unb, kind="silent_zombie")
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 2) == ["hi", "hi"]
    assert (await shoal.sandbox.sockets(unb))["total"] == 2, "an event of the line before is no excuse for this one"


async def test_the_card_of_a_buyer_who_pays_and_says_nothing_is_found_when_its_push_cannot_be_read(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    await reopened(shoal)
    unb = await shoal.add()
    await shoal.manager.update_settings("shop", {"paid_message": "网盘链接"}, caller=ANN)
    site = shoal.sandbox.site
    with monkeypatch.context() as new_form:
        new_form.setattr(site, "push_payload", lambda seller, *_: site.push(seller, "nobody reads this"))
        await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=shoal.item_of(unb))
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 1) == ["网盘链接"]
    assert (await shoal.sandbox.sockets(unb))["total"] == 1, "the line is kept"


async def test_a_line_that_is_deaf_and_has_still_to_catch_up_is_found_deaf(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch, "HistorySync")
    await shoal.sandbox.do("policy", replays_missed=False)
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.close()
    await shoal.sandbox.do("fault", account=unb, kind="hold", which="conversations", times=1)
    await shoal.open(probe_seconds=0.5, heartbeat_seconds=0.1)
    await until(lambda: shoal.manager.observation("shop").state is AccountState.RUNNING)
    await shoal.sandbox.do("fault", account=unb, kind="silent_zombie")
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 1) == ["hi"]
    await no_zombie(shoal, unb)


async def test_a_quiet_line_and_a_busy_one_are_left_alone(shoal: Shoal) -> None:
    await reopened(shoal)
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    await shoal.sandbox.seen_soon(unb, "小鱼", 1)
    await shoal.sandbox.do("seller_say", account=unb, buyer="小虾", text="你好")
    await shoal.sandbox.do("pay", account=unb, buyer="小虾", item=shoal.item_of(unb))
    await looks(shoal, unb, 3)
    assert (await shoal.sandbox.sockets(unb))["total"] == 1


async def test_a_message_that_was_only_slow_is_no_reason_to_reconnect(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keepalive, "ON_ITS_WAY_SECONDS", Waits.SECONDS)
    waits = Waits(monkeypatch, keepalive)
    await shoal.close()
    await shoal.open(probe_seconds=60.0, heartbeat_seconds=0.1)
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.sandbox.do("fault", account=unb, kind="batch_push", size=2)  # kept back until there are two
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    while not waits.begun:  # a push that comes late puts the look off
        waits.pass_by(60)
        await shoal.beats()
    await shoal.sandbox.do("say", account=unb, buyer="小虾", text="在吗")
    await shoal.is_done()
    waits.end()
    again = asyncio.create_task(looks(shoal, unb, 1))  # the look before has found nothing
    while not again.done():
        waits.pass_by(60)
        await shoal.beats()
    await again
    await shoal.beats()
    assert (await shoal.sandbox.sockets(unb))["total"] == 1
    assert await shoal.sandbox.seen(unb, "小鱼") == ["hi"]


async def test_a_site_that_refuses_its_lists_is_no_reason_to_reconnect(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch, "HistorySync")
    await reopened(shoal)
    unb = await shoal.add()
    await shoal.sandbox.do("fault", account=unb, kind="hold", which="conversations")
    await looks(shoal, unb, 3)
    assert (await shoal.sandbox.sockets(unb))["total"] == 1
    assert shoal.manager.observation("shop").state is AccountState.RUNNING
