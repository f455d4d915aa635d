"""The shops: seen live, switched, found, added, renewed, removed, many at once, on a desk and on a phone."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from playwright.async_api import Page, Route, expect

from browser.conftest import Console, OpenConsole, WiredConsole, answering, intercept
from shoal.accounts.account import Account, ParkReason
from shoal.accounts.account_task import Link
from shoal.errors import ActionRequired
from shoal.pictures.picture_files import PictureFiles
from support.site.standins import ANN, cookie_of, unb_of, until, until_told

SHOPS = "/console/accounts"


def _row(page: Page, account: str) -> Any:
    return page.locator(f"[data-account={account}]")


def _switch(page: Page, account: str, which: str = "enabled") -> Any:
    return _row(page, account).locator(f"[data-test={which}]")


async def test_a_change_in_one_browser_is_seen_in_another(console: Console) -> None:
    await answering(console, "muzi")
    here, there = await console.page(SHOPS), await console.page(SHOPS)
    await _switch(here, "muzi").click()
    await expect(_switch(there, "muzi")).to_have_attribute("aria-checked", "false")
    await expect(_row(there, "muzi").locator("[data-state]")).to_have_text("已停用")
    await console.door.call("PUT", "/cookies/muzi/status", json={"enabled": True})
    for page in (here, there):
        await expect(_switch(page, "muzi")).to_have_attribute("aria-checked", "true")
        await expect(_row(page, "muzi").locator("[data-state]")).to_have_text("运行中")


async def test_each_change_can_be_taken_back_from_its_toast(console: Console) -> None:
    page = await console.page(SHOPS)
    await _switch(page, "afu", "auto-confirm").click()
    await expect(page.locator("[data-test=toast]")).to_contain_text("afu：已开启自动确认发货")
    await until(lambda: console.door.account("afu").auto_confirm)
    await page.get_by_role("button", name="撤销").click()
    await expect(_switch(page, "afu", "auto-confirm")).to_have_attribute("aria-checked", "false")
    await until(lambda: not console.door.account("afu").auto_confirm)


async def test_a_refused_switch_goes_back_and_says_why(open_console: OpenConsole) -> None:
    console = await open_console(lock_wait_seconds=0.3)
    await console.door.add("afu", 1)
    page = await console.page(SHOPS)
    held = await console.door.server.manager.locks.acquire("afu", "a long operation")
    asked: asyncio.Queue[Route] = asyncio.Queue()

    async def hold(route: Route) -> None:
        await asked.put(route)

    await intercept(page, "**/afu/status*", hold)
    await _switch(page, "afu").click()
    await expect(_switch(page, "afu")).to_have_attribute("aria-checked", "false")
    await (await asked.get()).continue_()
    await expect(page.locator("[data-test=toast].refused")).to_contain_text("没有任何修改")
    await expect(_switch(page, "afu")).to_have_attribute("aria-checked", "true")
    held.release()
    assert console.door.account("afu").enabled


async def test_everything_goes_by_keyboard_and_the_focus_stays_while_rows_change(console: Console) -> None:
    page = await console.page(SHOPS)
    await _row(page, "muzi").wait_for()
    await page.get_by_role("searchbox").focus()
    for _ in range(40):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.getAttribute('aria-label')") == "启用 muzi":
            break
    await page.keyboard.press("Space")
    await expect(_switch(page, "muzi")).to_have_attribute("aria-checked", "false")
    await until(lambda: not console.door.account("muzi").enabled)
    await console.door.call("PUT", "/cookies/afu/remark", json={"remark": "changed meanwhile"})
    await expect(_row(page, "afu")).to_contain_text("changed meanwhile")
    await expect(_switch(page, "muzi")).to_be_focused()
    await expect(_switch(page, "muzi")).not_to_have_attribute("aria-busy", "true")
    await page.keyboard.press("Space")
    await until(lambda: console.door.account("muzi").enabled)


async def test_a_parked_shop_says_why_and_is_resumed_from_its_menu(console: Console) -> None:
    await answering(console, "afu", "muzi", "xiaoyu")
    page = await console.page(SHOPS)

    async def asks_for_a_check(_: Account, __: Link) -> None:
        raise ActionRequired(ParkReason.RISK_CONTROL, action_url="https://h5api.m.goofish.com/check")

    console.door.site.behave = asks_for_a_check
    await console.door.call("POST", "/cookies/afu/resume")
    await expect(_row(page, "afu").locator("[data-state]")).to_have_text("需要处理")
    await expect(_row(page, "afu")).to_contain_text("闲鱼要求验证")
    await page.get_by_role("button", name="需要处理 1").click()
    await expect(page.locator("[data-account]")).to_have_count(1)
    console.door.site.behave = None
    await _row(page, "afu").locator("[data-test=menu]").click()
    await page.get_by_text("恢复连接").click()
    await expect(page.get_by_role("dialog")).to_contain_text("Cookie 还没有换过")
    await page.locator("[data-test=resume-anyway]").click()
    await expect(page.get_by_text("没有符合条件的店铺")).to_be_visible()
    await until(lambda: console.door.server.manager.observation("afu").state == "running")


async def test_a_shop_is_added_by_a_pasted_cookie_that_is_judged_at_once(open_console: OpenConsole) -> None:
    console = await open_console()
    page = await console.page(SHOPS)
    await expect(page.get_by_text("还没有店铺")).to_be_visible()
    await page.locator("[data-test=add]").click()
    await page.locator("[data-test=paste]").click()
    paste = page.locator("textarea[name=cookie]")
    await expect(page.locator("[data-test=keep-hint]")).to_contain_text("保持登录")
    await paste.fill("words, but no cookie")
    await expect(page.locator("[data-test=verdict]")).to_contain_text("无法识别")
    await paste.fill(f"unb={unb_of(3)}")
    await expect(page.locator("[data-test=verdict]")).to_contain_text("缺少 cookie2")
    await expect(page.locator("[data-test=save]")).to_be_disabled()
    pairs = dict(pair.split("=") for pair in cookie_of(3).split("; "))
    await paste.fill(json.dumps([{"name": name, "value": value} for name, value in pairs.items()]))
    await expect(page.locator("[data-test=verdict]")).to_contain_text(f"闲鱼号 {unb_of(3)}")
    await expect(page.locator("input[name=shop]")).to_have_value("shop-0003")
    await expect(page.locator("input[name=shop]")).not_to_be_visible()  # most leave it as it is
    await page.locator("[data-test=scan-more]").click()
    await page.locator("input[name=shop]").fill("my 小店")
    await page.locator("[data-test=save]").click()
    await expect(page.locator("[data-account='my 小店'] [data-state]")).to_have_text("运行中，不会回复")
    assert console.door.account("my 小店").cookie == cookie_of(3)
    assert "s13" not in await page.content()
    await page.locator("[data-test=write-own]").click()
    await expect(page.locator("[data-test=add-rule]")).to_be_visible()


async def test_a_cookie_of_another_seller_is_refused_and_a_new_one_of_the_same_taken(console: Console) -> None:
    page = await console.page(SHOPS)
    await _row(page, "muzi").locator("[data-test=menu]").click()
    await page.get_by_text("更换 Cookie").click()
    await page.locator("textarea[name=cookie]").fill(cookie_of(9))
    await expect(page.locator("[data-test=verdict]")).to_contain_text("另一个闲鱼号")
    await expect(page.locator("[data-test=save]")).to_be_disabled()
    renewed = cookie_of(2, secret="fresh")
    await page.locator("textarea[name=cookie]").fill(renewed)
    await page.locator("[data-test=save]").click()
    await expect(page.locator("[data-test=toast]")).to_contain_text("muzi：已更换 Cookie")
    assert console.door.account("muzi").cookie == renewed


async def test_a_shop_is_removed_only_after_its_name_was_typed(console: Console) -> None:
    page = await console.page(SHOPS)
    await _row(page, "xiaoyu").locator("[data-test=menu]").click()
    await page.get_by_text("删除店铺").click()
    remove = page.locator("[data-test=remove]")
    await page.locator("input[name=confirm]").fill("xiao")
    await expect(remove).to_be_disabled()
    await page.keyboard.press("Enter")
    assert "xiaoyu" in console.door.server.manager.accounts
    await page.locator("input[name=confirm]").fill("xiaoyu")
    await remove.click()
    await expect(_row(page, "xiaoyu")).to_have_count(0)
    await until(lambda: "xiaoyu" not in console.door.server.manager.accounts)


async def test_many_are_switched_with_a_preview_and_each_result_is_told(open_console: OpenConsole) -> None:
    console = await open_console(lock_wait_seconds=0.3)
    for number in range(1, 5):
        await console.door.add(f"shop{number}", number)
    await console.door.call("PUT", "/cookies/shop3/status", json={"enabled": False})
    page = await console.page(SHOPS)
    await page.get_by_label("选择全部显示的店铺").click()
    await _row(page, "shop4").get_by_label("选择 shop4").click()
    await expect(page.locator("[data-test=batch]")).to_contain_text("已选 3 个")
    await page.get_by_role("button", name="已停用 1").click()
    await expect(page.locator("[data-test=batch-out]")).to_have_text("其中 2 个不在当前列表")
    await page.get_by_role("button", name="全部 4").click()
    await expect(page.locator("[data-test=batch-out]")).to_have_count(0)
    await page.locator("[data-test=batch-off]").click()
    dialog = page.locator("[data-test=dialog]")
    await expect(dialog).to_contain_text("2 个将修改")
    await expect(dialog).to_contain_text("1 个无变化")
    assert console.door.account("shop1").enabled
    held = await console.door.server.manager.locks.acquire("shop2", "a long operation")
    await page.locator("[data-test=go]").click()
    await expect(dialog).to_contain_text("1 个失败")
    await expect(dialog.locator("[data-outcome=failed]")).to_contain_text("没有任何修改")
    held.release()
    assert not console.door.account("shop1").enabled
    await page.get_by_role("button", name="重试失败的").click()
    await expect(dialog).to_have_count(0)
    await expect(page.locator("[data-test=toast]").last).to_contain_text("已修改 1 个店铺")
    assert [console.door.account(f"shop{n}").enabled for n in range(1, 5)] == [False, False, False, True]


async def _are_few(page: Page) -> bool:
    return 0 < await page.locator("[data-account]").count() < 40


async def test_of_many_shops_only_those_in_sight_are_drawn_and_each_is_found(open_console: OpenConsole) -> None:
    console = await open_console()
    manager = console.door.server.manager
    await asyncio.gather(
        *(
            manager.add_cookie(f"shop-{number:04}", cookie_of(number), owner_id=1, caller=ANN)
            for number in range(1, 301)
        )
    )
    page = await console.page(SHOPS)
    await expect(page.get_by_role("button", name="全部 300")).to_be_visible()
    await until_told(lambda: _are_few(page), True)
    await page.get_by_role("searchbox").fill("0299")
    await expect(page.locator("[data-account]")).to_have_count(1)
    await page.get_by_role("searchbox").fill("")
    await page.get_by_role("button", name="店铺", exact=True).click()
    await expect(page.locator("[data-account]").first).to_contain_text("shop-0300")
    await page.locator("[data-account]").first.hover()
    await page.mouse.wheel(0, 1_000_000)
    await expect(_row(page, "shop-0001")).to_be_visible()


async def test_on_a_phone_shops_are_cards_with_their_switch_in_reach(console: Console) -> None:
    page = await console.page(SHOPS, viewport={"width": 390, "height": 844}, has_touch=True)
    box = await _switch(page, "muzi").bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= 390
    await _switch(page, "muzi").tap()
    await until(lambda: not console.door.account("muzi").enabled)
    await page.locator("[data-test=more-pages]").tap()
    await expect(page.get_by_role("link", name="库存")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("link", name="库存")).to_be_hidden()


async def test_a_shop_shows_its_sellers_picture_and_its_letter_without_one(wired: WiredConsole) -> None:
    """From this server alone: the fixture complains about a request to any other host."""
    await until(lambda: bool(wired.door.server.manager.observation("muzi").seller_picture), seconds=60)
    await wired.door.call("PATCH", "/cookies/muzi/settings", json={"name": "木子数码"})
    page = await wired.page(SHOPS)
    for path in (SHOPS, f"{SHOPS}/muzi"):
        await page.goto(path)
        picture = page.locator("[data-test=face] img")
        await expect(picture).to_have_js_property("complete", value=True)
        await expect(picture).to_have_js_property("naturalWidth", 80)
    pictures = wired.door.server.pictures
    assert isinstance(pictures, PictureFiles)
    for file in pictures._directory.iterdir():
        file.unlink()
    other = await wired.fresh_page(SHOPS)  # one that is used again may have kept the picture
    await expect(other.locator("[data-test=face]")).to_have_text("木")
    await expect(other.locator("[data-test=face] img")).to_have_count(0)
