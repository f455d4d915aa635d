"""An order's units in the console: masked, shown to their owner, marked; and what an unserved order would get."""

from __future__ import annotations

from playwright.async_api import expect
from sqlalchemy import Connection, insert

from browser.conftest import NAME, Console, WiredConsole, press
from browser.test_orders import ID, _became, _paid
from shoal.goods.bindings import bind_units, units_went_out
from shoal.orders.order_store import ActionState
from shoal.storage.goods_tables import deliveries
from support.orders.goods_steps import by


async def stocked(console: Console, *codes: str) -> int:
    """Goods with these units, and a delivery rule of the shop for the item of the order."""
    door = console.door
    goods_id = int((await door.call("POST", "/goods", json={"name": "月卡", "kind": "stock"}))["id"])
    if codes:
        await door.call("POST", f"/goods/{goods_id}/units", json={"lines": list(codes)})
    rule = {"item_id": "7001", "goods_id": goods_id, "parts": [{"text": "您的卡密：{codes}"}]}
    await door.call("PUT", "/cookies/afu/deliveries", json={"rules": [rule]})
    return goods_id


async def served(console: Console, goods_id: int, order_id: str = ID) -> None:
    """Bind a unit to the order and send it out, as the serving does."""
    server = console.door.server
    goods = await server.goods.store.get(goods_id)
    assert goods is not None
    unb = console.door.account("afu").unb
    row = {"unb": unb, "order_id": order_id, "owner_id": 1, "goods_id": goods_id, "wanted": 1, "state": "done"}

    def job(connection: Connection) -> None:
        bind_units(connection, goods, unb=unb, order_id=order_id, count=1, by=by())
        units_went_out(connection, unb, order_id, by())
        connection.execute(insert(deliveries).values(row))

    await server.database.write(job)


async def test_the_units_of_an_order_are_shown_masked_and_marked_by_their_owner(console: Console) -> None:
    goods_id = await stocked(console, "AB12-0001", "AB12-0002")
    await _paid(console, quantity="1", parcel="no")
    await served(console, goods_id)
    page = await console.page(f"/console/orders/afu/{ID}")
    delivery = page.locator("[data-test=delivery]")
    await expect(delivery).to_contain_text("月卡 × 1")
    unit = delivery.locator("[data-unit='1']")
    await expect(unit).to_contain_text("AB…01")
    await unit.locator("[data-test=show-unit]").click()
    await page.locator("[name=reason]").fill("买家打不开")
    await page.locator("[data-test=confirm-unit]").click()
    await expect(page.locator("[data-test=revealed]")).to_have_text("AB12-0001")
    await page.keyboard.press("Escape")
    await unit.locator("[data-test=doubt-unit]").click()
    await page.locator("[name=reason]").fill("已被使用")
    await page.locator("[data-test=confirm-unit]").click()
    await expect(unit).to_have_attribute("data-state", "doubted")
    await expect(unit.locator("[data-test=doubt-unit]")).to_have_count(0)


async def test_an_order_that_waits_says_what_it_would_get_or_what_is_missing(console: Console) -> None:
    goods_id = await stocked(console)
    await _paid(console, quantity="1", parcel="no")
    page = await console.page(f"/console/orders/afu/{ID}")
    delivery = page.locator("[data-test=delivery]")
    await expect(delivery.locator("[data-obstacle=out_of_stock]")).to_contain_text("库存不足")
    await console.door.call("PATCH", f"/goods/{goods_id}", json={"active": False})
    await page.reload()
    await expect(delivery.locator("[data-obstacle=goods_off]")).to_be_visible()


async def test_orders_that_wait_are_served_after_a_preview_without_those_left_out(console: Console) -> None:
    goods_id = await stocked(console, "AB12-0001", "AB12-0002", "AB12-0003")
    for number, quantity in ((1, 2), (2, 5), (3, 1)):
        order_id = f"450000000000000000{number}"
        await _paid(console, order_id, quantity=str(quantity), parcel="no", message_id=f"{number}.PNM")
        await _became(console, ActionState.FAILED, "out_of_stock", order_id)
    page = await console.page(f"/console/stock/{goods_id}")
    waiting = page.locator("[data-test=waiting]")
    await expect(waiting).to_contain_text("3 个订单在等这个货品")
    await waiting.locator("[data-test=serve-waiting]").click()
    await expect(page.locator("[data-waiting$='1']")).to_contain_text("得到 2 个")
    await expect(page.locator("[data-waiting$='2']")).to_contain_text("需要 5 个")
    await page.get_by_role("checkbox", name="4500000000000000001").click()
    await page.locator("[data-test=serve-go]").click()
    await expect(page.locator("[data-test=toast]", has_text="已安排 1 个订单发货")).to_be_visible()
    await expect(waiting).to_contain_text("2 个订单在等这个货品")
    (said,) = await console.door.server.order_store.order_actions("afu", "4500000000000000003")
    assert said.detail == "asked_by_owner"


async def test_a_buyer_gets_another_unit_and_the_same_again_by_a_person(wired: WiredConsole) -> None:
    door = wired.door
    goods_id = int((await door.call("POST", "/goods", json={"name": "月卡", "kind": "stock"}))["id"])
    lines = [f"AB12-000{number}" for number in range(3)]
    await door.call("POST", f"/goods/{goods_id}/units", json={"lines": lines})
    (item,) = [one for one in (await wired.sandbox.get("sellers"))["items"] if one["unb"] == wired.unb]
    item_id = item["items"][0]["id"]
    rule = {"item_id": item_id, "goods_id": goods_id, "parts": [{"text": "您的卡密：{codes}"}]}
    await door.call("PUT", "/cookies/muzi/deliveries", json={"rules": [rule]})
    paid = await wired.sandbox.do("pay", account=wired.unb, buyer=NAME, item=item_id)
    page = await wired.page(f"/console/orders/muzi/{paid['order_id']}")
    delivery = page.locator("[data-test=delivery]")
    await expect(delivery).to_have_attribute("data-state", "done")
    await press(delivery.locator("[data-unit='1'] [data-test=another-unit]"))
    await page.locator("[name=reason]").fill("买家打不开")
    await page.locator("[data-test=send-more]").click()
    await expect(delivery.locator("[data-unit='2']")).to_contain_text("代替卡密 1：买家打不开")
    await expect(delivery.locator("[data-unit='1'] [data-test=another-unit]")).to_have_count(0)
    await press(delivery.locator("[data-test=send-again]"))
    await page.locator("[data-test=send-more]").click()
    await expect(page.locator("[data-test=handed]")).to_have_count(3)
    await expect(page.locator("[data-test=handed]").first).to_contain_text("您的卡密：〔卡密〕")
    await expect(page.locator("[data-test=timeline]")).to_contain_text("换发一个卡密")
    path = f"/cookies/muzi/orders/{paid['order_id']}/serve"
    body, key = {"replace_unit": 2, "reason": "again"}, {"Idempotency-Key": "one"}
    first = await door.client.post(path, json=body, headers=key)
    second = await door.client.post(path, json=body, headers=key)
    assert (first.status_code, second.json()) == (200, first.json()), "one request takes one unit"
    assert (await door.call("POST", path, 409, json={"replace_unit": 3, "reason": "x"}))["code"] == "out_of_stock"
    assert (await door.call("POST", path, 422, json={"replace_unit": 3}))["code"] == "reason_missing"
    got = [text for text in await seen(wired) if "AB12" in text]
    assert got == [f"您的卡密：AB12-000{number}" for number in (0, 1, 1, 2)]


async def seen(wired: WiredConsole) -> list[str]:
    """What the buyer received."""
    (receipts,) = (await wired.sandbox.get("receipts", account=wired.unb))["items"]
    return [one["text"] for one in receipts["received"]]


async def test_delivery_rules_are_copied_to_another_shop_after_a_preview(console: Console) -> None:
    await stocked(console)
    other = {"item_id": "7001", "parts": [{"text": "旧"}]}
    await console.door.call("PUT", "/cookies/muzi/deliveries", json={"rules": [other]})
    page = await console.page("/console/accounts/afu/deliveries")
    await page.locator("[data-test=copy-rules]").click()
    row = page.locator("[data-copy=muzi]")
    await row.get_by_role("checkbox").click()
    await expect(row).to_contain_text("新增 0 · 修改 1 · 不变 0")
    await page.locator("[data-test=copy-go]").click()
    await expect(page.locator("[data-test=toast]", has_text="已复制到 1 个店铺")).to_be_visible()
    (rule,) = (await console.door.call("GET", "/cookies/muzi/deliveries"))["rules"]
    assert rule["parts"] == [{"text": "您的卡密：{codes}"}]
