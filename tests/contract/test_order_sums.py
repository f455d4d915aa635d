"""Sums and searches of orders on both databases."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from contract.order_book_steps import told
from shoal.messages.chats import Chat, note
from shoal.orders.order_lists import ListedOrder, OrderPage, SoughtOrders
from shoal.orders.order_rows import PAGE
from shoal.orders.order_store import OrderStore, OrderUpdate
from shoal.orders.order_sums import By, OrderSum, OrderSums, order_sums
from shoal.storage.db_manager import DBManager
from shoal.storage.known_item_rows import SeenItem
from support.databases.store_steps import Clock, an_account, created

BERLIN = ZoneInfo("Europe/Berlin")
SHANGHAI = ZoneInfo("Asia/Shanghai")
CARD = SeenItem(item_id="7001", title="会员月卡")
SOCKS = SeenItem(item_id="7002", title="袜子")


def at(text: str, zone: ZoneInfo = SHANGHAI) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)


async def sums(book: OrderStore, by: By, zone: ZoneInfo = SHANGHAI, **sought: Any) -> OrderSums:
    wanted = SoughtOrders(**{"since_ms": at("2026-01-01"), "until_ms": at("2027-01-01"), **sought})
    return await book._database.read(
        partial(order_sums, account_ids=["shop", "other"], sought=wanted, by=by, zone=zone)
    )


async def sold(book: OrderStore, order_id: str, amount: str, *statuses: str, shop: str = "shop", **facts: str) -> None:
    for status in statuses or ("pending_ship",):
        news = OrderUpdate(order_id=order_id, status=status, source=PAGE, amount=amount, **facts)  # type: ignore[arg-type]
        await book.receive(shop, news)


async def test_sums_tell_what_is_paid_what_was_refunded_and_what_is_not_known(book: OrderStore, clock: Clock) -> None:
    clock.now = at("2026-03-02T10:00")
    await sold(book, "1", "19.90", item_id="7001", quantity="2")
    await sold(book, "2", "0.29", "pending_ship", "completed", item_id="7002")
    await sold(book, "3", "5", "processing", item_id="7001")
    await sold(book, "4", "10.00", "pending_ship", "refunding", item_id="7001")
    await sold(book, "5", "3.00", "pending_ship", "cancelled", shop="other", item_id="7001")
    await sold(book, "6", "4.00", "processing", "cancelled")
    await sold(book, "7", "", "shipped")
    await sold(book, "8", "1,000.00", "shipped", quantity="0")
    await sold(book, "9", "1.2.3", "refunding")
    found = await sums(book, By.DAY)
    assert found.rows == [
        OrderSum(
            day="2026-03-02", orders=9, paid=4, paid_fen=2019, quantity=5, refunded=3, refunded_fen=1300, unknown=3
        )
    ]
    assert found.total == OrderSum(
        orders=9, paid=4, paid_fen=2019, quantity=5, refunded=3, refunded_fen=1300, unknown=3
    )
    by_shop = [(row.account_id, row.paid_fen, row.refunded_fen) for row in (await sums(book, By.SHOP)).rows]
    assert by_shop == [("shop", 2019, 1000), ("other", 0, 300)]
    by_item = [(row.account_id, row.item_id, row.paid_fen, row.orders) for row in (await sums(book, By.ITEM)).rows]
    assert by_item == [
        ("shop", "7001", 1990, 3), ("shop", "7002", 29, 1), ("shop", "", 0, 4), ("other", "7001", 0, 1),
    ]  # fmt: skip
    assert (await sums(book, By.DAY, status="refunding", item_id="7001")).total.refunded_fen == 1000


async def test_days_are_those_of_the_zone_also_where_clocks_change(book: OrderStore, clock: Clock) -> None:
    for number, moment in enumerate(
        ("2026-03-28T23:59:59", "2026-03-29T00:00:00", "2026-03-29T23:59:59", "2026-03-30T00:00:00",
         "2026-10-24T23:59:59", "2026-10-25T00:00:00", "2026-10-25T23:59:59", "2026-10-26T00:00:00")
    ):  # fmt: skip
        clock.now = at(moment, BERLIN)
        await sold(book, str(number), "1.00")
    days = [(row.day, row.paid) for row in (await sums(book, By.DAY, BERLIN)).rows]
    assert days == [
        ("2026-03-28", 1), ("2026-03-29", 2), ("2026-03-30", 1), ("2026-10-24", 1), ("2026-10-25", 2),
        ("2026-10-26", 1),
    ]  # fmt: skip
    late = await sums(book, By.DAY, BERLIN, since_ms=at("2026-03-30", BERLIN), until_ms=at("2026-10-25", BERLIN))
    assert [row.day for row in late.rows] == ["2026-03-30", "2026-10-24"]


async def test_of_many_items_the_largest_are_told_and_all_are_in_the_total(
    book: OrderStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.orders.order_sums.MOST_ROWS", 2)
    clock.now = at("2026-03-02T10:00")
    for number in range(4):
        await sold(book, str(number), f"{number}.00", item_id=f"700{number}")
    found = await sums(book, By.ITEM)
    assert [row.item_id for row in found.rows] == ["7003", "7002"]
    assert (found.total.paid_fen, found.left_out) == (600, 2)


async def test_nothing_sums_to_nothing(book: OrderStore) -> None:
    for by in By:
        assert await sums(book, by) == OrderSums([], OrderSum(), 0)


@pytest.mark.parametrize("shops", [1, 12])
async def test_any_part_of_a_number_finds_an_order(book: OrderStore, shops: int) -> None:
    await told(book, "pending_ship", "4512340000000007891", chat_id="c", buyer_id="b1", item_id="7001")
    await told(book, "pending_ship", "4512340000000007892", chat_id="d", buyer_id="b2")

    async def found(query: str) -> list[str]:
        page = OrderPage([f"shop{number or ''}" for number in range(shops)], SoughtOrders(query=query))
        return [order.order_id[-4:] for order in await book._database.search(page.orders)]

    assert await found("7891") == ["7891"]
    assert await found("1234") == ["7891", "7892"]
    assert await found("451") == ["7891", "7892"], "its beginning, at any length"
    assert await found("891") == [], "of three digits only the beginning"
    assert await found("7001") == await found("b1") == ["7891"]
    assert await found("78%1") == []


async def test_a_narrow_list_of_many_shops_is_whole_and_in_order(
    book: OrderStore, manager: DBManager, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.orders.order_lists._WIDER", 2)  # so that the second window has not all of them either
    shops = [f"shop{number}" for number in range(10)]
    await created(manager, *map(an_account, shops))
    for number in range(30):
        clock.now += number % 2
        status, item = ("shipped", CARD) if number % 10 == 0 else ("pending_ship", SOCKS)
        update = OrderUpdate(
            order_id=str(number), status=status, source=PAGE, item_id=item.item_id, item=item, chat_id=f"c{number % 10}"
        )
        await book.receive(shops[number % 10], update)
    await book._database.write(
        lambda one: note(one, [Chat(account_id="shop0", chat_id="c0", buyer_name="豆豆妈", last_at_ms=1)])
    )
    for wanted in (SoughtOrders(status="shipped"), SoughtOrders(query="月卡"), SoughtOrders(query="豆")):
        seen: list[ListedOrder] = []
        cursor = None
        while page := await book._database.read(OrderPage(shops, wanted, cursor, 2).listed):
            seen += page
            cursor = page[-1].order.cursor
        assert [one.order.order_id for one in seen] == ["20", "10", "0"], wanted
    since = SoughtOrders(since_ms=clock.now - 1)
    recent = await book._database.read(OrderPage(shops, since, None, 200).orders)
    assert recent
    assert {order.created_at_ms for order in recent} <= {clock.now, clock.now - 1}
