"""What the tests of orders over the stand-in site share: waiting for an order, and its page on the site."""

from __future__ import annotations

import asyncio

from shoal.orders.order_store import Action, ActionState, Order
from support.site.without_sockets import ITEM, OneShop

ORDER = "4000000000000000001"
CONFIRM, COMPLETE, PAGE = "consign.dummy", "seller.freeshipping", "order.detail"


async def order_soon(shop: OneShop, order_id: str = ORDER, **wanted: object) -> Order:
    """Return the order once it has these values."""
    order: Order | None = None
    try:
        async with asyncio.timeout(60):
            while True:
                order = await shop.orders.order("shop", order_id)
                if order is not None and all(getattr(order, name) == value for name, value in wanted.items()):
                    return order
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"{order}, {await shop.orders.order_actions('shop', order_id)}") from None


async def came_to(shop: OneShop, action: Action, state: ActionState, detail: str | None = None) -> None:
    """Wait until an action of the order has come so far."""
    async with asyncio.timeout(60):
        while True:
            found = {one.action: one for one in await shop.orders.order_actions("shop", ORDER)}
            if action in found and found[action].state is state and detail in (None, found[action].detail):
                return
            await asyncio.sleep(0.005)


def page(shop: OneShop, title: str, **item: object) -> None:
    """Let the order's page say this."""
    info = {"itemInfo": {"itemId": ITEM, **item}}
    shop.site.answers[PAGE] = {
        "components": [
            {"render": "orderStatusVO", "data": {"orderStatusInfo": {"title": title}}},
            {"render": "orderInfoVO", "data": info},
        ]
    }


def calls(shop: OneShop, api: str) -> int:
    return sum(name.endswith(api) for name in shop.site.calls)
