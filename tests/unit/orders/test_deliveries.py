"""Counted goods are served exactly once: the very units that are bound, message by message."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, update

from shoal.goods.goods import GoodsKind
from shoal.orders import deliveries as deliveries_module
from shoal.orders import orders as orders_module
from shoal.orders.delivery_rows import DeliveryState
from shoal.orders.order_store import Action, ActionState
from shoal.sandbox import codec
from shoal.storage.goods_tables import units
from shoal.storage.order_tables import order_actions
from shoal.storage.schema import outbox
from support.orders.delivery_steps import (
    CONFIRM,
    ORDER,
    PAGE,
    bound,
    came_to,
    confirmation_is_put_off,
    delivery_of,
    page_of,
    sells,
    stocked,
)
from support.orders.goods_steps import changed, states_of
from support.site.standins import until, until_told
from support.site.without_sockets import ME, OneShop


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


async def test_goods_that_an_order_no_longer_gets_are_back_in_stock(shop: OneShop) -> None:
    await shop.add(auto_confirm=True)
    goods = await stocked(shop, "CODE-1")
    await sells(shop, goods, "{codes}")
    shop.site.answers[PAGE] = page_of()
    shop.site.refusal = {"code": 400, "reason": "no"}
    shop.site.pays(ORDER)
    await came_to(shop, Action.PAID_MESSAGE, ActionState.FAILED)
    assert await states_of(shop.database, goods.id) == {"held": 1}, "the same unit when it is asked for again"
    shop.site.refusal = None
    await sells(shop, None, "网盘")
    await shop.orders.ask_again("shop", ORDER, Action.PAID_MESSAGE, actor="user:ann")
    await came_to(shop, Action.CONFIRM, ActionState.DONE)
    assert (await states_of(shop.database, goods.id), await bound(shop)) == ({"free": 1}, ["released"])


async def test_a_unit_that_cannot_be_opened_is_the_orders_problem_and_ends_no_connection(shop: OneShop) -> None:
    await shop.add(auto_confirm=True)
    goods = await stocked(shop, "CODE-1", "CODE-2")
    await sells(shop, goods, "{codes}")
    shop.site.answers[PAGE] = page_of(quantity="2")
    shop.site.held = []
    shop.site.pays(ORDER)
    await until(lambda: len(shop.site.said) == 1)
    await changed(shop.database, update(units).values(sealed=b"damaged"))
    shop.site.release()
    order = await came_to(shop, Action.PAID_MESSAGE, ActionState.FAILED)
    assert (order.problem, shop.site.said) == ("delivery_partly", ["CODE-1"])
    shop.site.pushes(codec.text_content("CODE-1"), summary="CODE-1", by=ME)  # its echo cannot be opened either
    shop.site.pays("4000000000000000002")
    await came_to(shop, Action.PAID_MESSAGE, ActionState.FAILED, "4000000000000000002")
    assert shop.manager.observation("shop").state == "running"


async def test_units_that_cannot_be_opened_are_bound_to_no_order(shop: OneShop) -> None:
    await shop.add(auto_confirm=True)
    goods = await stocked(shop, "CODE-1")
    await sells(shop, goods, "{codes}")
    await changed(shop.database, update(units).values(sealed=b"damaged"))
    shop.site.answers[PAGE] = page_of()
    shop.site.pays(ORDER)
    order = await came_to(shop, Action.PAID_MESSAGE, ActionState.FAILED)
    assert (order.problem, await bound(shop), shop.site.said) == ("unit_lost", [], [])
    assert shop.manager.observation("shop").state == "running"


async def test_what_was_on_its_way_when_its_shop_was_removed_goes_to_nobody_else(
    shop: OneShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.connection.xianyu_live.FAREWELL_SECONDS", 0.05)
    await shop.add(auto_confirm=True)
    goods = await stocked(shop, "CODE-1")
    await sells(shop, goods, "{codes}")
    shop.site.answers[PAGE] = page_of()
    shop.site.held = []
    shop.site.pays(ORDER)
    await until(lambda: len(shop.site.said) == 1)
    await changed(shop.database, delete(outbox))  # as the purge of the shop may do before the end is settled
    await shop.reopen()
    await came_to(shop, Action.PAID_MESSAGE, ActionState.UNCERTAIN)
    assert (await states_of(shop.database, goods.id), await bound(shop)) == ({"out": 1}, ["out"])
    assert shop.site.said == ["CODE-1"]


async def test_a_later_confirmation_that_is_put_back_is_not_too_late(shop: OneShop) -> None:
    await shop.add(auto_confirm=True)
    await sells(shop, None, "网盘", confirm=48)
    shop.site.pays(ORDER)
    await until_told(lambda: confirmation_is_put_off(shop), True)
    ago = order_actions.c.created_at_ms - 49 * 3600_000
    due_now = {"created_at_ms": ago, "due_at_ms": ago + 48 * 3600_000}
    await changed(shop.database, update(order_actions).where(order_actions.c.action == Action.CONFIRM).values(due_now))
    assert await shop.orders.begin_action("shop", ORDER, Action.CONFIRM)
    await shop.orders.settle_action("shop", ORDER, Action.CONFIRM, ActionState.PENDING)
    await shop.reopen()
    await came_to(shop, Action.CONFIRM, ActionState.DONE)


async def test_fixed_goods_whose_text_no_message_has_are_not_sent_without_it(shop: OneShop) -> None:
    await shop.add(auto_confirm=True)
    goods = await stocked(shop, kind=GoodsKind.FIXED, text="网盘")
    await sells(shop, goods, "谢谢")
    shop.site.pays(ORDER)
    order = await came_to(shop, Action.PAID_MESSAGE, ActionState.FAILED)
    assert (order.problem, shop.site.said) == ("no_codes_in_text", [])


async def test_units_go_to_an_order_with_a_parcel_only_when_its_owner_asks(shop: OneShop) -> None:
    await shop.add(auto_confirm=True)
    goods = await stocked(shop, "CODE-1")
    await sells(shop, goods, "{codes}")
    shop.site.answers[PAGE] = page_of()
    shop.site.pays(ORDER, "paid_parcel")
    order = await came_to(shop, Action.PAID_MESSAGE, ActionState.FAILED)
    assert (order.problem, shop.site.said) == ("needs_parcel", [])
    await shop.orders.ask_again("shop", ORDER, Action.PAID_MESSAGE, actor="user:ann")
    order = await came_to(shop, Action.CONFIRM, ActionState.FAILED)
    assert (order.problem, shop.site.said) == ("needs_parcel", ["CODE-1"])
