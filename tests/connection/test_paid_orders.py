"""Paid orders over the real wire: the word first, then the confirmation, each at most once."""

from __future__ import annotations

import asyncio
import time

from shoal.accounts.account import AccountState
from shoal.connection.xianyu_live import ORDER_CALLS_AT_ONCE
from shoal.orders.order_store import Action, ActionState
from support.orders.order_steps import CONSIGN, action_state, held, order_action, order_soon, pay, paying_shop
from support.site.sandboxed import Shoal
from support.site.standins import ANN, until

CALLS_PER_SECOND, SLACK_SECONDS = 8.0, 0.05


async def test_a_paid_order_gets_its_message_first_and_is_confirmed_once(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    paid = await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=shoal.item_of(unb))
    await order_action(shoal, paid["order_id"], Action.CONFIRM, ActionState.DONE)
    assert (await shoal.sandbox.seen(unb, "小鱼"))[0] == f"网盘链接 {paid['order_id']}"
    assert len(await shoal.sandbox.calls("consign.dummy", unb)) == 1


async def test_c8_a_repeated_paid_card_delivers_once_even_after_a_restart(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    item = shoal.item_of(unb)
    paid = await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=item)
    await order_action(shoal, paid["order_id"], Action.CONFIRM, ActionState.DONE)
    await shoal.close()
    await shoal.open()
    await until(lambda: shoal.manager.observation("shop").state is AccountState.RUNNING)
    await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=item, card="paid", order_id=paid["order_id"])
    await shoal.is_done()
    words = [line for line in await shoal.sandbox.seen(unb, "小鱼") if line.startswith("网盘链接")]
    assert len(words) == 1
    assert len(await shoal.sandbox.calls("consign.dummy", unb)) == 1


async def test_an_order_that_was_cancelled_while_the_shop_was_off_gets_nothing(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    item = shoal.item_of(unb)
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    paid = await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=item)
    await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=item, card="closed", order_id=paid["order_id"])
    await shoal.manager.update_cookie_status("shop", True, caller=ANN)
    await order_action(shoal, paid["order_id"], Action.PAID_MESSAGE, ActionState.NOT_NEEDED)
    await order_action(shoal, paid["order_id"], Action.CONFIRM, ActionState.NOT_NEEDED)
    await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=item, card="paid", order_id=paid["order_id"])
    await shoal.is_done()
    assert not [line for line in await shoal.sandbox.seen(unb, "小鱼") if line.startswith("网盘链接")]
    assert not await shoal.sandbox.calls("consign.dummy", unb)


async def test_who_comes_back_to_many_orders_asks_about_them_spaced_and_serves_each(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    await shoal.close()
    paid = [await pay(shoal, unb, buyer=f"buyer{number}") for number in range(ORDER_CALLS_AT_ONCE + 4)]
    began = time.time()
    await shoal.open(order_calls_per_second=CALLS_PER_SECOND)
    for order_id in paid:
        await order_action(shoal, order_id, Action.CONFIRM, ActionState.DONE)
    for kind in ("trade.order.detail", CONSIGN):
        at = sorted(call["wall_ms"] / 1000 for call in await shoal.sandbox.calls(kind, unb))
        assert len(at) >= len(paid)
        spaced = at[ORDER_CALLS_AT_ONCE:]
        early = [n for n, when in enumerate(spaced, 1) if when - began < n / CALLS_PER_SECOND - SLACK_SECONDS]
        assert not early


async def test_who_paid_first_while_the_shop_was_away_is_served_first(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    await shoal.close()
    paid = []
    for number in range(12):
        paid.append(await pay(shoal, unb, buyer=f"buyer{number}"))
        await asyncio.sleep(0.005)  # payments of one millisecond have no order
    await shoal.open()
    for order_id in paid:
        await order_action(shoal, order_id, Action.CONFIRM, ActionState.DONE)
    received = [one for row in (await shoal.sandbox.get("receipts", account=unb))["items"] for one in row["received"]]
    assert [one["order_id"] for one in sorted(received, key=lambda one: one["seq"])] == paid


async def test_an_order_that_is_cancelled_while_its_message_leaves_is_not_confirmed(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    item = shoal.item_of(unb)
    await shoal.sandbox.do("fault", account=unb, kind="hold", which="send", times=1)
    paid = await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=item)
    await held(shoal, "send")
    await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=item, card="closed", order_id=paid["order_id"])
    await order_soon(shoal, paid["order_id"], status="cancelled")
    await shoal.sandbox.do("fault/release")
    await order_action(shoal, paid["order_id"], Action.CONFIRM, ActionState.NOT_NEEDED)
    assert await action_state(shoal.book, "shop", paid["order_id"], Action.PAID_MESSAGE) is ActionState.DONE
    assert not await shoal.sandbox.calls("consign.dummy", unb)


async def test_an_old_paid_card_does_not_unship_an_order(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    item = shoal.item_of(unb)
    paid = await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=item)
    await order_action(shoal, paid["order_id"], Action.CONFIRM, ActionState.DONE)
    await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=item, card="paid", order_id=paid["order_id"])
    await shoal.is_done()
    order = await shoal.book.order("shop", paid["order_id"])
    assert order is not None
    assert order.status == "shipped"


async def test_auto_confirm_off_sends_the_message_and_confirms_nothing(shoal: Shoal) -> None:
    unb = await paying_shop(shoal, auto_confirm=False)
    paid = await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=shoal.item_of(unb))
    await order_action(shoal, paid["order_id"], Action.CONFIRM, ActionState.NOT_NEEDED)
    assert len(await shoal.sandbox.seen(unb, "小鱼")) == 1
    assert not await shoal.sandbox.calls("consign.dummy", unb)


async def test_c6_c7_a_refused_paid_message_confirms_nothing(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    await shoal.sandbox.do("fault", account=unb, kind="send_refused", reason="CSI_FORBID")
    paid = await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=shoal.item_of(unb))
    await order_action(shoal, paid["order_id"], Action.PAID_MESSAGE, ActionState.FAILED)
    await shoal.is_done()
    assert not await shoal.sandbox.calls("consign.dummy", unb)
    order = await shoal.book.order("shop", paid["order_id"])
    assert order is not None
    assert (order.status, order.problem) == ("pending_ship", "message_refused")


async def test_c6_nothing_configured_confirms_nothing_but_nothing_to_send_does(shoal: Shoal) -> None:
    unb = await paying_shop(shoal, message="")
    item = shoal.item_of(unb)
    first = await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=item)
    await order_action(shoal, first["order_id"], Action.PAID_MESSAGE, ActionState.FAILED)
    assert not await shoal.sandbox.calls("consign.dummy", unb)
    await shoal.manager.update_item("shop", item, {"nothing_to_send": True}, caller=ANN)
    second = await shoal.sandbox.do("pay", account=unb, buyer="小虾", item=item)
    await order_action(shoal, second["order_id"], Action.CONFIRM, ActionState.DONE)
    assert len(await shoal.sandbox.calls("consign.dummy", unb)) == 1


async def test_c10_a_typed_trigger_text_is_no_order(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="[我已付款，等待你发货] orderId=1234567890123456789")
    await shoal.is_done()
    assert not await shoal.sandbox.calls("consign.dummy", unb)
    assert not await shoal.sandbox.seen(unb, "小鱼")


async def test_an_unanswered_confirmation_is_uncertain_and_never_repeated(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    await shoal.sandbox.do("fault", account=unb, kind="http_500", which="consign", times=1)
    paid = await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=shoal.item_of(unb))
    await order_action(shoal, paid["order_id"], Action.CONFIRM, ActionState.UNCERTAIN)
    await shoal.close()
    await shoal.open()
    await until(lambda: shoal.manager.observation("shop").state is AccountState.RUNNING)
    await shoal.is_done()
    assert len(await shoal.sandbox.calls("consign.dummy", unb)) <= 1


async def test_an_id_that_is_taken_again_serves_no_old_order(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    item = shoal.item_of(unb)
    paid = await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=item)
    await order_action(shoal, paid["order_id"], Action.CONFIRM, ActionState.DONE)
    await shoal.manager.remove_cookie("shop", caller=ANN)
    await until(lambda: "shop" not in shoal.manager.tasks)
    assert await paying_shop(shoal) == unb
    await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=item, card="paid", order_id=paid["order_id"])
    await shoal.is_done()
    words = [line for line in await shoal.sandbox.seen(unb, "小鱼") if line.startswith("网盘链接")]
    assert len(words) == 1
    assert len(await shoal.sandbox.calls("consign.dummy", unb)) == 1
