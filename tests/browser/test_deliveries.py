"""Shop, Delivery: each item is green or says the one thing to do, a rule turns it green, a purchase is rehearsed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import FilePayload, Route, expect

from browser.axe import findings
from browser.conftest import NAME, WiredConsole, hangs_over, intercept, press
from shoal.xianyu import items_on_sale
from support.files.table_files import a_table
from support.site.standins import until_told

PAGE = "/console/accounts/muzi/deliveries"
SMALL = """all => all.map(one => one.getBoundingClientRect()).filter(box => box.width < 44 || box.height < 44)
  .map(box => `${box.width}×${box.height}`)"""


@pytest.fixture(autouse=True)
def _quick_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items_on_sale, "PAGE_SECONDS", 0.01)


async def stock_of(wired: WiredConsole) -> list[dict[str, Any]]:
    """The seller's items on the site."""
    found: list[dict[str, Any]] = (await wired.sandbox.get("sellers"))["items"][0]["items"]
    return found


async def test_an_item_without_a_rule_gets_one_and_turns_green(wired: WiredConsole) -> None:
    first, second = (await stock_of(wired))[:2]
    await wired.sandbox.do("item", account=wired.unb, item=first["id"], specs=["时长:月卡", "时长:年卡"])
    rule = {"item_id": first["id"], "spec": "时长:月卡", "parts": [{"text": "月卡：https://example.com/{order_id}"}]}
    await wired.door.call("PUT", "/cookies/muzi/deliveries", json={"rules": [rule]})
    page = await wired.page(PAGE)
    green = page.locator(f"[data-item='{first['id']}'][data-spec='时长:月卡']")
    await expect(green).to_contain_text("会自动发货")
    red = page.locator(f"[data-item='{second['id']}']")
    await expect(red).to_contain_text("没有对应的发货规则")
    await expect(page.locator("[data-spec='时长:年卡']")).to_contain_text("规格“时长:年卡”没有发货规则")
    assert await findings(page) == []

    await press(red.locator("[data-test=add-for]"))
    await page.locator("[name=message-0]").fill("谢谢，地址：https://example.com/b")

    async def changed(route: Route) -> None:  # something else of the shop, as by a new cookie: no hindrance
        await wired.door.call("PUT", "/cookies/muzi/remark", json={"remark": "meanwhile"})
        await route.continue_()

    await intercept(page, "**/muzi/deliveries", changed, times=1)
    await page.locator("[data-test=save-delivery]").click()
    await expect(red).to_contain_text("谢谢，地址")
    await expect(red).to_contain_text("会自动发货")
    stored = (await wired.door.call("GET", "/cookies/muzi/items"))["items"]
    assert [(item["item_id"], item["paid_message"]) for item in stored] == [
        (second["id"], "谢谢，地址：https://example.com/b")
    ]

    await press(green.locator("[data-test=try]"))
    rehearsal = page.locator("[data-test=rehearsal]")
    await expect(rehearsal).to_contain_text("月卡：https://example.com/1000000000000000001")
    assert await findings(page) == []
    await page.locator("[name=spec]").fill("时长:年卡")
    await page.locator("[data-test=rehearse]").click()
    await expect(rehearsal).to_contain_text("规格“时长:年卡”没有发货规则")


async def test_g18_the_form_offers_the_specs_of_the_item_and_no_goods_until_they_are_chosen(
    wired: WiredConsole,
) -> None:
    item = (await stock_of(wired))[0]["id"]
    await wired.sandbox.do("item", account=wired.unb, item=item, specs=["时长:月卡", "时长:年卡"])
    for name in ("别的货", "月卡"):
        goods = await wired.door.call("POST", "/goods", json={"name": name, "kind": "stock"})
        await wired.door.call(
            "POST", f"/goods/{goods['id']}/units", json={"lines": [f"{name}-{one}" for one in "ABCD"]}
        )
    page = await wired.page(PAGE)
    await press(page.locator(f"[data-item='{item}'] [data-test=add-for]"))
    specs = page.locator("[data-test=specs] button")
    await expect(specs).to_have_text(["时长:月卡", "时长:年卡"])
    note = page.locator("[data-test=spec-note]")
    await page.locator("[name=spec]").fill("季卡")
    await expect(note).to_contain_text("商品没有这个规格")
    await page.locator("[name=spec]").fill("月卡")
    await expect(note).to_contain_text("会当作“时长:月卡”")
    await expect(specs.first).to_have_attribute("aria-pressed", "true")
    await specs.last.click()
    await expect(page.locator("[name=spec]")).to_have_value("时长:年卡")
    await specs.first.click()
    await expect(page.locator("[name=spec]")).to_have_value("时长:月卡")
    assert await findings(page) == []

    await page.get_by_role("button", name="库存货品").click()
    save, chosen = page.locator("[data-test=save-delivery]"), page.locator("[name=goods]")
    await expect(chosen).to_have_value("")
    await save.click()
    await expect(page.locator("dialog[open] [role=alert]")).to_have_text("请填写“货品”。")
    await expect(chosen).to_be_focused()
    assert wired.door.account("muzi").deliveries == ()
    await page.locator("[name=spec]").fill("x" * 201)
    await expect(page.locator("[data-test=limit].over")).to_be_visible()
    await page.locator("[name=spec]").fill("月卡")
    await chosen.select_option("月卡")
    await save.click()
    green = page.locator("[data-spec='时长:月卡']")
    await expect(green).to_contain_text("按规格“月卡”的规则")
    await expect(green).to_have_attribute("data-standing", "ok")
    (rule,) = wired.door.account("muzi").deliveries
    assert (rule.item_id, rule.spec, rule.goods_id) == (item, "月卡", goods["id"])
    assert await findings(page) == []


async def test_g18_the_order_of_a_spec_without_a_rule_adds_this_rule_and_is_then_delivered(
    wired: WiredConsole,
) -> None:
    item = (await stock_of(wired))[0]["id"]
    await wired.sandbox.do("item", account=wired.unb, item=item, specs=["时长:月卡", "时长:年卡"])
    rule = {"item_id": item, "spec": "时长:年卡", "parts": [{"text": "年"}]}
    await wired.door.call("PUT", "/cookies/muzi/deliveries", json={"rules": [rule]})
    paid = await wired.sandbox.do("pay", account=wired.unb, buyer=NAME, item=item, spec="时长:月卡")
    page = await wired.page(f"/console/orders/muzi/{paid['order_id']}")
    need = page.locator("[data-problem=unknown_spec]")
    await expect(need).to_contain_text("规格“时长:月卡”没有发货规则")
    add = need.locator("[data-test=add-rule]")
    await expect(add).to_have_text("为“时长:月卡”添加规则…")
    await expect(need.locator("[data-test=serve]")).to_have_count(0)
    assert await findings(page) == []
    await press(add)
    await expect(page.locator("[name=spec]")).to_have_value("时长:月卡")
    await page.locator("[name=message-0]").fill("月卡的货")
    await page.locator("[data-test=save-delivery]").click()
    await expect(need).to_contain_text("现在可以发货")
    await expect(add).to_have_count(0)
    await expect(page.locator("[data-test=delivery]")).to_contain_text("月卡的货")
    await expect(need).not_to_contain_text("没有发货规则")
    deliver = need.locator("[data-test=serve]")
    await expect(deliver).to_have_text("发货…")
    await press(deliver)
    await page.locator("[data-test=order-go]").click()
    await expect(need).to_have_count(0)
    (receipts,) = (await wired.sandbox.get("receipts", account=wired.unb))["items"]
    assert [one["text"] for one in receipts["received"]] == ["月卡的货"]


async def test_switches_that_are_off_are_named_and_the_page_fits_a_phone(wired: WiredConsole) -> None:
    await wired.door.call("PATCH", "/cookies/muzi/settings", json={"paid_message": "货", "delivery": False})
    page = await wired.page(PAGE, locale="en-US", viewport={"width": 390, "height": 844}, color_scheme="dark")
    await expect(page.locator("[data-item]").first).to_contain_text("Automatic delivery of the shop is off")
    assert not await hangs_over(page)
    assert await findings(page) == []
    await wired.door.call("PATCH", "/cookies/muzi/settings", json={"delivery": True})
    await expect(page.locator("[data-item]").first).to_contain_text("Delivered automatically")
    await press(page.locator("[data-test=add-delivery]"))
    links = page.locator("dialog[open] [data-test=field-help]")
    await expect(links.first).to_have_attribute("href", "/help/en/howto/delivery/#orders")
    await until_told(lambda: links.evaluate_all(SMALL), [])
    await page.locator("[name=spec]").focus()
    await page.keyboard.press("Tab")  # the way to the help comes after the field
    await expect(page.get_by_role("link", name="Help: Spec")).to_be_focused()


async def test_rules_are_exported_mended_looked_at_and_imported(wired: WiredConsole, tmp_path: Path) -> None:
    old = [{"item_id": "1", "parts": [{"text": "旧"}]}, {"item_id": "9", "parts": [{"text": "九"}]}]
    await wired.door.call("PUT", "/cookies/muzi/deliveries", json={"rules": old})
    page = await wired.page(PAGE)
    await press(page.locator("[data-test=export-rules]"))
    async with page.expect_download() as saving:
        await page.get_by_text("导出为 CSV").click()
    await (await saving.value).save_as(tmp_path / "rules.csv")
    mended = (tmp_path / "rules.csv").read_text(encoding="utf-8-sig").replace("旧", "新")

    await press(page.locator("[data-test=import-rules]"))
    chooser = page.locator("[data-test=deliveries-file]")
    await chooser.set_input_files(_file("坏.xlsx", a_table([["商品ID", "消息 1"], ["", "x"]])))
    await expect(page.locator("[data-test=bad-rows]")).to_contain_text("全部商品")
    assert await findings(page) == []
    await chooser.set_input_files(_file("rules.csv", f"{mended}2,,,,,,二\n".encode()))
    preview = page.locator("[data-test=preview]")
    await expect(preview).to_contain_text("新增 1 · 修改 1 · 删除 0 · 不变 1")
    await expect(preview.locator("[data-change=edited]")).to_contain_text("旧 → 新")
    assert await findings(page) == []
    assert not await hangs_over(page)
    await wired.door.call("PUT", "/cookies/muzi/deliveries?mode=merge", json={"rules": [{"item_id": "8"}]})
    await page.locator("[data-test=import]").click()
    await expect(page.locator("[data-test=stale]")).to_be_visible()
    await expect(preview).to_contain_text("不变 2")
    await page.locator("[data-test=import]").click()
    await expect(page.locator("[data-test=delivery-rules] .rule")).to_have_count(4)
    assert {rule.item_id: rule.text for rule in wired.door.account("muzi").deliveries} == {
        "1": "新", "2": "二", "8": "", "9": "九",
    }  # fmt: skip


def _file(name: str, data: bytes) -> FilePayload:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": data}
