"""An order's page that lags or lies: nothing is bound by it, and the true page serves the order."""

from __future__ import annotations

from typing import Any

import pytest

from shoal.orders import deliveries as deliveries_module
from shoal.orders import orders as orders_module
from shoal.orders.order_store import Action, ActionState
from support.orders.delivery_steps import ORDER, PAGE, bound, came_to, page_of, sells, stocked
from support.site.standins import unb_of, until
from support.site.without_sockets import OneShop

SPEC = "时长:月卡"
LIES: dict[str, dict[str, Any]] = {
    "another buyer's": {**page_of(SPEC, quantity="3"), "peerUserId": unb_of(78)},
    "malformed": {"components": "?", "itemId": ["?"]},
    "without quantity and spec": page_of("", quantity=""),
    "without quantity": page_of(SPEC, quantity=""),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
async def test_a_page_that_lies_binds_nothing_and_the_true_one_serves_the_order(
    shop: OneShop, lie: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders_module, "PAGE_LAG_SECONDS", 0.01)
    monkeypatch.setattr(deliveries_module, "PAGE_WAITS_MS", (20, 20, 20))
    await shop.add(auto_confirm=True)
    goods = await stocked(shop, "CODE-1", "CODE-2", "CODE-3")
    await sells(shop, goods, "{codes}", spec=SPEC)
    shop.site.answers[PAGE] = lie
    shop.site.pays(ORDER)
    await until(lambda: sum(api.endswith(PAGE) for api in shop.site.calls) > 2)
    assert (await bound(shop), shop.site.said) == ([], [])
    shop.site.answers[PAGE] = page_of(SPEC, quantity="2")
    order = await came_to(shop, Action.CONFIRM, ActionState.DONE)
    assert (order.quantity, shop.site.said, await bound(shop)) == ("2", ["CODE-1", "CODE-2"], ["out"] * 2)
