"""Orders and their time lines on both databases."""

from __future__ import annotations

import pytest

from contract.order_book_steps import SECOND, paid, told
from shoal.orders.order_rows import PAGE
from shoal.orders.order_store import OrderStore, OrderUpdate
from shoal.orders.sold_specs import sold_specs
from support.databases.store_steps import Clock


async def test_an_order_never_comes_back_from_its_end(book: OrderStore) -> None:
    news = OrderUpdate(order_id="o1", status="pending_ship", source="card", item_id="9", buyer_id="b", chat_id="c")
    heard = [news, OrderUpdate(order_id="o1", status="pending_ship", source="card")]
    heard += [OrderUpdate(order_id="o1", status=status, source="late") for status in ("completed", "pending_ship")]
    assert [(await book.receive("shop", one))[1] for one in heard] == [True, False, True, False]
    order = await book.order("shop", "o1")
    assert order is not None
    assert (order.status, order.item_id, order.buyer_id, order.chat_id) == ("completed", "9", "b", "c")
    assert [(event.status, event.source) for event in await book.events("shop", "o1")] == [
        ("pending_ship", "card"), ("completed", "late"),
    ]  # fmt: skip
    assert await book.order("other", "o1") is None


async def test_the_item_of_an_order_is_what_the_first_card_says_until_its_page_says_another(book: OrderStore) -> None:
    heard = [("card", "9"), ("card", "8"), (PAGE, "7"), ("card", "6")]
    items = []
    for source, item_id in heard:
        received = await book.receive("shop", OrderUpdate(order_id="o1", source=source, item_id=item_id))
        items.append(received.order.item_id)
    assert items == ["9", "9", "7", "7"]


async def test_orders_are_listed_newest_first_page_by_page(book: OrderStore, clock: Clock) -> None:
    for number in range(5):
        clock.now += number % 2  # some at the same moment
        await paid(book, "shop" if number % 3 else "other", f"o{number}")
    everything = await book.orders(["shop", "other"])
    seen = []
    cursor = None
    while page := await book.orders(["shop", "other"], cursor=cursor, limit=2):
        seen += page
        cursor = page[-1].cursor
        assert len(seen) <= len(everything), "a page came again"
    assert seen == everything
    assert len(seen) == 5
    assert {order.account_id for order in await book.orders(["other"])} == {"other"}


async def test_a_card_stands_in_the_time_line_once_with_the_sites_own_time(book: OrderStore, clock: Clock) -> None:
    for _ in range(2):
        await told(book, "processing", message_id="1.PNM", site_at_ms=5, words="我已拍下，待付款")
        clock.now += SECOND
    await told(book, "pending_ship", message_id="1.PNM", site_at_ms=7, words="我已付款，等待你发货")
    await told(book, "", message_id="2.PNM", site_at_ms=9, words="快给ta一个评价吧~")
    lines = [(event.words, event.site_at_ms, event.at_ms) for event in await book.events("shop", "o1")]
    start = clock.now - 2 * SECOND
    assert lines == [
        ("我已拍下，待付款", 5, start), ("我已付款，等待你发货", 7, clock.now), ("快给ta一个评价吧~", 9, clock.now),
    ]  # fmt: skip


@pytest.mark.parametrize("before", ["processing", "pending_ship", "shipped"])
async def test_c14_a_withdrawn_refund_leads_back_to_where_the_order_was(book: OrderStore, before: str) -> None:
    for status in ("processing", before, "refunding"):
        order = await told(book, status)
    assert (order.status, order.problem) == ("refunding", "refund_asked")
    assert (await told(book, "processing", message_id="1.PNM")).status == "refunding"  # an old card again
    order = await told(book, "refund_cancelled")
    assert (order.status, order.problem) == (before, "paid_without_card" if before == "pending_ship" else "")
    assert (await told(book, "refund_cancelled")).status == before
    assert [event.status for event in await book.events("shop", "o1")][-1] == before


async def test_a_shipment_during_a_refund_is_remembered(book: OrderStore) -> None:
    for status in ("pending_ship", "refunding"):
        await told(book, status)
    await told(book, "shipped", message_id="9.PNM")
    assert (await told(book, "refund_cancelled")).status == "shipped"


async def test_a_refund_that_succeeds_ends_the_order(book: OrderStore) -> None:
    for status in ("pending_ship", "refunding", "cancelled"):
        order = await told(book, status)
    assert (order.status, order.problem) == ("cancelled", "")


async def test_a_mark_counts_where_one_order_is_open(book: OrderStore) -> None:
    await told(book, "processing", chat_id="c", site_at_ms=5)
    assert await book.receive_mark("shop", "c", "cancelled", words="交易关闭", site_at_ms=6)
    order = await book.order("shop", "o1")
    assert order is not None
    assert order.status == "cancelled"
    assert not await book.receive_mark("shop", "c", "cancelled", words="交易关闭", site_at_ms=7)  # nothing is open
    for number in (2, 3):
        await told(book, "processing", f"o{number}", chat_id="c", site_at_ms=8)
    assert not await book.receive_mark("shop", "c", "cancelled", words="交易关闭", site_at_ms=9)
    assert {order.status for order in await book.orders(["shop"])} == {"cancelled", "processing"}


async def test_a_mark_that_is_older_than_the_order_says_nothing(book: OrderStore) -> None:
    await told(book, "pending_ship", chat_id="c", site_at_ms=9)
    assert not await book.receive_mark("shop", "c", "cancelled", words="交易关闭", site_at_ms=8)
    assert not await book.receive_mark("other", "c", "cancelled", words="交易关闭", site_at_ms=10)


async def test_a_list_is_narrowed_by_status_problem_chat_and_ids(book: OrderStore) -> None:
    await told(book, "processing", "o1", chat_id="c", buyer_id="b1", item_id="7")
    await told(book, "refunding", "o2", chat_id="d", buyer_id="b2")
    await told(book, "shipped", "x%", chat_id="d")

    async def found(**wanted: bool | str) -> list[str]:
        return sorted(order.order_id for order in await book.orders(["shop"], **wanted))  # type: ignore[arg-type]

    assert await found(status="shipped") == ["x%"]
    assert await found(with_problem=True) == ["o2"]
    assert await found(chat_id="d") == ["o2", "x%"]
    assert await found(query="o") == ["o1", "o2"]
    assert await found(query="b1") == await found(query="7") == ["o1"]
    assert await found(query="x%") == ["x%"]
    assert await found(query="%") == []


async def test_of_many_specs_that_were_sold_the_newest_count(
    book: OrderStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.orders.sold_specs.MOST_SPECS", 1)
    for number, spec in ((9, "年卡"), (1, "月卡")):
        clock.now += 1_000
        bought = OrderUpdate(order_id=f"o{number}", source="card", item_id="7001", spec_name="时长", spec_value=spec)
        await book.receive("shop", bought)
    found = await book._database.read(lambda connection: sold_specs(connection, "shop"))
    assert found == {"7001": {"时长:月卡": clock.now}}
