"""Open pages hear of changes of a stock: gathered, after they are durable, and only their owner."""

from __future__ import annotations

import asyncio

from api.test_goods import sent, some_goods
from api.test_order_delivery import got
from api.test_orders import paid
from shoal.accounts.events import StockChanged, Subscription
from shoal.accounts.positions import Position
from shoal.api.http.event_feed import may_read
from shoal.api.http.published_events import published
from support.servers.doors import Door, another_person


async def stock_of(subscription: Subscription) -> StockChanged:
    """The next event of a stock."""
    async with asyncio.timeout(60):
        while True:
            for event in await subscription.take():
                if isinstance(event, StockChanged):
                    return event


async def test_imports_and_sales_are_told_gathered_and_to_the_owner_alone(door: Door) -> None:
    goods_id = await some_goods(door)
    with door.server.events.subscribe() as subscription:
        await sent(door, goods_id, [f"CODE-{number}" for number in range(2_500)])
        event = await stock_of(subscription)
        assert (event.goods_id, event.owner_id) == (goods_id, 1)
        await paid(door)
        await got(door, goods_id, 3)
        event = await stock_of(subscription)
        assert event.goods_id == goods_id
        left = [one for one in subscription._waiting.values() if isinstance(one, StockChanged)]
        assert left == [], "what came together is one event"
    told = published(event, Position(1))
    assert (told.body["type"], told.body["goods_id"], told.body["account"]) == ("stock", goods_id, "")
    assert may_read(door.server, await door.principal(1), told)
    async with another_person(door):
        assert not may_read(door.server, await door.principal(2), told)


async def test_while_no_page_is_open_nothing_is_asked_or_told(door: Door) -> None:
    goods_id = await some_goods(door)
    await sent(door, goods_id, ["A"])
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "stock events"]
