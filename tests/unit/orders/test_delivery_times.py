"""What is due later, what must be known first, and what else an order may wait for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from shoal.clock import now_ms
from shoal.orders import deliveries as deliveries_module
from shoal.orders import orders as orders_module
from shoal.orders.delivery_store import Begun, DeliveryStore
from shoal.orders.order_store import Action, ActionState
from shoal.storage.order_tables import order_actions
from support.orders.delivery_steps import (
    CODES,
    ORDER,
    PAGE,
    SECOND,
    bound,
    came_to,
    confirmations,
    more,
    page_of,
    paid,
    says,
    sells,
)
from support.orders.goods_steps import states_of
from support.site.standins import until
from support.site.without_sockets import BUYER, OneShop


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders_module, "PAGE_LAG_SECONDS", 0.01)
    monkeypatch.setattr(deliveries_module, "ECHO_GRACE_SECONDS", 0.01)


def a_minute_later() -> int:
    """The time in a minute."""
    return now_ms() + 60_001


# ── later ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_delay_outlives_a_restart_and_a_refund_before_its_end_binds_nothing(shop: OneShop) -> None:
    goods = await paid(shop, quantity="1", delay_seconds=3600)
    shop.site.pays(ORDER)
    shop.site.pays(SECOND)
    for order_id in (ORDER, SECOND):
        await until_put_off(shop, order_id, Action.PAID_MESSAGE)
    await shop.reopen()
    await shop.running()
    assert (shop.site.said, await states_of(shop.database, goods.id)) == ([], {"free": 3})
    await says(shop, "cancelled")
    await came_to(shop, Action.PAID_MESSAGE, ActionState.NOT_NEEDED)
    await due_now(shop, SECOND, Action.PAID_MESSAGE)
    await came_to(shop, Action.CONFIRM, ActionState.DONE, SECOND)
    assert shop.site.said == [f"码 {CODES[0]}"]


@pytest.mark.slow
async def test_a_short_delay_ends_by_itself(shop: OneShop) -> None:
    await paid(shop, quantity="1", delay_seconds=1)
    shop.site.pays(ORDER)
    await until_put_off(shop, ORDER, Action.PAID_MESSAGE)
    await came_to(shop, Action.CONFIRM, ActionState.DONE)


async def test_a_confirmation_some_hours_later_outlives_a_restart(shop: OneShop) -> None:
    await paid(shop, quantity="1", confirm=2)
    shop.site.pays(ORDER)
    await until_put_off(shop, ORDER, Action.CONFIRM)
    await shop.reopen()
    await shop.running()
    assert (len(shop.site.said), confirmations(shop)) == (1, 0)
    await due_now(shop, ORDER, Action.CONFIRM)
    await came_to(shop, Action.CONFIRM, ActionState.DONE)
    assert confirmations(shop) == 1


@pytest.mark.parametrize("put_off", [True, False], ids=["put off", "not yet"])
async def test_g17_a_confirmation_that_its_owner_asks_for_waits_no_hours(shop: OneShop, put_off: bool) -> None:
    """The owner decides about one that was put off already, and about one that the rule would put off."""
    await paid(shop, quantity="1", confirm=2)
    if not put_off:
        await shop.set(auto_confirm=False)
    shop.site.pays(ORDER)
    if put_off:
        await until_put_off(shop, ORDER, Action.CONFIRM)
    else:
        await came_to(shop, Action.CONFIRM, ActionState.NOT_NEEDED)
    assert await shop.orders.ask_again("shop", ORDER, Action.CONFIRM, actor="user:ann")
    await came_to(shop, Action.CONFIRM, ActionState.DONE)
    assert confirmations(shop) == 1


async def due_at(shop: OneShop, order_id: str, action: Action) -> int | None:
    found = await shop.orders.order_actions("shop", order_id)
    return next((one.due_at_ms for one in found if one.action == action), None)


async def until_put_off(shop: OneShop, order_id: str, action: Action) -> None:
    async with asyncio.timeout(60):
        while await due_at(shop, order_id, action) is None:
            await asyncio.sleep(0.005)


async def due_now(shop: OneShop, order_id: str, action: Action) -> None:
    """Let what is put off be due, and let the connection look."""
    mine = (order_actions.c.order_id == order_id, order_actions.c.action == action.value)

    earlier = {"due_at_ms": now_ms() - 1, "created_at_ms": order_actions.c.created_at_ms - 8 * 3600_000}

    def job(connection: Connection) -> int:
        return connection.execute(update(order_actions).where(*mine).values(earlier)).rowcount

    assert await shop.database.write(job) == 1
    shop.orders.look("shop")


# ── known first ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_page_that_stays_unread_is_the_owners_turn_in_the_end_and_holds_up_no_fixed_goods(
    shop: OneShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries_module, "PAGE_WAITS_MS", (3_600_000,))
    goods = await paid(shop, quantity="1")
    shop.site.refused_calls[PAGE] = "FAIL_SYS_SERVICE_TIMEOUT::busy"
    shop.site.pays(ORDER)
    await until_put_off(shop, ORDER, Action.PAID_MESSAGE)
    await sells(shop, None, "固定")
    shop.site.pays(SECOND)
    await came_to(shop, Action.CONFIRM, ActionState.DONE, SECOND)
    assert shop.site.said == ["固定"]
    await sells(shop, goods, "码 {codes}")
    monkeypatch.setattr(deliveries_module, "PAGE_PATIENCE_MS", 0)
    await due_now(shop, ORDER, Action.PAID_MESSAGE)
    order = await came_to(shop, Action.PAID_MESSAGE, ActionState.FAILED)
    assert (order.problem, await states_of(shop.database, goods.id)) == ("quantity_unknown", {"free": 3})


async def test_a_page_that_is_read_later_serves_what_waited_for_it(
    shop: OneShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries_module, "PAGE_WAITS_MS", (20, 40))
    await paid(shop)
    read = shop.site.answers.pop(PAGE)
    shop.site.answers[PAGE] = {"components": []}  # it says nothing of what was bought
    shop.site.pays(ORDER)
    await until_put_off(shop, ORDER, Action.PAID_MESSAGE)
    shop.site.answers[PAGE] = {**read, "peerUserId": BUYER}
    await came_to(shop, Action.CONFIRM, ActionState.DONE)
    assert len(shop.site.said) == 3


async def test_a_rule_by_title_asks_for_the_items_title(shop: OneShop) -> None:
    await paid(shop, quantity="1", item_id="", title_contains="月卡")
    shop.site.answers["pc.detail"] = {"itemDO": {"title": "会员 月卡"}}
    shop.site.pays(ORDER)
    await came_to(shop, Action.CONFIRM, ActionState.DONE)
    assert shop.site.said == [f"码 {CODES[0]}"]
    shop.site.answers["pc.detail"] = {}
    await shop.reopen()
    await shop.running()
    shop.item_pages.now_ms = a_minute_later
    shop.site.pays(SECOND)
    order = await came_to(shop, Action.PAID_MESSAGE, ActionState.FAILED, SECOND)
    assert order.problem == "unknown_title"


async def test_g17_a_title_that_its_owner_changed_a_minute_ago_counts_while_the_shop_stays_connected(
    shop: OneShop,
) -> None:
    await paid(shop, quantity="1", item_id="", title_contains="月卡")
    shop.site.answers["pc.detail"] = {"itemDO": {"title": "会员 月卡"}}
    shop.site.pays(ORDER)
    await came_to(shop, Action.CONFIRM, ActionState.DONE)
    shop.site.answers["pc.detail"] = {"itemDO": {"title": "会员 年卡"}}
    shop.item_pages.now_ms = a_minute_later
    shop.site.pays(SECOND)
    order = await came_to(shop, Action.PAID_MESSAGE, ActionState.FAILED, SECOND)
    assert (order.problem, shop.site.said) == ("no_paid_message", [f"码 {CODES[0]}"])


def item_of(*specs: str) -> dict[str, object]:
    """The page of an item that is sold in these specs."""
    rows = [
        {"price": 2500, "propertyList": [dict(zip(("propertyText", "valueText"), spec.split(":"), strict=True))]}
        for spec in specs
    ]
    return {"itemDO": {"title": "会员", "skuList": rows}}


def item_calls(shop: OneShop) -> int:
    return sum(api.endswith("pc.detail") for api in shop.site.calls)


@pytest.mark.parametrize(
    ("rule", "of_item", "said"),
    [
        ("时长:月卡", (), 1),
        ("月卡", ("时长:月卡", "时长:年卡"), 1),
        ("月卡", ("时长:月卡", "版本:月卡"), 0),
        ("月卡", (), 0),
        ("年卡", ("时长:月卡", "时长:年卡"), 0),
    ],
)
async def test_g18_a_rule_by_a_value_alone_asks_for_the_items_specs_and_serves_no_other(
    shop: OneShop, rule: str, of_item: tuple[str, ...], said: int
) -> None:
    await paid(shop, quantity="1", spec=rule)
    shop.site.answers[PAGE] = page_of(spec="时长:月卡", quantity="1")
    shop.site.answers["pc.detail"] = item_of(*of_item) if of_item else {}
    shop.site.pays(ORDER)
    if said:
        await came_to(shop, Action.CONFIRM, ActionState.DONE)
    else:
        assert (await came_to(shop, Action.PAID_MESSAGE, ActionState.FAILED)).problem == "unknown_spec"
    assert len(shop.site.said) == said
    assert item_calls(shop) == (0 if rule in {"时长:月卡", "年卡"} else 1), "only where the specs say which rule"


async def test_codes_that_came_in_serve_an_order_that_waits_when_its_owner_asks(shop: OneShop) -> None:
    goods = await paid(shop, quantity="4")
    shop.site.pays(ORDER)
    assert (await came_to(shop, Action.PAID_MESSAGE, ActionState.FAILED)).problem == "out_of_stock"
    await more(shop, goods, "CANARY7-0004")
    await shop.running()
    assert shop.site.said == []
    await shop.orders.ask_again("shop", ORDER, Action.PAID_MESSAGE, actor="user:ann")
    await came_to(shop, Action.CONFIRM, ActionState.DONE)
    assert len(shop.site.said) == 4


async def test_pictures_and_texts_come_in_their_order(shop: OneShop) -> None:
    await paid(shop, "一", "https://example.com/a.png", "码 {codes}", quantity="1")
    shop.site.pays(ORDER)
    await came_to(shop, Action.CONFIRM, ActionState.DONE)
    rows = [(one.row.text or one.row.image_url) for one in await shop.sendings("sent", "sent", "sent")]
    assert rows == ["一", "https://example.com/a.png", "码 {codes}"]


async def test_the_switch_turned_off_between_two_messages_leaves_the_rest_to_the_owner(shop: OneShop) -> None:
    await paid(shop, quantity="2")
    shop.site.held = []
    shop.site.pays(ORDER)
    await until(lambda: len(shop.site.said) == 1)
    await shop.set(delivery=False)
    shop.site.release()
    order = await came_to(shop, Action.PAID_MESSAGE, ActionState.FAILED)
    assert (order.problem, await bound(shop)) == ("delivery_partly", ["out", "held"])
    await shop.orders.ask_again("shop", ORDER, Action.PAID_MESSAGE, actor="user:ann")
    await came_to(shop, Action.CONFIRM, ActionState.FAILED)
    assert shop.site.said == [f"码 {CODES[0]}", f"码 {CODES[1]}"]


async def test_g17_the_switch_turned_off_in_the_last_moment_binds_no_unit(
    shop: OneShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = DeliveryStore.begin

    async def after_the_switch(store: DeliveryStore, *given: Any) -> Begun:
        await shop.set(delivery=False)
        return await begin(store, *given)

    monkeypatch.setattr(DeliveryStore, "begin", after_the_switch)
    await paid(shop, quantity="2")
    shop.site.pays(ORDER)
    order = await came_to(shop, Action.PAID_MESSAGE, ActionState.FAILED)
    assert (order.problem, await bound(shop)) == ("delivery_off", [])
    assert shop.site.said == []


async def test_actions_of_before_have_no_time(shop: OneShop) -> None:
    """A time that was set once does not outlive what it was for."""
    await paid(shop, quantity="1", delay_seconds=3600)
    shop.site.pays(ORDER)
    await until_put_off(shop, ORDER, Action.PAID_MESSAGE)
    await shop.orders.ask_again("shop", ORDER, Action.PAID_MESSAGE, actor="user:ann")
    await came_to(shop, Action.CONFIRM, ActionState.DONE)
    query = select(order_actions.c.due_at_ms).where(order_actions.c.order_id == ORDER)
    assert await shop.database.read(lambda connection: set(connection.scalars(query))) == {None}
