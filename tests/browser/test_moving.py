"""The page of moving in: a file is chosen and looked at, taken in, reported, and what was on is turned on."""

from __future__ import annotations

from pathlib import Path

from playwright.async_api import expect

from browser.axe import findings
from browser.conftest import Console, hangs_over
from support.moving.old_database import an_old_shop, write_sqlite
from support.moving.today_database import a_small_database, account, as_dump


async def test_a_database_is_looked_at_taken_in_and_turned_on(console: Console, tmp_path: Path) -> None:
    page = await console.page("/console/settings/moving", viewport={"width": 390, "height": 844}, color_scheme="dark")
    await page.locator("[data-test=moving-file]").set_input_files(
        {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"hello"}
    )
    await expect(page.locator("[data-test=problem]")).to_contain_text("这不是可以导入的文件")
    await page.locator("[data-test=moving-file]").set_input_files(write_sqlite(tmp_path / "old.db", an_old_shop()))
    plan = page.locator("[data-test=plan]")
    await expect(plan).to_contain_text("还没有修改任何内容")
    await expect(plan.locator("[data-kind=rules]")).to_be_visible()
    await plan.get_by_role("button", name="不搬").click()
    await expect(plan.locator("li[data-fate=skipped]").first).to_be_visible()
    await expect(plan.locator("li[data-fate=changed]")).to_have_count(0)
    assert await findings(page) == []
    assert not await hangs_over(page)

    await page.locator("[data-test=begin]").click()
    run = page.locator("[data-test=run][data-state=done]")
    await expect(run).to_contain_text("店铺都是关闭的")
    await expect(page.locator(".moving > section").first).to_have_attribute("data-test", "run")
    accounts = console.door.server.manager.accounts
    was_on = [
        one for one in (await console.door.call("GET", "/imports"))["items"][0]["was_on"] if one["kind"] == "accounts"
    ]
    assert was_on
    assert not any(accounts[one["id"]].enabled for one in was_on)
    await run.locator("[data-test=turn-on]").click()
    await expect(page.locator("[data-test=confirm-turn-on]")).to_be_disabled()
    await page.locator("[data-test=old-stopped]").click()
    assert await findings(page) == []
    await page.locator("[data-test=confirm-turn-on]").click()
    await expect(run).to_contain_text("原来开着的已经打开")
    await expect(run).not_to_contain_text("店铺都是关闭的")
    await expect(page.locator("[data-test=confirm-turn-on]")).to_have_count(0)
    assert all(accounts[one["id"]].enabled for one in was_on)
    assert await findings(page) == []
    assert not await hangs_over(page)


async def test_g1_a_shop_that_stays_off_is_shown_with_its_reason_and_is_not_turned_on(
    console: Console, tmp_path: Path
) -> None:
    proxy = {"proxy_type": "socks4", "proxy_host": "192.0.2.9", "proxy_port": 1080}
    rows = a_small_database(account(1), account(2, remark="贝壳小店", delivery_disabled=1, **proxy))
    file = tmp_path / "shop.sql"
    file.write_text(as_dump(rows), encoding="utf-8")
    page = await console.page("/console/settings/moving", viewport={"width": 390, "height": 844})
    await page.locator("[data-test=moving-file]").set_input_files(file)
    plan = page.locator("[data-test=plan]")
    await expect(plan.locator("[data-test=stays-off]")).to_contain_text("贝壳小店")
    await expect(plan.locator("[data-test=stays-off]")).to_contain_text("代理")
    await expect(plan.locator("[data-test=rows] li").first).to_contain_text("禁止该店铺发货")  # what forbids is first
    await expect(plan.locator("[data-test=rows] li").nth(1)).to_contain_text("代理")
    assert await findings(page) == []
    assert not await hangs_over(page)
    await page.locator("[data-test=begin]").click()
    run = page.locator("[data-test=run][data-state=done]")
    await expect(run.locator("[data-test=stays-off]")).to_contain_text("贝壳小店")
    await run.locator("[data-test=turn-on]").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("shop1")
    await expect(dialog).not_to_contain_text("贝壳小店")
    await page.locator("[data-test=old-stopped]").click()
    await page.locator("[data-test=confirm-turn-on]").click()
    await expect(page.locator("[data-test=confirm-turn-on]")).to_have_count(0)
    accounts = console.door.server.manager.accounts
    assert (accounts["shop1"].enabled, accounts["shop2"].enabled) == (True, False)
    await expect(run.locator("[data-test=stays-off]")).to_contain_text("贝壳小店")
