"""The stock page: goods added, filled after a preview, looked at, voided, undone; seen live."""

from __future__ import annotations

from playwright.async_api import expect

from browser.conftest import Console
from browser.test_order_delivery import served
from browser.test_orders import _paid as paid
from support.orders.suppliers import served_supplier
from support.site.standins import until_told

ORDER_ON_A_PHONE = """() => [...document.querySelectorAll('[data-test=units], [data-test=stock-history]')]
    .sort((one, other) => one.getBoundingClientRect().top - other.getBoundingClientRect().top)
    .map(one => one.dataset.test)"""
NARROW = "all => all.map(one => one.getBoundingClientRect().width).filter(width => width < 260)"
"""What a unit says has the width of a phone but for one menu, not what a row of buttons leaves."""


async def test_goods_are_added_filled_after_a_preview_and_undone(console: Console) -> None:
    page = await console.page("/console/stock")
    await expect(page.get_by_text("还没有货品")).to_be_visible()
    await page.locator("[data-test=add-goods]").click()
    await page.locator("[name=goods-name]").fill("月卡")
    await page.locator("[name=low-at]").fill("3")
    await page.locator("[data-test=save-goods]").click()
    row = page.locator("[data-goods=月卡]")
    await expect(row.locator("[data-test=mark]")).to_have_text("缺货")
    await row.locator("[data-test=fill]").click()
    await page.locator("[name=lines]").fill("AB12-0001\nAB12-0002\nAB12-0001\n")
    await page.locator("[data-test=look]").click()
    preview = page.locator("[data-test=preview]")
    await expect(preview).to_contain_text("将取用 2 个卡密")
    await expect(preview).to_contain_text("第 3 行：与第 1 行相同")
    await page.locator("[data-test=import]").click()
    await expect(row.locator("[data-test=mark]")).to_have_text("库存低")

    await row.get_by_role("link").click()
    units = page.locator("[data-test=units] li")
    await expect(units).to_have_count(2)
    await expect(units.first).to_contain_text("AB…01")
    await units.first.locator("[data-test=reveal]").click()
    await page.locator("[name=reason]").fill("买家打不开")
    await page.locator("[data-test=confirm-unit]").click()
    await expect(page.locator("[data-test=revealed]")).to_have_text("AB12-0001")
    await page.keyboard.press("Escape")
    await expect(page.locator("[data-test=stock-history]")).to_contain_text("买家打不开")
    await units.first.locator("[data-test=void]").click()
    await page.locator("[name=reason]").fill("失效")
    await page.locator("[data-test=confirm-unit]").click()
    await expect(units.first).to_contain_text("已作废")
    await page.set_viewport_size({"width": 390, "height": 844})
    await until_told(lambda: page.evaluate(ORDER_ON_A_PHONE), ["units", "stock-history"])
    await until_told(lambda: units.last.locator("p").evaluate_all(NARROW), [])
    await units.last.locator("[data-test=unit-menu]").click()
    await page.get_by_text("查看", exact=True).click()
    await expect(page.locator("[name=reason]")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.locator("[name=reason]")).to_have_count(0)
    await page.locator("[data-test=undo]").click()
    await expect(page.locator("[data-test=undo]")).to_have_text("确定撤销？")
    await expect(units).to_have_count(2)
    await page.locator("[data-test=undo]").click()
    await expect(units).to_have_count(1)
    await expect(page.locator("[data-test=batches]")).to_contain_text("已撤销")


async def test_a_supplier_is_set_shown_masked_and_tried(console: Console) -> None:
    async with served_supplier() as (url, counter):
        page = await console.page("/console/stock")
        await page.locator("[data-test=add-goods]").click()
        await page.locator("[name=goods-name]").fill("代充")
        await page.get_by_text("供货商", exact=True).click()
        await page.locator("[name=supplier-url]").fill(f"{url}/supplier/orders")
        await page.locator("[name=supplier-headers]").fill("Authorization: Bearer canary-1")
        await page.locator("[name=supplier-body]").fill('{"order": "{order_id}", "token": "canary-2"}')
        await page.locator("[name=supplier-path]").fill("data.cards.0.code")
        await page.locator("[data-test=save-goods]").click()
        await page.locator("[data-goods=代充]").get_by_role("link").click()
        card = page.locator("[data-test=supplier]")
        await expect(card).to_contain_text("/supplier/orders")
        await card.locator("[data-test=show-call]").click()
        await expect(card.locator("[data-test=call]")).to_contain_text("Authorization: ***")
        assert counter.view()["calls"] == []
        await card.locator("[data-test=test-call]").click()
        await page.locator("[data-test=confirm-call]").click()
        await expect(card.locator("[data-test=outcome]")).to_contain_text("SU…01")
        await expect(page.locator("[data-test=units] li")).to_have_count(1)
        (called,) = counter.view()["calls"]
        assert (called["headers"]["authorization"], "canary-2" in called["body"]) == ("Bearer canary-1", True)

        await page.locator("[data-test=edit-goods]").click()
        await page.locator("[name=supplier-timeout]").fill("7")
        await page.locator("[data-test=save-goods]").click()
        await expect(page.locator("[data-test=stock-history]")).to_contain_text("修改了货品")
        assert "canary" not in await page.content()
        await card.locator("[data-test=test-call]").click()
        await page.locator("[data-test=confirm-call]").click()
        await expect(page.locator("[data-test=units] li")).to_have_count(2)
        assert counter.view()["calls"][1]["headers"]["authorization"] == "Bearer canary-1"


async def test_open_pages_follow_imports_and_sales_by_themselves(console: Console) -> None:
    door = console.door
    goods_id = int((await door.call("POST", "/goods", json={"name": "月卡", "kind": "stock"}))["id"])
    page, one = await console.page("/console/stock"), await console.page(f"/console/stock/{goods_id}")
    free = page.locator("[data-goods=月卡] dd").first
    await expect(free).to_have_text("0")
    await door.call("POST", f"/goods/{goods_id}/units", json={"lines": ["AB12-0001", "AB12-0002"]})
    await expect(free).to_have_text("2")
    await expect(one.locator("[data-test=units] li")).to_have_count(2)
    await paid(console, quantity="1", parcel="no")
    await served(console, goods_id)
    await expect(free).to_have_text("1")
    await expect(one.locator("[data-test=units] li").first).to_contain_text("已发出")
