"""Cards that lie, echoes that come late, buyers who change their mind: the order's page is asked, nothing is risked."""

from __future__ import annotations

import asyncio

import pytest

from shoal.clock import reading
from shoal.orders import orders
from shoal.orders.order_records import Received
from shoal.orders.order_store import Action, ActionState, OrderUpdate
from support.orders.order_steps import (
    CONSIGN,
    PATIENCE,
    action_state,
    calls,
    held,
    order_action,
    order_soon,
    paid_card,
    pay,
    paying_shop,
    running,
    words,
)
from support.site.sandboxed import UNANSWERED, Shoal
from support.site.standins import ANN


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages do not lag in the sandbox."""
    monkeypatch.setattr(orders, "PAGE_LAG_SECONDS", 0.05)


async def test_c10_a_card_that_a_person_sent_is_no_order(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    real = await pay(shoal, unb, card="paid", quiet=True)
    await paid_card(shoal, unb, real, by_site=False)
    other = await pay(shoal, unb, buyer="小虾")  # what comes after it has been served
    await order_action(shoal, other, Action.CONFIRM, ActionState.DONE)
    assert [order.order_id for order in await shoal.book.orders(["shop"])] == [other]
    assert await words(shoal, unb) == []


async def test_c10_a_paid_card_of_an_order_that_nobody_paid_hands_nothing_out(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    order_id = await pay(shoal, unb, card="not_paid")
    await paid_card(shoal, unb, order_id)
    await order_soon(shoal, order_id, problem="unpaid_on_site")
    assert (await calls(shoal, CONSIGN, unb), await words(shoal, unb)) == (0, [])
    await pay(shoal, unb, card="paid", order_id=order_id)  # now it is paid
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.DONE)
    assert len(await words(shoal, unb)) == 1


@pytest.mark.parametrize("whose", ["nobody's", "another seller's"])
async def test_c10_a_paid_card_of_an_order_that_is_not_ours_hands_nothing_out(shoal: Shoal, whose: str) -> None:
    unb = await paying_shop(shoal)
    order_id = "4500000000000000077"
    if whose == "another seller's":
        other = list(shoal.sandbox.world.sellers)[1]
        order_id = (await shoal.sandbox.do("pay", account=other, buyer="小鱼", quiet=True))["order_id"]
    await paid_card(shoal, unb, order_id, item_id=shoal.item_of(unb))
    await order_soon(shoal, order_id, problem="unpaid_on_site")
    assert (await calls(shoal, CONSIGN, unb), await words(shoal, unb)) == (0, [])


async def test_an_owner_has_an_order_served_whatever_its_page_says(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    order_id = await pay(shoal, unb, card="not_paid")
    await paid_card(shoal, unb, order_id)
    await order_soon(shoal, order_id, problem="unpaid_on_site")
    assert await shoal.book.ask_again("shop", order_id, Action.PAID_MESSAGE, actor="user:ann")
    await order_action(shoal, order_id, Action.PAID_MESSAGE, ActionState.DONE)
    assert len(await words(shoal, unb)) == 1


async def test_a_page_that_lags_behind_its_card_is_looked_at_once_more(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    unb = await paying_shop(shoal)
    order_id = await pay(shoal, unb, card="not_paid")
    await order_soon(shoal, order_id, status="processing")

    async def lag(seconds: float) -> None:
        await pay(shoal, unb, card="paid", order_id=order_id, quiet=True)

    class Lag:
        """``asyncio`` as `orders` has it, but that the page catches up while it waits."""

        sleep = staticmethod(lag)
        Lock = asyncio.Lock

    monkeypatch.setattr(orders, "asyncio", Lag)
    await paid_card(shoal, unb, order_id)
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.DONE)
    assert len(await words(shoal, unb)) == 1


async def test_what_was_bought_is_said_by_the_page_and_not_by_what_the_chat_is_about(shoal: Shoal) -> None:
    unb = await paying_shop(shoal, message="网盘链接 便宜")
    cheap, dear = list(shoal.sandbox.world.seller(unb).items)[:2]
    await shoal.manager.update_item("shop", dear, {"paid_message": "网盘链接 贵"}, caller=ANN)
    order_id = await pay(shoal, unb, item=cheap, quiet=True)
    await paid_card(shoal, unb, order_id, item_id=dear)
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.DONE)
    assert await words(shoal, unb) == ["网盘链接 便宜"]
    cards = len(await shoal.book.events("shop", order_id))
    await paid_card(shoal, unb, order_id, item_id=dear)
    async with asyncio.timeout(PATIENCE):
        while len(await shoal.book.events("shop", order_id)) == cards:
            await asyncio.sleep(0.02)
    assert (await order_soon(shoal, order_id)).item_id == cheap


async def test_f4_the_page_names_no_other_buyer_than_the_card_did(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who stands in the chat gets the word; a page that names somebody else is no reason to write to another."""
    unb = await paying_shop(shoal, auto_confirm=False)
    world = shoal.sandbox.world
    known, other = world.buyer("小鱼").id, world.buyer("小虾").id
    hear = shoal.book.receive

    async def hearing(account_id: str, news: OrderUpdate) -> Received:
        heard = await hear(account_id, news)
        if news.paid:  # its page is looked at next
            world.orders[news.order_id].buyer_id = other
        return heard

    monkeypatch.setattr(shoal.book, "receive", hearing)
    order_id = await pay(shoal, unb)
    await order_action(shoal, order_id, Action.PAID_MESSAGE, ActionState.DONE)
    assert world.orders[order_id].buyer_id == other
    assert (await order_soon(shoal, order_id)).buyer_id == known
    assert (len(await words(shoal, unb)), await words(shoal, unb, "小虾")) == (1, [])


async def test_a_refund_that_is_asked_while_the_message_waits_for_its_turn_sends_nothing(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    await shoal.manager.update_keywords("shop", [("在吗", "在的")], caller=ANN)
    await shoal.sandbox.do("fault", account=unb, kind="hold", which="send")
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    await held(shoal, "send")
    order_id = await pay(shoal, unb)
    await order_soon(shoal, order_id, quantity="1")  # its page was read: its message waits
    await pay(shoal, unb, card="refund_asked", order_id=order_id)
    await order_soon(shoal, order_id, status="refunding")
    await shoal.sandbox.do("fault/release")
    await shoal.sandbox.do("faults/clear")
    await shoal.sandbox.seen_soon(unb, "小鱼", 1)
    await shoal.is_done()
    await order_action(shoal, order_id, Action.PAID_MESSAGE, ActionState.PENDING)
    assert await words(shoal, unb) == []
    await pay(shoal, unb, card="refund_withdrawn", order_id=order_id)
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.DONE)
    assert len(await words(shoal, unb)) == 1


@pytest.mark.settings(send_timeout_seconds=UNANSWERED)
async def test_an_echo_that_comes_late_lets_the_order_go_on_over_the_same_connection(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    await shoal.sandbox.do("fault", account=unb, kind="send_timeout", delivered=False)
    order_id = await pay(shoal, unb)
    await order_soon(shoal, order_id, problem="message_uncertain")
    await shoal.is_done()
    assert await calls(shoal, CONSIGN, unb) == 0
    await shoal.sandbox.do("seller_say", account=unb, buyer="小鱼", text=f"网盘链接 {order_id}")
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.DONE)
    assert (await shoal.sandbox.sockets(unb))["total"] == 1


async def test_a_confirmation_that_was_refused_since_a_person_shipped_calls_nobody(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    await shoal.sandbox.do("fault", account=unb, kind="hold", which="send", times=1)
    order_id = await pay(shoal, unb)
    await held(shoal, "send")
    await pay(shoal, unb, card="shipped", order_id=order_id, quiet=True)
    await shoal.sandbox.do("fault/release")
    assert (await order_soon(shoal, order_id, status="shipped")).problem == ""
    assert len(await words(shoal, unb)) == 1


async def test_a_clock_that_is_put_back_makes_no_order_one_from_before_the_account(shoal: Shoal) -> None:
    with reading(lambda: shoal.sandbox.world.clock.now_ms() + 3600_000):
        await shoal.close()
        await shoal.open()
        unb = await paying_shop(shoal)
        await shoal.close()
    await shoal.open()
    await running(shoal)
    order_id = await pay(shoal, unb)
    async with asyncio.timeout(PATIENCE):
        while await action_state(shoal.book, "shop", order_id, Action.PAID_MESSAGE) is None:
            await asyncio.sleep(0.02)
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.DONE)
