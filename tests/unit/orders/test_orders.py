"""A paid order: its message, then its confirmation, each once. The site is a stand-in that needs no socket."""

from __future__ import annotations

import asyncio

import pytest

from shoal.accounts import edits
from shoal.messages.sender import OutgoingMessage
from shoal.orders import deliveries as deliveries_module
from shoal.orders import orders as orders_module
from shoal.orders.order_store import Action, ActionState, Order, OrderUpdate
from support.orders.order_steps import action_state
from support.site.standins import ANN, until
from support.site.without_sockets import BUYER, CHAT, ITEM, SEND, OneShop

ORDER = "4000000000000000001"
CONFIRM, PAGE = "consign.dummy", "order.detail"


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders_module, "PAGE_LAG_SECONDS", 0.01)
    monkeypatch.setattr(deliveries_module, "ECHO_GRACE_SECONDS", 0.01)


async def came_to(shop: OneShop, action: Action, state: ActionState) -> Order:
    """Wait until an action of the order has come so far."""
    async with asyncio.timeout(60):
        while await action_state(shop.orders, "shop", ORDER, action) is not state:
            await asyncio.sleep(0.005)
    order = await shop.orders.order("shop", ORDER)
    assert order is not None
    return order


async def test_a_paid_order_gets_its_message_and_then_its_confirmation(shop: OneShop) -> None:
    await shop.add(paid_message="货 {order_id}", auto_confirm=True)
    confirmed_after: list[int] = []
    shop.site.on_call = lambda api: confirmed_after.append(len(shop.site.said)) if api.endswith(CONFIRM) else None
    shop.site.pays(ORDER)
    await came_to(shop, Action.CONFIRM, ActionState.DONE)
    assert shop.site.said == [f"货 {ORDER}"]
    assert confirmed_after == [1]


async def test_a_card_that_comes_again_serves_nothing_again(shop: OneShop) -> None:
    await shop.add(paid_message="货", auto_confirm=True)
    shop.site.pays(ORDER)
    await came_to(shop, Action.CONFIRM, ActionState.DONE)
    shop.site.pays(ORDER)
    await until(lambda: shop.site.acknowledged() == 2)
    await shop.reopen()
    await shop.running()
    assert shop.site.said == ["货"]
    assert sum(api.endswith(CONFIRM) for api in shop.site.calls) == 1


async def test_an_order_whose_page_says_that_nobody_paid_gets_nothing(shop: OneShop) -> None:
    await shop.add(paid_message="货", auto_confirm=True)
    shop.site.answers[PAGE] = {
        "components": [{"render": "orderStatusVO", "data": {"orderStatusInfo": {"title": "等待买家付款"}}}]
    }
    shop.site.pays(ORDER)
    order = await came_to(shop, Action.PAID_MESSAGE, ActionState.FAILED)
    assert order.problem
    assert shop.site.said == []
    assert not [api for api in shop.site.calls if api.endswith(CONFIRM)]


@pytest.mark.slow
async def test_an_uncertain_message_is_not_sent_again_by_the_next_connection(shop: OneShop) -> None:
    await shop.reopen(send_timeout_seconds=0.5)
    await shop.add(paid_message="货", auto_confirm=True)
    shop.site.silent = [SEND] * 3
    shop.site.pays(ORDER)
    await came_to(shop, Action.PAID_MESSAGE, ActionState.UNCERTAIN)
    await shop.sender.send(OutgoingMessage(chat_id=CHAT, buyer_id=BUYER, text="by hand"))
    await shop.sendings("uncertain", "uncertain")
    await shop.reopen()
    await shop.sendings("uncertain", "sent")  # it went through the chat, and left out the order's message
    assert shop.site.said == ["货", "by hand", "by hand", "by hand"]
    assert not [api for api in shop.site.calls if api.endswith(CONFIRM)]


async def test_a_refused_confirmation_is_left_to_the_owner(shop: OneShop) -> None:
    await shop.add(paid_message="货", auto_confirm=True)
    shop.site.refused_calls[CONFIRM] = "FAIL_BIZ_ORDER::不能发货"
    shop.site.pays(ORDER)
    order = await came_to(shop, Action.CONFIRM, ActionState.FAILED)
    assert order.problem


async def test_a_switch_that_is_off_confirms_nothing(shop: OneShop) -> None:
    await shop.add(paid_message="货", auto_confirm=False)
    shop.site.pays(ORDER)
    await came_to(shop, Action.CONFIRM, ActionState.NOT_NEEDED)
    assert shop.site.said == ["货"]
    assert not [api for api in shop.site.calls if api.endswith(CONFIRM)]


async def test_a_paid_order_of_an_unknown_buyer_is_told_and_gets_nothing(shop: OneShop) -> None:
    await shop.add(paid_message="货", auto_confirm=True)
    shop.site.answers[PAGE] = {"components": []}
    await shop.orders.receive("shop", OrderUpdate(order_id=ORDER, status="pending_ship", source="card", paid=True))
    await shop.reopen()
    order = await came_to(shop, Action.PAID_MESSAGE, ActionState.FAILED)
    assert order.problem == "incomplete_card"
    assert shop.site.said == []


async def test_while_deliveries_are_off_nothing_is_sent_or_confirmed_and_the_reason_is_shown(shop: OneShop) -> None:
    await shop.add(paid_message="货", auto_confirm=True, delivery=False)
    shop.site.pays(ORDER)
    order = await came_to(shop, Action.PAID_MESSAGE, ActionState.FAILED)
    assert order.problem == "delivery_off"
    await shop.set(delivery=True)
    await shop.reopen()
    await shop.running()
    assert shop.site.said == [], "its owner may have served it by hand"
    await shop.orders.ask_again("shop", ORDER, Action.PAID_MESSAGE, actor="user:ann")
    await came_to(shop, Action.CONFIRM, ActionState.DONE)
    assert shop.site.said == ["货"]


async def test_a_switch_turned_off_before_the_confirmation_holds_it_back(shop: OneShop) -> None:
    await shop.add(paid_message="货", auto_confirm=True)
    shop.site.held = []
    shop.site.pays(ORDER)
    await until(lambda: len(shop.site.said) == 1)
    await shop.set(delivery=False)
    shop.site.release()
    order = await came_to(shop, Action.CONFIRM, ActionState.FAILED)
    assert order.problem == "delivery_off"
    assert not [api for api in shop.site.calls if api.endswith(CONFIRM)]
    await shop.orders.ask_again("shop", ORDER, Action.CONFIRM, actor="user:ann")
    await came_to(shop, Action.CONFIRM, ActionState.DONE)


def page_of(spec: str) -> dict[str, object]:
    """The page of a paid order of one piece in that spec."""
    info = {"itemInfo": {"itemId": ITEM, "buyAmount": "1", "skuInfo": spec}}
    status = {"orderStatusInfo": {"title": "等待卖家发货"}}
    return {
        "components": [{"render": "orderStatusVO", "data": status}, {"render": "orderInfoVO", "data": info}],
        "peerUserId": BUYER,
    }


async def by_spec(shop: OneShop) -> None:
    """A shop that sells two specs of the item."""
    await shop.add(auto_confirm=True)
    rules: list[dict[str, object]] = [
        {"item_id": ITEM, "spec": "时长:月卡", "parts": [{"text": "月 {order_id}"}]},
        {"item_id": ITEM, "spec": "时长:年卡", "parts": [{"text": "年"}], "confirm": "no"},
    ]
    await shop.manager.update_deliveries("shop", edits.deliveries(rules), caller=ANN)


async def test_a_buyer_gets_what_is_for_the_spec_that_was_bought(shop: OneShop) -> None:
    await by_spec(shop)
    shop.site.answers[PAGE] = page_of("时长：月卡")
    shop.site.pays(ORDER)
    await came_to(shop, Action.CONFIRM, ActionState.DONE)
    assert shop.site.said == [f"月 {ORDER}"]


async def test_a_rule_that_confirms_nothing_leaves_the_shipment_to_the_owner(shop: OneShop) -> None:
    await by_spec(shop)
    shop.site.answers[PAGE] = page_of("时长:年卡")
    shop.site.pays(ORDER)
    order = await came_to(shop, Action.CONFIRM, ActionState.NOT_NEEDED)
    assert (shop.site.said, order.problem) == (["年"], "")


async def test_an_order_of_another_spec_gets_nothing_and_says_why(shop: OneShop) -> None:
    await by_spec(shop)
    shop.site.answers[PAGE] = page_of("时长:周卡")
    shop.site.pays(ORDER)
    order = await came_to(shop, Action.PAID_MESSAGE, ActionState.FAILED)
    assert (shop.site.said, order.problem) == ([], "unknown_spec")


async def test_an_order_whose_page_cannot_be_read_is_served_once_it_can(
    shop: OneShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries_module, "PAGE_WAITS_MS", (50, 200))
    await by_spec(shop)
    shop.site.refused_calls[PAGE] = "FAIL_SYS_SERVICE_TIMEOUT::busy"
    shop.site.pays(ORDER)
    await until(lambda: sum(api.endswith(PAGE) for api in shop.site.calls) >= 3)
    assert shop.site.said == []
    del shop.site.refused_calls[PAGE]
    shop.site.answers[PAGE] = page_of("时长:月卡")
    order = await came_to(shop, Action.CONFIRM, ActionState.DONE)
    assert (shop.site.said, order.problem) == ([f"月 {ORDER}"], "")
