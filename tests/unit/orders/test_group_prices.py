"""Group prices that wait: which are looked at, when, and by which task. No socket."""

from __future__ import annotations

import asyncio
import json
from unittest import mock

import pytest
from sqlalchemy import update

from shoal.clock import now_ms
from shoal.errors import StoreError
from shoal.messages.task_drain import TaskDrain
from shoal.orders import group_prices
from shoal.orders import order_status as status_module
from shoal.orders import orders as orders_module
from shoal.orders.group_prices import GroupPrices
from shoal.orders.order_records import Order
from shoal.orders.order_status import TAKE_UP_MS
from shoal.orders.order_store import Action, ActionState, OrderStore, Why
from shoal.storage.order_tables import order_actions
from support.orders.order_shapes import COMPLETE, CONFIRM, ORDER, PAGE, calls, came_to, order_soon, page
from support.site.standins import ANN, until
from support.site.without_sockets import BUYER, CHAT, ITEM, ME, OneShop

OTHER = "4000000000000000002"


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders_module, "PAGE_LAG_SECONDS", 0.01)
    monkeypatch.setattr(group_prices, "WAITS_SECONDS", (0.02,) * 6)
    monkeypatch.setattr(status_module, "GROUP_PATIENCE_MS", 100)


async def test_a_group_price_without_its_card_is_for_the_owner_who_can_complete_it(shop: OneShop) -> None:
    await shop.add(paid_message="货", free_shipping=True)
    shop.site.pays(ORDER, "not_paid")
    await order_soon(shop, status="processing")
    told = {"redReminder": "我已小刀，待刀成", "redReminderStyle": "1"}
    shop.site.payload({"1": f"{CHAT}@goofish", "2": 1, "3": told, "4": now_ms() + 1000})
    await order_soon(shop, status="group_pending", problem="group_without_card")
    assert calls(shop, COMPLETE) == 0
    page(shop, "等待刀成")
    assert await shop.orders.ask_again("shop", ORDER, Action.FREE_SHIPPING, actor="user:ann")
    await came_to(shop, Action.FREE_SHIPPING, ActionState.DONE)
    assert calls(shop, COMPLETE) == 1


def is_paid_once_completed(shop: OneShop) -> None:
    """Let the page say that the order is paid from its next completion on."""
    page(shop, "等待刀成")
    shop.site.on_call = lambda api: page(shop, "等待卖家发货") if api.endswith(COMPLETE) else None


async def test_a_look_that_the_database_cuts_short_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_prices, "WAITS_SECONDS", (0.02,))  # the first look is the last
    store, asked = mock.create_autospec(OrderStore, instance=True), list[bool]()
    waiting = [mock.Mock(order_id=ORDER)]
    store.waiting_groups.side_effect = [waiting, StoreError("the disk is full"), waiting]

    async def ask(order: Order, *, is_last: bool) -> None:
        asked.append(is_last)

    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        await group_prices.GroupPrices(store, tasks, ask, account_id="shop").look()
    assert asked == [True]


async def test_a_completion_that_its_owner_asked_for_late_is_followed(
    shop: OneShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_prices, "WAITS_SECONDS", (0.2,))  # one look: nothing follows it afterwards
    await shop.add(paid_message="货", free_shipping=False)
    is_paid_once_completed(shop)
    shop.site.pays(ORDER, "group")
    await order_soon(shop, problem="group_waiting")
    assert await shop.orders.ask_again("shop", ORDER, Action.FREE_SHIPPING, actor="user:ann")
    await until(lambda: shop.site.said == ["货"])


async def test_a_second_bargain_does_not_wait_behind_the_first(shop: OneShop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_prices, "WAITS_SECONDS", (3600.0,) * 6)
    await shop.add(paid_message="货", free_shipping=True)
    page(shop, "等待刀成")
    look, forget, steps = GroupPrices.look, GroupPrices.forget, list[str]()

    async def noted(groups: GroupPrices) -> None:
        await look(groups)
        steps.append("looked")

    def forgotten(groups: GroupPrices, order_id: str) -> None:
        forget(groups, order_id)
        steps.append("completed")

    monkeypatch.setattr(GroupPrices, "look", noted)
    monkeypatch.setattr(GroupPrices, "forget", forgotten)
    shop.site.pays(ORDER, "group")
    # it waits for an hour from its completion on; more looks may follow
    await until(lambda: "completed" in steps and steps[-1] == "looked")
    monkeypatch.setattr(group_prices, "WAITS_SECONDS", (0.02,) * 6)
    is_paid_once_completed(shop)
    shop.site.pays(OTHER, "group")
    await order_soon(shop, OTHER, status="pending_ship")
    assert (await order_soon(shop)).status == "group_pending"


async def test_what_the_page_lets_be_served_may_finish_when_the_connection_ends(
    shop: OneShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = TaskDrain.finish

    async def answered_at_the_end(work: TaskDrain, grace_seconds: float) -> bool:
        shop.site.release()
        return await finish(work, grace_seconds + 60)

    await shop.add(paid_message="货", free_shipping=True)
    monkeypatch.setattr(TaskDrain, "finish", answered_at_the_end)
    page(shop, "等待刀成")
    shop.site.pays(ORDER, "group")
    await came_to(shop, Action.FREE_SHIPPING, ActionState.DONE)
    shop.site.held = []
    page(shop, "等待卖家发货")
    await until(lambda: shop.site.held != [])
    await shop.stop()
    await came_to(shop, Action.PAID_MESSAGE, ActionState.DONE)


async def test_an_order_whose_page_names_us_as_the_buyer_is_no_sale(shop: OneShop) -> None:
    await shop.add(paid_message="货", auto_confirm=True)
    page(shop, "等待卖家发货")
    shop.site.answers[PAGE]["components"][1]["data"]["buyerUserId"] = ME
    link = f"fleamarket://message_chat?itemId={ITEM}&peerUserId={BUYER}"
    key = json.dumps({"updateKey": f"{CHAT}:{ORDER}:64:TRADE_PAID_DONE_BUYER:26", "contentType": "26"})
    told = {"reminderContent": "[已付款，待发货]", "reminderUrl": link, "extJson": key}
    shop.site.payload({"1": "77.PNM", "2": f"{CHAT}@goofish", "3": 1, "4": told, "5": now_ms()})
    await came_to(shop, Action.PAID_MESSAGE, ActionState.NOT_NEEDED, Why.OWN_PURCHASE)
    assert (await order_soon(shop)).problem == ""
    assert (shop.site.said, calls(shop, CONFIRM)) == ([], 0)


async def test_a_group_price_that_was_completed_long_ago_is_not_served_by_its_page(shop: OneShop) -> None:
    await shop.add(paid_message="货", free_shipping=True)
    page(shop, "等待刀成")
    shop.site.pays(ORDER, "group")
    await came_to(shop, Action.FREE_SHIPPING, ActionState.DONE)
    await shop.stop()
    old = now_ms() - TAKE_UP_MS - 60_000
    await shop.database.write(lambda connection: connection.execute(update(order_actions).values(settled_at_ms=old)))
    page(shop, "等待卖家发货")
    await shop.manager.update_cookie_status("shop", True, caller=ANN)
    await order_soon(shop, problem="not_served_in_time")
    assert shop.site.said == []
