"""Sums of orders over the API, and orders as a file."""

from __future__ import annotations

import asyncio
import csv
import io
from typing import Any

import httpx
import pytest
from openpyxl import load_workbook

from shoal.auth.permission import Permission
from shoal.items.item_page_rows import store_page
from shoal.messages.message_log import IncomingMessage
from shoal.orders import order_export
from shoal.orders.order_store import OrderUpdate
from shoal.xianyu.item_page import ItemPage
from support.servers.doors import Door, another_person

EN = {"Accept-Language": "en"}
ID = "4500000000000007891"


async def sold(door: Door, order_id: str = ID, account_id: str = "shop", **news: Any) -> None:
    values = {
        "status": "pending_ship", "source": "detail", "buyer_id": "2200000000099", "chat_id": "59", "item_id": "7001",
        "amount": "19.90", "quantity": "2", **news,
    }  # fmt: skip
    await door.server.order_store.receive(account_id, OrderUpdate(order_id=order_id, **values))


async def titled(door: Door, title: str) -> None:
    account, database = door.server.manager.account("shop"), door.server.database
    await database.write(
        lambda connection: store_page(connection, account, "7001", ItemPage(title=title), "", now_ms=1_000)
    )


async def file(door: Door, query: str = "", **headers: str) -> bytes:
    answer = await door.client.get(f"/orders/export{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    assert "attachment" in answer.headers["content-disposition"]
    return answer.content


def rows_of(data: bytes) -> list[list[str]]:
    assert data.startswith(b"\xef\xbb\xbf"), "without the mark Excel reads Chinese as another encoding"
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


async def test_orders_are_summed_by_day_shop_and_item(door: Door) -> None:
    await sold(door)
    await titled(door, "会员月卡")
    await door.add("other", 2)
    await sold(door, "4600000000000000000", "other", status="refunding", amount="5")
    by_day = await door.call("GET", "/orders/sums")
    assert (by_day["timezone"], len(by_day["items"])) == ("Asia/Shanghai", 1)
    figures = {
        "orders": 2,
        "paid": 1,
        "paid_fen": 1990,
        "quantity": 2,
        "refunded": 1,
        "refunded_fen": 500,
        "unknown": 0,
    }
    assert by_day["total"] == figures
    by_item = (await door.call("GET", "/orders/sums?by=item"))["items"]
    assert [(row["account"], row["item_id"], row["item_title"]) for row in by_item] == [
        ("shop", "7001", "会员月卡"), ("other", "7001", ""),
    ]  # fmt: skip
    by_shop = (await door.call("GET", "/orders/sums?by=shop&cid=other&tz=Europe/Paris"))["items"]
    assert [(row["account"], row["refunded_fen"]) for row in by_shop] == [("other", 500)]
    assert (await door.call("GET", "/orders/sums?tz=Nowhere", 422))["code"] == "bad_timezone"
    assert (await door.call("GET", "/orders/sums?tz=../etc/passwd", 422))["code"] == "bad_timezone"
    old = await door.call("GET", "/orders/sums?since=2001-01-01T00:00:00Z", 422)
    assert (old["code"], old["params"]) == ("too_many_days", {"limit": 400})
    assert (await door.call("GET", "/orders/sums?by=shop&since=2001-01-01T00:00:00Z"))["total"]["orders"] == 2


async def test_a_list_is_narrowed_by_item_time_title_and_the_tail_of_a_number(door: Door) -> None:
    await sold(door)
    await sold(door, "4600000000000000000", item_id="7002")
    await titled(door, "会员月卡")

    async def found(query: str) -> list[str]:
        rows = (await door.call("GET", f"/orders?{query}"))["items"]
        return [row["order_id"][-4:] for row in rows]

    assert await found("item=7001") == await found("q=07891") == await found("q=%E6%9C%88%E5%8D%A1") == ["7891"]
    assert await found("since=2001-01-01T00:00:00Z&item=7002") == ["0000"]
    assert await found("until=2001-01-01T00:00:00Z") == []
    (row,) = (await door.call("GET", "/orders?item=7001"))["items"]
    assert row["item_title"] == "会员月卡"
    assert (await door.call("GET", f"/cookies/shop/orders/{ID}"))["item_title"] == "会员月卡"


async def test_a_csv_file_keeps_long_numbers_and_holds_no_formula(door: Door) -> None:
    await sold(door, spec_name="尺码", spec_value="大")
    await titled(door, "=HYPERLINK(1)")
    heard = IncomingMessage(message_id="m1", chat_id="59", sender_id="2200000000099", sender_name="@豆豆", text="在吗")
    await door.server.message_log.store_incoming("shop", [heard])
    heads, row = rows_of(await file(door, "?q=7891", **{"Accept-Language": "zh"}))
    assert heads[:4] == ["订单号", "店铺", "商品 ID", "商品"]
    told = dict(zip(heads, row, strict=True))
    assert (told["订单号"], told["商品 ID"], told["商品"]) == (f"\t{ID}", "7001", "'=HYPERLINK(1)")
    assert (told["规格"], told["数量"], told["金额（元）"], told["买家"]) == ("尺码:大", "2", "19.90", "'@豆豆")
    assert (told["状态"], told["需要处理"]) == ("待发货", "是")


async def test_an_excel_file_has_texts_and_numbers(door: Door) -> None:
    await sold(door)
    await sold(door, "4600000000000000000", amount="about 5", quantity="")
    await titled(door, "=1+1 <&> \x07 _x0041_")
    book = load_workbook(io.BytesIO(await file(door, "?format=xlsx", **EN)))
    assert book.sheetnames == ["Orders"]
    heads, *rows = book["Orders"].iter_rows(values_only=True)
    told = {str(row[0]): dict(zip(heads, row, strict=True)) for row in rows}
    assert told[ID]["Amount (CNY)"] == 19.9
    assert told[ID]["Quantity"] == 2
    assert told[ID]["Item"] == "=1+1 <&> _x0007_ _x005F_x0041_"
    assert told["4600000000000000000"]["Amount (CNY)"] == "about 5"
    cells = {cell.value: cell.data_type for cell in book["Orders"]["A"]}
    assert cells[ID] == "s"


async def test_a_file_goes_on_page_by_page_over_shops(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_export, "PAGE_ROWS", 2)
    await door.add("another", 3)
    await door.add("empty", 4)
    for number in range(5):
        await sold(door, f"450000000000000000{number}")
        await sold(door, f"460000000000000000{number}", "another")
    _, *rows = rows_of(await file(door))
    assert len({row[0] for row in rows}) == len(rows) == 10
    assert [row[1] for row in rows] == ["another"] * 5 + ["shop"] * 5
    _, *rows = rows_of(await file(door, "?cid=another&status=completed"))
    assert rows == []


async def test_a_file_of_too_many_orders_is_refused_and_not_cut(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_export, "MOST_ORDERS", 1)
    await sold(door)
    assert len(rows_of(await file(door))) == 2
    await sold(door, "4600000000000000000")
    refused = await door.call("GET", "/orders/export", 422, headers=EN)
    assert (refused["code"], refused["params"]) == ("too_many_orders", {"limit": 1})
    assert "at most 1 order" in refused["detail"]


async def test_nobody_gets_the_sums_or_the_file_of_others(door: Door) -> None:
    await sold(door)
    async with another_person(door) as bob:
        assert (await bob.call("GET", "/orders/sums"))["total"]["orders"] == 0
        assert len(rows_of((await bob.client.get("/orders/export")).content)) == 1
        for path in ("/orders/sums?account=shop", "/orders/export?cid=shop"):
            assert (await bob.call("GET", path, 404))["code"] == "unknown_account"


async def test_a_file_whose_reader_leaves_ends(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_export, "PAGE_ROWS", 1)
    for number in range(3):
        await sold(door, f"450000000000000000{number}")
    reading, ended, held = asyncio.Event(), asyncio.Event(), asyncio.Event()
    search = door.server.database.search

    async def slow(job: Any) -> Any:
        if getattr(job, "__qualname__", "").startswith("_Next"):
            reading.set()
            try:
                await held.wait()
            finally:
                ended.set()
        return await search(job)

    monkeypatch.setattr(door.server.database, "search", slow)
    asking = asyncio.create_task(door.client.get("/orders/export"))
    await asyncio.wait_for(reading.wait(), 60)
    asking.cancel()
    await asyncio.wait_for(ended.wait(), 60)
    assert not held.is_set(), "it ended because nobody reads it"


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York"])
async def test_the_last_days_of_all_are_summed_in_every_zone(door: Door, zone: str) -> None:
    for by in ("day", "shop"):
        for since, until in (("9999-12-01T00:00:00Z", "9999-12-31T23:59:59Z"), (None, "9999-12-31T23:59:59-12:00")):
            asked = {"by": by, "tz": zone, "until": until, **({"since": since} if since else {})}
            assert (await door.call("GET", "/orders/sums", params=asked))["items"] == []


async def test_a_file_breaks_off_when_the_shop_is_shared_no_more(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        await sold(door, f"450000000000000000{number}")
    monkeypatch.setattr(order_export, "PAGE_ROWS", 1)
    search, asked = door.server.database.search, list[int]()

    async def taken_meanwhile(job: Any) -> Any:
        asked.append(1)
        if len(asked) == 3:  # the second page; before it the orders were counted
            await door.server.authorization.take("shop", 2)
        return await search(job)

    async with another_person(door) as bob:
        await door.server.authorization.give(door.account(), 2, Permission.READ, given_by="user:admin")
        monkeypatch.setattr(door.server.database, "search", taken_meanwhile)
        with pytest.raises(httpx.HTTPError):
            await bob.client.get("/orders/export")
        assert len(asked) == 3
