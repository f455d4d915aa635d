"""What cards, marks and pages tell about orders, over the real wire; and what makes nothing of itself."""

from __future__ import annotations

import pytest

from shoal.orders.order_store import Action, ActionState, Order, OrderUpdate
from shoal.sandbox import cards, codec
from support.orders.order_steps import (
    CONSIGN,
    FREE,
    calls,
    order_action,
    order_soon,
    paid_card,
    pay,
    paying_shop,
    pushed,
    running,
    words,
)
from support.site.sandboxed import Shoal
from support.site.standins import ANN, until
from wire.frames import BUYER, CHAT, ITEM, ME, ORDER, all_frames


async def test_an_orders_time_line_holds_every_card_with_its_time(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    order_id = await pay(shoal, unb, mark=False)
    await order_soon(shoal, order_id, status="shipped")
    await pay(shoal, unb, card="completed", order_id=order_id, mark=False)
    order = await order_soon(shoal, order_id, status="completed")
    assert (order.item_id, order.buyer_id) == (shoal.item_of(unb), shoal.sandbox.world.buyer("小鱼").id)
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.DONE)  # its answer may come after the card
    lines = await shoal.book.events("shop", order_id)
    cards = [event for event in lines if event.source == "card"]
    assert [(event.words, event.status) for event in cards] == [
        ("我已拍下，待付款", "processing"), ("我已付款，等待你发货", "pending_ship"), ("你已发货", "shipped"),
        ("买家确认收货，交易成功", "completed"),
    ]  # fmt: skip
    site_times = [event.site_at_ms or 0 for event in cards]
    assert site_times == sorted(site_times)
    assert all((event.site_at_ms or 0) <= event.at_ms for event in cards)
    assert [(event.action, event.outcome) for event in lines if event.source == "auto" and event.action] == [
        ("paid_message", "done"), ("confirm", "done"),
    ]  # fmt: skip


async def test_what_was_bought_is_read_from_the_orders_page(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    order_id = await pay(shoal, unb, price_fen=1250, quantity=2, spec="尺码:大")
    order = await order_soon(shoal, order_id, amount="25.00")
    assert (order.quantity, order.spec_name, order.spec_value) == ("2", "尺码", "大")


@pytest.mark.parametrize("fault", ["http_500", "html_answer"])
async def test_an_orders_page_that_cannot_be_read_does_no_harm(shoal: Shoal, fault: str) -> None:
    unb = await paying_shop(shoal)
    await shoal.sandbox.do("fault", account=unb, kind=fault, which="order", times=9)
    order_id = await pay(shoal, unb)
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.DONE)
    assert (await order_soon(shoal, order_id, status="shipped")).amount == ""
    await running(shoal)


async def test_c10_a_typed_trigger_text_or_a_card_without_an_order_is_no_order(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    paid = "[我已付款，等待你发货]"
    for text in (paid, f"{paid} orderId=1234567890123456789", "fleamarket://order_detail?id=1234567890123456789"):
        await shoal.sandbox.do("say", account=unb, buyer="小鱼", text=text)
    typed = codec.text_content(f"{paid} fleamarket://order_detail?id=1234567890123456789&role=seller")
    await pushed(shoal, unb, typed, content_type=codec.TEXT, summary=paid)
    await pushed(shoal, unb, typed, content_type=codec.TIPS, summary=paid)
    bare = '{"contentType":26,"dxCard":{"item":{"main":{"exContent":{"title":"我已付款，等待你发货"}}}}}'
    await pushed(shoal, unb, bare, content_type=codec.TRADE_CARD, summary=paid, bizTag="{}")
    await shoal.is_done()
    assert await shoal.book.orders(["shop"]) == []
    assert (await calls(shoal, CONSIGN, unb), await words(shoal, unb)) == (0, [])


async def test_c10_a_card_of_our_own_purchase_is_no_order_of_ours(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    card = cards.card_content("paid", "4500000000000000077").replace("role=seller", "role=buyer")
    await pushed(shoal, unb, card, content_type=codec.TRADE_CARD, summary="[我已付款，等待你发货]", bizTag="{}")
    await shoal.is_done()
    assert await shoal.book.orders(["shop"]) == []
    assert await calls(shoal, CONSIGN, unb) == 0


async def test_c12_a_paid_order_of_an_unlisted_item_is_served_or_its_owner_is_told(shoal: Shoal) -> None:
    unb = await paying_shop(shoal, message="")
    told: list[Order] = []
    shoal.book.on_change(told.append)
    order_id = await pay(shoal, unb, item="899999999999")
    order = await order_soon(shoal, order_id, problem="no_paid_message")
    assert (order.item_id, order.status) == ("899999999999", "pending_ship")
    await until(lambda: "no_paid_message" in {order.problem for order in told})  # told just after it is stored
    assert await calls(shoal, CONSIGN, unb) == 0
    await shoal.manager.update_settings("shop", {"paid_message": "网盘链接 {order_id}"}, caller=ANN)
    second = await pay(shoal, unb, item="899999999999", buyer="小虾")
    await order_action(shoal, second, Action.CONFIRM, ActionState.DONE)


async def test_c12_an_item_that_the_card_does_not_name_is_asked_for_and_never_invented(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    item = shoal.item_of(unb)
    await shoal.manager.update_item("shop", item, {"paid_message": "网盘链接 专用"}, caller=ANN)
    order_id = (await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=item, quiet=True))["order_id"]
    await paid_card(shoal, unb, order_id)
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.DONE)
    assert await words(shoal, unb) == ["网盘链接 专用"]


async def test_c12_an_item_that_nobody_names_is_left_to_the_owner(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    await shoal.manager.update_item("shop", shoal.item_of(unb), {"paid_message": "网盘链接 专用"}, caller=ANN)
    order_id = (await shoal.sandbox.do("pay", account=unb, buyer="小鱼", quiet=True))["order_id"]
    await shoal.sandbox.do("fault", account=unb, kind="http_500", which="order", times=9)
    await paid_card(shoal, unb, order_id)
    assert (await order_soon(shoal, order_id, problem="unknown_item")).item_id is None
    assert (await calls(shoal, CONSIGN, unb), await words(shoal, unb)) == (0, [])


async def test_c13_a_close_mark_cancels_the_order_it_can_only_mean(shoal: Shoal) -> None:
    unb = await paying_shop(shoal, message="")
    order_id = await pay(shoal, unb, card="not_paid")
    await order_soon(shoal, order_id, status="processing")
    await shoal.sandbox.do("order_mark", account=unb, buyer="小鱼", red_reminder="交易关闭")
    await order_soon(shoal, order_id, status="cancelled")
    assert [event.source for event in await shoal.book.events("shop", order_id)][-1] == "mark"
    await pay(shoal, unb, card="paid", order_id=order_id)
    await shoal.is_done()
    assert (await order_soon(shoal, order_id, status="cancelled")).problem == ""


async def test_c13_a_waiting_mark_makes_nobody_deliver(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    order_id = await pay(shoal, unb, card="not_paid")
    await order_soon(shoal, order_id, status="processing")
    await shoal.sandbox.do("order_mark", account=unb, buyer="小鱼", red_reminder="等待卖家发货")
    await order_soon(shoal, order_id, status="pending_ship", problem="paid_without_card")
    await shoal.is_done()
    assert (await calls(shoal, CONSIGN, unb), await words(shoal, unb)) == (0, [])


async def test_c14_a_withdrawn_refund_leads_back_and_the_order_is_served(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    order_id = await pay(shoal, unb)
    await pay(shoal, unb, card="refund_asked", order_id=order_id)
    await shoal.manager.update_cookie_status("shop", True, caller=ANN)
    order = await order_soon(shoal, order_id, status="refunding")
    assert order.problem == "refund_asked"
    await shoal.is_done()
    sent_before = await words(shoal, unb)
    await pay(shoal, unb, card="refund_withdrawn", order_id=order_id)
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.DONE)
    assert (sent_before, len(await words(shoal, unb))) == ([], 1)


async def test_a_refund_that_succeeds_ends_the_order_and_nothing_is_sent(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    order_id = await pay(shoal, unb)
    for card in ("refund_asked", "refunded"):
        await pay(shoal, unb, card=card, order_id=order_id)
    await shoal.manager.update_cookie_status("shop", True, caller=ANN)
    await order_soon(shoal, order_id, status="cancelled")
    await shoal.is_done()
    assert (await calls(shoal, CONSIGN, unb), await words(shoal, unb)) == (0, [])


async def test_what_a_person_shipped_meanwhile_is_neither_sent_nor_confirmed(shoal: Shoal) -> None:
    unb = await paying_shop(shoal, auto_confirm=True, message="")
    order_id = await pay(shoal, unb)
    await order_soon(shoal, order_id, problem="no_paid_message")
    await pay(shoal, unb, card="shipped", order_id=order_id)
    order = await order_soon(shoal, order_id, status="shipped")
    assert order.problem == ""
    assert await calls(shoal, CONSIGN, unb) == 0


async def test_an_order_that_was_cancelled_unheard_is_looked_up_before_it_is_served_late(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    order_id = await pay(shoal, unb, card="not_paid")
    await order_soon(shoal, order_id, status="processing")
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    await shoal.book.receive("shop", OrderUpdate(order_id=order_id, status="pending_ship", source="card", paid=True))
    await pay(shoal, unb, card="closed", order_id=order_id, quiet=True)
    await shoal.manager.update_cookie_status("shop", True, caller=ANN)
    await order_soon(shoal, order_id, status="cancelled")
    assert (await calls(shoal, CONSIGN, unb), await words(shoal, unb)) == (0, [])


async def test_a_card_from_before_the_account_was_added_is_left_alone(shoal: Shoal) -> None:
    world = shoal.sandbox.world
    unb = next(iter(world.sellers))
    world.clock.advance(-3600)
    order_id = await pay(shoal, unb)
    world.clock.advance(3600)
    assert await paying_shop(shoal) == unb
    again = await pay(shoal, unb, card="none", order_id=order_id)
    assert again == order_id
    lines = next(chat for chat in world.chats.values() if chat.seller_id == unb).lines
    card = next(line for line in lines if line.text == "[我已付款，等待你发货]")
    await shoal.sandbox.do("pay", account=unb, buyer="小鱼", card="paid", order_id=order_id, message_id=card.id)
    await order_soon(shoal, order_id, status="pending_ship")
    await order_action(shoal, order_id, Action.PAID_MESSAGE, ActionState.NOT_NEEDED)
    await shoal.is_done()
    assert (await calls(shoal, CONSIGN, unb), await words(shoal, unb)) == (0, [])


# ── group prices ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_group_price_is_completed_then_served_each_once(shoal: Shoal) -> None:
    unb = await paying_shop(shoal, free_shipping=True)
    order_id = await pay(shoal, unb, card="group")
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.DONE)
    await pay(shoal, unb, card="group", order_id=order_id)
    await pay(shoal, unb, card="paid", order_id=order_id)
    await shoal.is_done()
    assert (await calls(shoal, FREE, unb), await calls(shoal, CONSIGN, unb)) == (1, 1)
    assert len(await words(shoal, unb)) == 1
    apis = [call["api"] for call in (await shoal.sandbox.get("calls", account=unb))["items"]]
    assert [api.rsplit(".", 1)[-1] for api in apis if FREE in api or CONSIGN in api] == ["freeshipping", "dummy"]
    assert (await order_soon(shoal, order_id, status="shipped")).group_price


async def test_a_group_price_is_left_alone_while_the_switch_is_off(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    order_id = await pay(shoal, unb, card="group")
    await order_action(shoal, order_id, Action.FREE_SHIPPING, ActionState.NOT_NEEDED)
    order = await order_soon(shoal, order_id, status="group_pending")
    assert order.problem == ""
    await pay(shoal, unb, card="paid", order_id=order_id)  # it came about by itself
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.DONE)
    assert await calls(shoal, FREE, unb) == 0


async def test_c6_a_group_price_is_not_completed_when_there_is_nothing_to_hand_out(shoal: Shoal) -> None:
    unb = await paying_shop(shoal, free_shipping=True, message="")
    order_id = await pay(shoal, unb, card="group")
    await order_soon(shoal, order_id, problem="no_paid_message")
    assert (await calls(shoal, FREE, unb), await calls(shoal, CONSIGN, unb)) == (0, 0)


async def test_a_group_price_that_the_site_refuses_hands_nothing_out(shoal: Shoal) -> None:
    unb = await paying_shop(shoal, free_shipping=True)
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    order_id = await pay(shoal, unb, card="group")
    await pay(shoal, unb, card="closed", order_id=order_id, quiet=True)
    await shoal.sandbox.do("fault", account=unb, kind="http_500", which="order", times=9)
    await shoal.manager.update_cookie_status("shop", True, caller=ANN)
    await order_soon(shoal, order_id, problem="free_shipping_refused")
    assert (await calls(shoal, CONSIGN, unb), await words(shoal, unb)) == (0, [])


async def test_risk_control_at_the_confirmation_parks_and_confirms_after_the_owner_acted(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    await shoal.sandbox.do("fault", account=unb, kind="risk_control", which="consign", times=1)
    order_id = await pay(shoal, unb)
    await until(lambda: shoal.manager.observation("shop").reason == "risk_control")
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.PENDING)
    await shoal.pass_check(unb)
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.DONE)
    assert len(await words(shoal, unb)) == 1


async def test_c8_two_copies_of_one_card_in_one_push_serve_once(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    await shoal.sandbox.do("fault", account=unb, kind="batch_push", size=4)
    order_id = await pay(shoal, unb, mark=False)
    for _ in range(2):
        await pay(shoal, unb, card="paid", order_id=order_id, mark=False)
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.DONE)
    await shoal.is_done()
    assert (await calls(shoal, CONSIGN, unb), len(await words(shoal, unb))) == (1, 1)


@pytest.mark.parametrize("name", ["own_find_update_paid_order_in_biz_tag", "own_find_paid_card_order_in_biz_tag"])
async def test_g3_an_order_that_only_biz_tag_names_is_opened_and_served(shoal: Shoal, name: str) -> None:
    unb = await paying_shop(shoal)
    order_id = await pay(shoal, unb, quiet=True)
    chat = shoal.sandbox.world.chat(shoal.sandbox.world.seller(unb), shoal.sandbox.world.buyer("小鱼"))
    frame = next(one for one in all_frames() if one.name == name)
    now = str(shoal.sandbox.world.clock.now_ms())
    ids = {
        ME: unb,
        BUYER: chat.buyer.id,
        CHAT: chat.cid,
        ORDER: order_id,
        ITEM: shoal.item_of(unb),
        "1790000000000": now,
    }
    await shoal.sandbox.do("push", account=unb, buyer="小鱼", shape="payload", payload=frame.payload, replace=ids)
    await order_action(shoal, order_id, Action.PAID_MESSAGE, ActionState.DONE)
    assert len(await words(shoal, unb)) == 1
