"""Counted goods are served exactly once: the very units that are bound, message by message."""

from __future__ import annotations

import pytest

from delivery_steps import CONFIRM, ORDER, PAGE, bound, came_to, delivery_of, page_of, sells, stocked
from goods_steps import states_of
from shoal.orders import deliveries as deliveries_module
from shoal.orders import orders as orders_module
from shoal.orders.delivery_rows import DeliveryState
from shoal.orders.order_store import Action, ActionState
from without_sockets import OneShop


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders_module, "PAGE_LAG_SECONDS", 0.01)
    monkeypatch.setattr(deliveries_module, "ECHO_GRACE_SECONDS", 0.01)


async def test_an_order_gets_as_many_codes_as_were_bought_and_is_confirmed(shop: OneShop) -> None:
    await shop.add(auto_confirm=True)
    goods = await stocked(shop, *(f"CODE-{number:04}" for number in range(9)), per_message=2)
    await sells(shop, goods, "{order_id} 您好", "卡密：{codes}", count=1)
    shop.site.answers[PAGE] = page_of(quantity="3")
    shop.site.pays(ORDER)
    order = await came_to(shop, Action.CONFIRM, ActionState.DONE)
    assert shop.site.said == [f"{ORDER} 您好", "卡密：CODE-0000\nCODE-0001", "卡密：CODE-0002"]
    assert order.problem == ""
    assert await bound(shop) == ["out"] * 3
    assert await states_of(shop.database, goods.id) == {"free": 6, "out": 3}
    assert (await delivery_of(shop)).state is DeliveryState.DONE
    texts = [sending.row.text for sending in await shop.sendings("sent", "sent", "sent")]
    assert texts == [f"{ORDER} 您好", "卡密：{codes}", "卡密：{codes}"]
    assert sum(api.endswith(CONFIRM) for api in shop.site.calls) == 1


async def test_too_few_codes_bind_none_and_are_the_orders_problem(shop: OneShop) -> None:
    await shop.add(auto_confirm=True)
    goods = await stocked(shop, "CODE-1")
    await sells(shop, goods, "{codes}")
    shop.site.answers[PAGE] = page_of(quantity="2")
    shop.site.pays(ORDER)
    order = await came_to(shop, Action.PAID_MESSAGE, ActionState.FAILED)
    assert (order.problem, shop.site.said, await bound(shop)) == ("out_of_stock", [], [])
    assert await states_of(shop.database, goods.id) == {"free": 1}
