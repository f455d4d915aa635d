"""The items on sale by the site's own list, and rehearsals beside what really arrives."""

from __future__ import annotations

import pytest

from shoal.accounts import edits
from shoal.items import item_lists
from shoal.items.item_lists import ItemLists
from shoal.orders.explain_order import explain_order, messages_of, purchase_of
from shoal.orders.order_store import Action, ActionState
from shoal.xianyu import items_on_sale as items_module
from support.orders.order_steps import order_action, pay
from support.site.sandboxed import Shoal
from support.site.standins import ANN


@pytest.fixture(autouse=True)
def _quick_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items_module, "PAGE_SECONDS", 0.01)


async def test_the_items_on_sale_are_those_of_the_sites_list_read_page_by_page_once(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    unb = await shoal.add()
    monkeypatch.setattr(items_module, "PAGE_SIZE", 2)
    on_sale = shoal.sandbox.world.seller(unb).items
    assert len(on_sale) > 2
    lists = ItemLists(shoal.live_connections)
    account = shoal.manager.account("shop")
    for _ in range(2):
        assert await lists.of(account) == {item.id: item.title for item in on_sale.values()}
    assert len(await shoal.sandbox.calls("xyh.item.list", unb)) == -(-len(on_sale) // 2)
    assert lists.kept(account) == await lists.of(account)
    monkeypatch.setattr(item_lists, "KEPT_MS", 0)
    assert await lists.of(account)
    assert len(await shoal.sandbox.calls("xyh.item.list", unb)) == 2 * -(-len(on_sale) // 2), "it was asked again"
    monkeypatch.setattr(item_lists, "MOST_KEPT", 1)
    await shoal.add("other", number=1)
    await lists.of(shoal.manager.account("other"))
    assert lists._known.keys() == {"other"}, "a list beyond the number that is kept takes no memory"
    monkeypatch.setattr(item_lists, "SHOWN_MS", 0)
    assert lists.kept(shoal.manager.account("other")) == {}, "a list that is too old is not shown"
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    assert await ItemLists(shoal.live_connections).of(account) is None


async def test_a_rehearsal_says_the_very_bytes_that_arrive(shoal: Shoal) -> None:
    unb = await shoal.add()
    item, values = shoal.item_of(unb), {"item_id": shoal.item_of(unb)}
    rules = [
        {**values, "spec": "时长:月卡", "parts": [{"text": "月 {order_id} {item_id} {unknown} 🐟"}], "confirm": "yes"},
        {**values, "spec": "颜色:红;尺码:大", "parts": [{"text": "红\n大 {send_user_id}"}]},
    ]
    await shoal.manager.update_deliveries("shop", edits.deliveries(rules), caller=ANN)
    account = shoal.manager.account("shop")
    for buyer, spec in (("小鱼", "时长：月卡"), ("北方的狼", "尺码:大;颜色:红")):
        order_id = await pay(shoal, unb, buyer=buyer, item=item, spec=spec)
        await order_action(shoal, order_id, Action.PAID_MESSAGE, ActionState.DONE)
        order = await shoal.book.order("shop", order_id)
        assert order is not None
        given = {"order_id": order_id, "item_id": item, "send_user_id": order.buyer_id, "send_user_name": ""}
        rehearsed = messages_of(explain_order(account, {}, purchase_of(order)), [], given)
        assert [part.text for part in rehearsed] == await shoal.sandbox.seen(unb, buyer)
