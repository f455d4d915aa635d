"""Short words for tests of deliveries: goods with codes, rules, pages, and what is stored of it all."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy import Connection, insert, select

from shoal.accounts import edits
from shoal.goods.goods import Goods, GoodsKind
from shoal.goods.goods_store import GoodsStore
from shoal.goods.imports import Imports
from shoal.goods.unit_lines import lines_of_list
from shoal.orders.delivery_rows import Delivery, read_delivery
from shoal.orders.order_store import Action, ActionState, Order, OrderUpdate
from shoal.storage.goods_tables import bindings
from shoal.storage.user_tables import users
from support.orders.goods_steps import by
from support.orders.order_steps import action_state
from support.site.standins import ANN
from support.site.without_sockets import BUYER, ITEM, OneShop

ORDER = "4000000000000000001"
CONFIRM, PAGE = "consign.dummy", "order.detail"
CODES = ("CANARY7-0001", "CANARY7-0002", "CANARY7-0003")
SECOND = "4000000000000000002"


async def stocked(shop: OneShop, *codes: str, **values: Any) -> Goods:
    """Goods of the shop's owner with these codes in stock."""

    def owner(connection: Connection) -> int:
        if connection.scalar(select(users.c.id).where(users.c.id == 1)) is None:
            connection.execute(insert(users).values(id=1, username="ann", name_key="ann", password_hash="-"))
        return 1

    owner_id = await shop.database.write(owner)
    named: dict[str, Any] = {"name": "月卡", "kind": GoodsKind.STOCK, **values}
    goods = await GoodsStore(shop.database).create(owner_id, named, by())
    if codes:
        await more(shop, goods, *codes)
    return goods


async def more(shop: OneShop, goods: Goods, *codes: str) -> None:
    """Take more codes in."""
    await Imports(shop.database, shop.texts).run(goods, lines_of_list(list(codes)), by())


async def sells(shop: OneShop, goods: Goods | None, *texts: str, **values: Any) -> None:
    """Let the shop's one rule send these texts, or pictures, with codes of the goods."""
    parts = [{"image_url": text} if text.startswith("https://") else {"text": text} for text in texts]
    rule: dict[str, Any] = {"item_id": ITEM, "parts": parts, **values}
    if goods is not None:
        rule["goods_id"] = goods.id
    await shop.manager.update_deliveries("shop", edits.deliveries([rule]), caller=ANN)


def page_of(spec: str = "", quantity: str = "1", status: str = "等待卖家发货") -> dict[str, object]:
    """The page of an order."""
    info = {"itemInfo": {"itemId": ITEM, "buyAmount": quantity, "skuInfo": spec}}
    return {
        "components": [
            {"render": "orderStatusVO", "data": {"orderStatusInfo": {"title": status}}},
            {"render": "orderInfoVO", "data": info},
        ],
        "peerUserId": BUYER,
    }


async def confirmation_is_put_off(shop: OneShop) -> bool:
    """Whether the order's confirmation is due at a later time. It is pending for a moment before it is put off."""
    return any(one.due_at_ms for one in await shop.orders.order_actions("shop", ORDER) if one.action == Action.CONFIRM)


async def came_to(shop: OneShop, action: Action, state: ActionState, order_id: str = ORDER) -> Order:
    """Wait until an action of the order has come so far."""
    async with asyncio.timeout(60):
        while await action_state(shop.orders, "shop", order_id, action) is not state:
            await asyncio.sleep(0.005)
    order = await shop.orders.order("shop", order_id)
    assert order is not None
    return order


async def delivery_of(shop: OneShop, order_id: str = ORDER) -> Delivery:
    """What is stored of an order's delivery."""
    found = await shop.database.read(lambda connection: read_delivery(connection, "shop", order_id))
    assert found is not None
    return found


async def bound(shop: OneShop, order_id: str = ORDER) -> list[str]:
    """The states of an order's bindings, by their numbers."""
    query = select(bindings.c.state).where(bindings.c.order_id == order_id).order_by(bindings.c.unit_no, bindings.c.id)
    return await shop.database.read(lambda connection: list(connection.scalars(query)))


async def paid(shop: OneShop, *texts: str, quantity: str = "3", **rule: Any) -> Goods:
    """A shop with three codes that sells them by these texts; its page says what was bought."""
    await shop.add(auto_confirm=True)
    goods = await stocked(shop, *CODES)
    await sells(shop, goods, *(texts or ("码 {codes}",)), **rule)
    shop.site.answers[PAGE] = page_of(quantity=quantity)
    return goods


async def says(shop: OneShop, status: str) -> None:
    await shop.orders.receive("shop", OrderUpdate(order_id=ORDER, status=status, source="card"))


def confirmations(shop: OneShop) -> int:
    return sum(api.endswith(CONFIRM) for api in shop.site.calls)
