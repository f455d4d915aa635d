"""Orders as the site really sends them: parcels, group prices, refusals, payments that name no order. No socket."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shoal.clock import now_ms
from shoal.messages.chats import Chats
from shoal.messages.decisions import Decision
from shoal.orders import group_prices, order_pages
from shoal.orders import order_status as status_module
from shoal.orders import orders as orders_module
from shoal.orders.order_store import Action, ActionState, Why
from shoal.sandbox import cards, codec
from support.orders.order_shapes import COMPLETE, CONFIRM, ORDER, PAGE, calls, came_to, order_soon, page
from support.orders.order_steps import action_state
from support.site.standins import ANN, until
from support.site.without_sockets import BUYER, CHAT, ITEM, ME, OneShop


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders_module, "PAGE_LAG_SECONDS", 0.01)
    monkeypatch.setattr(group_prices, "WAITS_SECONDS", (0.01,) * 6)


# ── parcels ──


@pytest.mark.parametrize("kind", ["paid_parcel", "paid_unsaid"])
async def test_a_parcel_or_an_order_of_unknown_kind_is_never_confirmed_by_itself(shop: OneShop, kind: str) -> None:
    await shop.add(paid_message="货", auto_confirm=True)
    shop.site.pays(ORDER, kind)
    order = await order_soon(shop, problem="needs_parcel")
    assert (order.status, order.parcel) == ("pending_ship", "yes" if kind == "paid_parcel" else "")
    assert shop.site.said == ["货"]
    assert calls(shop, CONFIRM) == 0


async def test_a_card_that_says_that_no_parcel_is_needed_lets_the_order_be_confirmed(shop: OneShop) -> None:
    await shop.add(paid_message="货", auto_confirm=True)
    shop.site.pays(ORDER, "paid_unsaid")
    await order_soon(shop, problem="needs_parcel")
    shop.site.pays(ORDER)
    await order_soon(shop, status="shipped", problem="")
    assert (shop.site.said, calls(shop, CONFIRM)) == (["货"], 1)


async def test_the_owner_can_have_an_order_confirmed_that_nothing_says_the_kind_of(shop: OneShop) -> None:
    await shop.add(paid_message="货", auto_confirm=True)
    shop.site.pays(ORDER, "paid_unsaid")
    await order_soon(shop, problem="needs_parcel")
    assert await shop.orders.ask_again("shop", ORDER, Action.CONFIRM, actor="user:ann")
    await order_soon(shop, status="shipped", problem="")
    assert calls(shop, CONFIRM) == 1


async def test_an_order_that_goes_in_a_parcel_is_not_confirmed_at_its_owners_word_either(shop: OneShop) -> None:
    await shop.add(paid_message="货", auto_confirm=True)
    shop.site.pays(ORDER, "paid_parcel")
    await order_soon(shop, problem="needs_parcel")
    assert not await shop.orders.ask_again("shop", ORDER, Action.CONFIRM, actor="user:ann")
    assert await action_state(shop.orders, "shop", ORDER, Action.CONFIRM) is ActionState.FAILED
    assert calls(shop, CONFIRM) == 0


async def test_a_refund_whose_title_still_says_paid_serves_nothing(shop: OneShop) -> None:
    await shop.add(paid_message="货", auto_confirm=True)
    unreadable_page(shop)
    extra = cards.card_extra("refund_asked", ORDER, cid=CHAT, hex_id="0" * 32, receiver_id=ME)
    content, words = cards.card_content("paid", ORDER), cards.CARDS["refund_asked"].reminder
    shop.site.pushes(content, summary=words, content_type=codec.TRADE_CARD, extra=extra)
    await order_soon(shop, status="refunding", problem="refund_asked")
    await shop.decided(shop.site.says("好"), Decision.NO_RULE)
    assert (shop.site.said, await shop.orders.order_actions("shop", ORDER)) == ([], [])


# ── answers to a confirmation ──


async def test_an_order_that_is_shipped_already_counts_as_confirmed(shop: OneShop) -> None:
    await shop.add(paid_message="货", auto_confirm=True)
    shop.site.refused_calls[CONFIRM] = "ORDER_ALREADY_DELIVERY::已发货成功，请勿重复操作"
    shop.site.pays(ORDER)
    await order_soon(shop, status="shipped", problem="")
    assert await action_state(shop.orders, "shop", ORDER, Action.CONFIRM) is ActionState.DONE


async def test_a_confirmation_that_the_buyer_holds_up_is_made_again_when_the_order_is_ready(
    shop: OneShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_prices, "WAITS_SECONDS", (60.0,) * 6)
    await shop.add(paid_message="货", auto_confirm=True)
    shop.site.refused_calls[CONFIRM] = "BUYER_CONFIRM_INFO::买家确认信息后才能发货"
    shop.site.pays(ORDER)
    await came_to(shop, Action.CONFIRM, ActionState.FAILED, Why.NOT_READY)
    await order_soon(shop, problem="")
    shop.site.refused_calls.clear()
    shop.site.pays(ORDER, "group_ready")
    await order_soon(shop, status="shipped", problem="")
    assert (shop.site.said, calls(shop, CONFIRM)) == (["货"], 2)


async def test_a_confirmation_that_stays_held_up_is_tried_once_more_and_then_for_the_owner(
    shop: OneShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_module, "GROUP_PATIENCE_MS", 100)
    monkeypatch.setattr(group_prices, "WAITS_SECONDS", (0.02,) * 6)
    await shop.add(paid_message="货", auto_confirm=True)
    shop.site.refused_calls[CONFIRM] = "BUYER_CONFIRM_INFO::买家确认信息后才能发货"
    shop.site.pays(ORDER)
    await until(lambda: calls(shop, CONFIRM) == 2)
    await came_to(shop, Action.CONFIRM, ActionState.FAILED, Why.NOT_READY)
    await order_soon(shop, problem="group_not_ready")
    assert shop.site.said == ["货"]


# ── group prices ──


async def test_a_completed_group_price_gets_nothing_before_its_ready_card(shop: OneShop) -> None:
    await shop.add(paid_message="货", auto_confirm=True, free_shipping=True)
    page(shop, "等待刀成")
    shop.site.pays(ORDER, "group")
    await came_to(shop, Action.FREE_SHIPPING, ActionState.DONE)
    looks = calls(shop, PAGE)
    await until(lambda: calls(shop, PAGE) >= looks + 2)
    assert (shop.site.said, calls(shop, CONFIRM)) == ([], 0)
    page(shop, "等待卖家发货")
    shop.site.pays(ORDER, "group_ready")
    await order_soon(shop, status="shipped", problem="")
    shop.site.pays(ORDER, "group_ready")
    await shop.reopen()
    await shop.running()
    assert (shop.site.said, calls(shop, CONFIRM), calls(shop, COMPLETE)) == (["货"], 1, 1)


async def test_the_page_of_a_completed_group_price_stands_in_for_its_ready_card(shop: OneShop) -> None:
    await shop.add(paid_message="货", auto_confirm=True, free_shipping=True)
    page(shop, "等待刀成")
    shop.site.pays(ORDER, "group")
    await came_to(shop, Action.FREE_SHIPPING, ActionState.DONE)
    page(shop, "等待卖家发货")
    order = await order_soon(shop, problem="needs_parcel")  # no card said that it needs none
    assert (order.status, shop.site.said, calls(shop, CONFIRM)) == ("pending_ship", ["货"], 0)


@pytest.mark.parametrize(("completes", "problem"), [(True, "group_not_ready"), (False, "group_waiting")])
async def test_a_group_price_that_waits_too_long_is_for_its_owner_also_after_a_restart(
    shop: OneShop, monkeypatch: pytest.MonkeyPatch, completes: bool, problem: str
) -> None:
    monkeypatch.setattr(status_module, "GROUP_PATIENCE_MS", 300_000)
    await shop.add(paid_message="货", auto_confirm=True, free_shipping=completes)
    page(shop, "等待刀成")
    shop.site.pays(ORDER, "group")
    settled = ActionState.DONE if completes else ActionState.NOT_NEEDED
    await came_to(shop, Action.FREE_SHIPPING, settled)
    await order_soon(shop, status="group_pending", problem="")
    monkeypatch.setattr(status_module, "GROUP_PATIENCE_MS", 0)
    await shop.reopen()
    await order_soon(shop, status="group_pending", problem=problem)
    assert shop.site.said == []


@pytest.mark.parametrize("words", ["等待刀成", ""])
async def test_only_a_page_that_says_paid_makes_a_completed_group_price_ready(shop: OneShop, words: str) -> None:
    await shop.add(paid_message="货", auto_confirm=True, free_shipping=True)
    page(shop, words)
    shop.site.pays(ORDER, "group")
    await came_to(shop, Action.FREE_SHIPPING, ActionState.DONE)
    told = {"redReminder": "等待卖家发货", "redReminderStyle": "1"}
    shop.site.payload({"1": f"{CHAT}@goofish", "2": 1, "3": told, "4": now_ms() + 1000})
    await order_soon(shop, status="pending_ship")
    await shop.reopen()  # asks about it anew
    looks = calls(shop, PAGE)
    await until(lambda: calls(shop, PAGE) >= looks + 2)
    assert (shop.site.said, calls(shop, CONFIRM)) == ([], 0)
    page(shop, "等待卖家发货")
    await shop.reopen()
    await order_soon(shop, problem="needs_parcel")
    assert shop.site.said == ["货"]


async def test_a_group_price_that_was_opened_by_its_buyer_is_served_when_it_is_ready(shop: OneShop) -> None:
    await shop.add(paid_message="货", auto_confirm=True)
    shop.site.pays(ORDER, "group")
    await came_to(shop, Action.FREE_SHIPPING, ActionState.NOT_NEEDED)
    shop.site.pays(ORDER, "group_ready")
    await order_soon(shop, status="shipped", problem="")
    assert (shop.site.said, calls(shop, COMPLETE)) == (["货"], 0)


# ── payments that name no order ──


def paid_update() -> dict[str, Any]:
    """Return the update of a card that says "paid" and names no order."""
    told = {"reminderContent": "[已付款，待发货]", "redReminder": "等待买家付款", "extJson": '{"contentType":"26"}'}
    return {"1": "77.PNM", "2": f"{CHAT}@goofish", "3": 1, "4": {**told, "bizTag": '{"taskName":"已拍下_未付款_卖家"}'}}


async def test_a_payment_without_an_order_is_that_of_the_chats_open_order(shop: OneShop) -> None:
    await shop.add(paid_message="货", auto_confirm=True)
    shop.site.pays(ORDER, "not_paid")
    await order_soon(shop, status="processing")
    shop.site.payload(paid_update())
    await order_soon(shop, status="pending_ship", problem="needs_parcel")
    assert shop.site.said == ["货"]


async def test_what_the_site_says_of_a_chats_order_names_the_order_of_a_payment(shop: OneShop) -> None:
    await shop.add(paid_message="货", auto_confirm=True)
    told = {"orderId": ORDER, "itemId": ITEM, "itemSellerId": ME, "extUserId": BUYER, "ownerUserId": ME}
    shop.site.payload({"1": f"{CHAT}@goofish", "2": 1, "3": told, "4": now_ms()})
    order = await order_soon(shop)
    assert (order.item_id, order.buyer_id, order.chat_id, order.status) == (ITEM, BUYER, CHAT, "")
    shop.site.payload(paid_update())
    await order_soon(shop, status="pending_ship")
    await until(lambda: shop.site.said == ["货"])


async def test_a_payment_whose_order_nothing_tells_is_told_to_the_owner(shop: OneShop) -> None:
    await shop.add(paid_message="货", auto_confirm=True)
    for number in (ORDER, "4000000000000000002"):
        shop.site.pays(number, "not_paid")
        await order_soon(shop, number, status="processing")
    shop.site.payload(paid_update())
    told = await shop.decided("paid-77.PNM", Decision.PAID_UNKNOWN)
    assert (told.message.direction, told.message.text) == ("site", "[已付款，待发货]")
    assert not told.message.handled
    assert shop.site.said == []


async def test_a_repeated_payment_without_an_order_pays_no_other_order_and_tells_nothing_false(shop: OneShop) -> None:
    other = "4000000000000000002"
    await shop.add(paid_message="货 {order_id}", auto_confirm=True)
    shop.site.pays(ORDER, "not_paid")
    await order_soon(shop, status="processing")
    shop.site.payload(paid_update())
    await order_soon(shop, problem="needs_parcel")
    shop.site.payload(paid_update())
    shop.site.pays(other, "not_paid")
    await order_soon(shop, other, status="processing")
    shop.site.payload(paid_update())
    await shop.decided(shop.site.says("好"), Decision.NO_RULE)
    order = await order_soon(shop, other)
    assert (order.status, await shop.orders.order_actions("shop", other)) == ("processing", [])
    assert shop.site.said == [f"货 {ORDER}"]
    logged = await shop.log.list_messages(["shop"])
    assert all(one.message.decision != Decision.PAID_UNKNOWN for one in logged)


async def test_a_changed_card_that_names_no_order_is_about_that_of_the_card(shop: OneShop) -> None:
    other = "4000000000000000002"
    await shop.add(paid_message="货 {order_id}", auto_confirm=True)
    for number in (ORDER, other):
        card = shop.site.pays(number, "not_paid")
        await order_soon(shop, number, status="processing")
    shop.site.payload({**paid_update(), "1": card})
    await order_soon(shop, other, status="pending_ship", problem="needs_parcel")
    assert shop.site.said == [f"货 {other}"]
    assert (await order_soon(shop)).status == "processing"


@pytest.mark.parametrize("end", ["closed", "refunded"])
async def test_a_payment_of_an_order_that_is_closed_is_told_to_the_owner_and_serves_nothing(
    shop: OneShop, end: str
) -> None:
    await shop.add(paid_message="货", auto_confirm=True)
    card = shop.site.pays(ORDER, "not_paid")
    shop.site.pays(ORDER, end)
    await order_soon(shop, status="cancelled")
    shop.site.payload({**paid_update(), "1": card})
    told = await shop.decided(f"paid-{card}", Decision.PAID_UNKNOWN)
    assert (told.message.direction, told.message.text) == ("site", "[已付款，待发货]")
    assert (shop.site.said, calls(shop, CONFIRM), await shop.orders.order_actions("shop", ORDER)) == ([], 0, [])


async def test_a_payment_that_an_order_had_before_it_was_closed_is_told_to_nobody_again(shop: OneShop) -> None:
    await shop.add(paid_message="货", auto_confirm=True)
    card = shop.site.pays(ORDER, "not_paid")
    await order_soon(shop, status="processing")
    shop.site.payload({**paid_update(), "1": card})
    await order_soon(shop, problem="needs_parcel")
    shop.site.pays(ORDER, "refunded")
    await order_soon(shop, status="cancelled")
    shop.site.payload({**paid_update(), "1": card})
    await shop.decided(shop.site.says("好"), Decision.NO_RULE)
    logged = await shop.log.list_messages(["shop"])
    assert all(one.message.decision != Decision.PAID_UNKNOWN for one in logged)


# ── buyers who pay without writing ──


async def test_a_paid_card_makes_the_chat_known(shop: OneShop) -> None:
    await shop.add(paid_message="货", auto_confirm=True)
    shop.site.pays(ORDER)
    await order_soon(shop, status="shipped")
    chat = await Chats(shop.database).find("shop", CHAT, now_ms=now_ms())
    assert chat is not None
    assert (chat.buyer_id, chat.buyer_name, chat.item_id, chat.last_direction) == (BUYER, "t***1", ITEM, "site")
    assert [one.order_id for one in await shop.orders.orders(["shop"], query="t***1")] == [ORDER]
    shop.site.says("在吗")
    async with asyncio.timeout(60):
        while chat is None or chat.buyer_name != "小鱼":
            chat = await Chats(shop.database).find("shop", CHAT, now_ms=now_ms())
    assert (chat.buyer_id, chat.last_text, chat.last_direction) == (BUYER, "在吗", "in")


async def test_one_text_for_several_pieces_is_marked_until_its_owner_has_seen_it(shop: OneShop) -> None:
    await shop.add(paid_message="货", auto_confirm=True)
    page(shop, "等待卖家发货", buyAmount=3)
    shop.site.pays(ORDER)
    order = await order_soon(shop, status="shipped", problem="one_text")
    assert (order.quantity, order.one_text, shop.site.said) == ("3", "pieces", ["货"])
    settled = await shop.orders.owner_settles("shop", ORDER, Action.PAID_MESSAGE, ActionState.DONE, actor=str(ANN))
    assert settled
    await order_soon(shop, status="shipped", problem="")
    again = await shop.orders.owner_settles("shop", ORDER, Action.PAID_MESSAGE, ActionState.DONE, actor=str(ANN))
    assert not again


async def test_one_text_for_an_item_that_is_sold_in_two_specs_is_marked(shop: OneShop) -> None:
    await shop.add(paid_message="货", auto_confirm=True)
    page(shop, "等待卖家发货", buyAmount=1, skuInfo="版本:一年")
    shop.site.pays(ORDER)
    await order_soon(shop, status="shipped", problem="")
    page(shop, "等待卖家发货", buyAmount=1, skuInfo="版本:两年")
    shop.site.pays("4000000000000000002")
    await order_soon(shop, "4000000000000000002", status="shipped", problem="one_text", one_text="specs")


def unreadable_page(shop: OneShop) -> None:
    """Let the order's page be broken."""
    shop.site.answers.pop(PAGE, None)
    shop.site.refused_calls[PAGE] = "FAIL_SYS_SERVICE_TIMEOUT::服务超时"


async def test_one_text_is_marked_once_a_page_that_could_not_be_read_says_how_many_were_bought(
    shop: OneShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_pages, "AGAIN_SECONDS", (0.02,) * 100_000)
    await shop.add(paid_message="货", auto_confirm=True)
    unreadable_page(shop)
    shop.site.pays(ORDER)
    order = await order_soon(shop, status="shipped")
    assert (order.quantity, order.problem, shop.site.said) == ("", "", ["货"])
    page(shop, "等待买家收货", buyAmount=3)
    looked = asyncio.Event()
    with shop.orders.serving("shop", looked.set):
        shop.site.refused_calls.clear()
        order = await order_soon(shop, quantity="3", one_text="pieces", problem="one_text")
        await asyncio.wait_for(looked.wait(), 60)  # what is due may be another thing now
    assert (order.status, shop.site.said, calls(shop, CONFIRM)) == ("shipped", ["货"], 1)
    looks = calls(shop, PAGE)
    await shop.decided(shop.site.says("好"), Decision.NO_RULE)
    assert calls(shop, PAGE) == looks


async def test_one_text_is_marked_when_a_later_connection_reads_the_page(shop: OneShop) -> None:
    await shop.add(paid_message="货", auto_confirm=True)
    unreadable_page(shop)
    shop.site.pays(ORDER)
    await order_soon(shop, status="shipped", problem="")
    page(shop, "等待买家收货", buyAmount=3)
    shop.site.refused_calls.clear()
    await shop.reopen()
    await order_soon(shop, quantity="3", one_text="pieces", problem="one_text")
    assert await shop.orders.owner_settles("shop", ORDER, Action.PAID_MESSAGE, ActionState.DONE, actor=str(ANN))
    await shop.reopen()
    await shop.running()
    assert (await order_soon(shop)).problem == ""
    assert shop.site.said == ["货"]
