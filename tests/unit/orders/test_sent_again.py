"""What a person sends once more: the same units, or another one, in one transaction with what it means."""

from __future__ import annotations

import pytest

from shoal.errors import Conflict
from shoal.goods.goods import GoodsKind
from shoal.messages.manual_sending import NotSent
from shoal.messages.sender import Sender
from shoal.orders import deliveries as deliveries_module
from shoal.orders import orders as orders_module
from shoal.orders.order_store import Action, ActionState, OrderUpdate
from shoal.orders.sent_again import SentAgain
from shoal.orders.unit_returns import UnitReturns
from shoal.storage.goods_tables import deliveries, goods
from support.orders.delivery_steps import ORDER, PAGE, bound, came_to, page_of, sells, stocked
from support.orders.goods_steps import by, changed, states_of
from support.site.standins import ANN
from support.site.without_sockets import OneShop


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders_module, "PAGE_LAG_SECONDS", 0.01)
    monkeypatch.setattr(deliveries_module, "ECHO_GRACE_SECONDS", 0.01)


async def served(shop: OneShop, *texts: str, codes: int = 4, quantity: str = "2") -> int:
    """A shop that has sent an order its units; returns the id of the goods."""
    await shop.add(auto_confirm=False)
    mine = await stocked(shop, *(f"CODE-{number:04}" for number in range(codes)))
    await sells(shop, mine, *(texts or ("卡密：{codes}",)))
    shop.site.answers[PAGE] = page_of(quantity=quantity)
    shop.site.pays(ORDER)
    await came_to(shop, Action.PAID_MESSAGE, ActionState.DONE)
    return mine.id


async def once_more(shop: OneShop, unit_no: int | None = None, *, sender: Sender | None = None) -> None:
    order = await shop.orders.order("shop", ORDER)
    assert order is not None
    again = SentAgain(shop.database, shop.texts)
    account, reason = shop.manager.account("shop"), "did not work"
    await again.send(sender or shop.sender, account, order, unit_no, by(), reason=reason)


async def code_of(shop: OneShop, unit_no: int | None = None) -> str:
    with pytest.raises(Conflict) as refused:
        await once_more(shop, unit_no)
    return refused.value.code


async def test_another_unit_goes_out_in_the_same_words_and_the_order_keeps_both(shop: OneShop) -> None:
    goods_id = await served(shop)
    await once_more(shop, 2)
    assert shop.site.said == ["卡密：CODE-0000", "卡密：CODE-0001", "卡密：CODE-0002"]
    assert await bound(shop) == ["out"] * 3
    assert await states_of(shop.database, goods_id) == {"free": 1, "out": 3}
    assert await code_of(shop, 2) == "unit_replaced"
    await once_more(shop, 3)
    assert shop.site.said[-1] == "卡密：CODE-0003"
    assert await code_of(shop, 4) == "out_of_stock"
    assert await code_of(shop, 9) == "no_unit_to_replace"
    sendings = await shop.sendings(*["sent"] * 4)
    assert [one.row.text for one in sendings] == ["卡密：{codes}"] * 4, "the outbox has no unit in clear"
    assert [one.row.kind.value for one in sendings] == ["paid", "paid", "manual", "manual"]
    lines = await shop.orders.events("shop", ORDER)
    assert [(line.action, line.words, line.source) for line in lines if line.action == "another_unit"] == [
        ("another_unit", "did not work", "user:ann")
    ] * 2


async def test_another_unit_of_a_supplier_is_one_that_is_in_stock_and_none_is_bought_for_it(shop: OneShop) -> None:
    goods_id = await served(shop, codes=3)
    supplied = goods.update().where(goods.c.id == goods_id).values(kind=GoodsKind.SUPPLIER.value)
    await changed(shop.database, supplied)
    await once_more(shop, 1)
    assert shop.site.said[-1] == "卡密：CODE-0002"
    assert await code_of(shop, 2) == "no_supplied_unit"
    assert await states_of(shop.database, goods_id) == {"out": 3}


async def test_what_was_given_back_is_not_sent_again(shop: OneShop) -> None:
    shop.site.refusal = {"code": 400, "reason": "no"}
    await shop.add(auto_confirm=False)
    mine = await stocked(shop, "CODE-0000", "CODE-0001")
    await sells(shop, mine, "卡密：{codes}")
    shop.site.answers[PAGE] = page_of(quantity="2")
    shop.site.pays(ORDER)
    await came_to(shop, Action.PAID_MESSAGE, ActionState.FAILED)
    shop.site.refusal = None
    await UnitReturns(shop.database).give_back(mine, 2, by(), reason="shipped by hand")
    assert await code_of(shop) == "nothing_sent_yet"
    await changed(shop.database, deliveries.update().values(state="partly"))
    assert (await code_of(shop), len(shop.site.said)) == ("units_were_given_back", 1)


async def test_the_same_again_sends_all_messages_with_the_units_that_the_order_has_now(shop: OneShop) -> None:
    goods_id = await served(shop, "您好", "卡密：{codes}")
    await once_more(shop, 1)
    before = await states_of(shop.database, goods_id)
    shop.site.frames.clear()
    await once_more(shop)
    assert shop.site.said == ["您好", "卡密：CODE-0002", "卡密：CODE-0001"]
    assert await states_of(shop.database, goods_id) == before, "no unit is taken for it"


async def test_a_message_of_several_units_is_sent_for_the_replaced_one_alone(shop: OneShop) -> None:
    await shop.add(auto_confirm=False)
    mine = await stocked(shop, *(f"CODE-{number:04}" for number in range(4)), per_message=3)
    await sells(shop, mine, "卡密：{codes}")
    shop.site.answers[PAGE] = page_of(quantity="3")
    shop.site.pays(ORDER)
    await came_to(shop, Action.PAID_MESSAGE, ActionState.DONE)
    await once_more(shop, 2)
    assert shop.site.said == ["卡密：CODE-0000\nCODE-0001\nCODE-0002", "卡密：CODE-0003"]


async def test_an_order_whose_delivery_has_not_begun_has_nothing_to_send_again(shop: OneShop) -> None:
    await shop.add(auto_confirm=False)
    await sells(shop, await stocked(shop, "CODE-1"), "{codes}")
    shop.site.answers[PAGE] = page_of(quantity="2")
    shop.site.pays(ORDER)
    await came_to(shop, Action.PAID_MESSAGE, ActionState.FAILED)
    assert (await code_of(shop), await code_of(shop, 1)) == ("nothing_sent_yet", "nothing_sent_yet")


async def test_refunds_and_a_delivery_that_has_not_begun_refuse_it(shop: OneShop) -> None:
    await served(shop)
    for status, code in (("refunding", "order_refunding"), ("cancelled", "order_settled")):
        await shop.orders.receive("shop", OrderUpdate(order_id=ORDER, status=status, source="card"))
        assert (await code_of(shop, 1), await code_of(shop)) == (code, code)
    assert len(shop.site.said) == 2


async def test_a_unit_whose_message_never_left_stays_with_the_order_and_goes_again(shop: OneShop) -> None:
    goods_id = await served(shop)
    ended = shop.sender
    await shop.stop()
    with pytest.raises(NotSent):
        await once_more(shop, 1, sender=ended)
    assert len(shop.site.said) == 2
    assert await states_of(shop.database, goods_id) == {"free": 1, "out": 3}, "it may leave, so no other order gets it"
    await shop.manager.update_cookie_status("shop", True, caller=ANN)
    await shop.running()
    await once_more(shop)
    assert shop.site.said[2:] == ["卡密：CODE-0002", "卡密：CODE-0001"]
    assert await states_of(shop.database, goods_id) == {"free": 1, "out": 3}


async def test_units_that_only_a_person_sent_stay_with_their_order(shop: OneShop) -> None:
    await shop.add(auto_confirm=False)
    mine = await stocked(shop, "CODE-0000", "CODE-0001")
    await sells(shop, mine, "卡密：{codes}")
    shop.site.answers[PAGE] = page_of()
    shop.site.refusal = {"code": 400, "reason": "no"}
    shop.site.pays(ORDER)
    await came_to(shop, Action.PAID_MESSAGE, ActionState.FAILED)
    assert await bound(shop) == ["held"]
    shop.site.refusal = None
    await once_more(shop)
    assert shop.site.said[-1] == "卡密：CODE-0000"
    await shop.orders.receive("shop", OrderUpdate(order_id=ORDER, status="cancelled", source="card"))
    assert await bound(shop) == ["out"]
    assert await states_of(shop.database, mine.id) == {"free": 1, "out": 1}
