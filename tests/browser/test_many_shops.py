"""Many shops at once in the console: settings with a preview and undo, shares, invitations, groups and views."""

from __future__ import annotations

from playwright.async_api import Page, expect

from browser.axe import findings
from browser.conftest import Console, OpenConsole
from shoal.auth.permission import Permission
from shoal.auth.users import Role
from support.site.standins import until

SHOPS = "/console/accounts"


async def _with_shops(open_console: OpenConsole, number: int) -> Console:
    console = await open_console()
    for one in range(1, number + 1):
        await console.door.add(f"shop{one}", one)
        remark = "手机 #phones" if one % 2 else "#books"
        await console.door.call("PUT", f"/cookies/shop{one}/remark", json={"remark": remark})
    return console


async def _menu(page: Page, item: str) -> None:
    await page.locator("[data-test=batch-more]").click()
    await page.get_by_text(item, exact=True).click()


async def test_settings_of_many_are_previewed_applied_and_undone_and_a_group_is_shared_and_kept_as_a_view(
    open_console: OpenConsole,
) -> None:
    console = await _with_shops(open_console, 3)
    lina = await console.door.server.users.create("lina", "a password of theirs", role=Role.STAFF)
    page = await console.page(SHOPS)
    await _change_and_undo(console, page)
    await page.reload()
    await _keep_a_view_of_a_group(page)
    await page.get_by_label("选择全部显示的店铺").click()
    await _menu(page, "共享给同事…")
    dialog = page.locator("[data-test=dialog]")
    await dialog.locator("[data-test=colleague] input").fill("lina")
    await page.keyboard.press("Enter")
    await expect(dialog.locator("[data-outcome=would_change]")).to_have_count(2)
    await dialog.locator("[data-test=go]").click()
    await expect(dialog).to_have_count(0)
    given = console.door.server.authorization.given_to
    assert [given(console.door.account(f"shop{n}"), lina.id) for n in (1, 2, 3)] == [
        Permission.REPLY, None, Permission.REPLY,
    ]  # fmt: skip
    await page.reload()
    await page.get_by_role("searchbox").fill("")
    await expect(page.locator("[data-account]")).to_have_count(3)
    await page.locator("[data-test=views]").click()
    await page.locator("[data-view=手机店]").click()
    await expect(page.locator("[data-account]")).to_have_count(2)


async def _change_and_undo(console: Console, page: Page) -> None:
    await page.get_by_label("选择全部显示的店铺").click()
    await _menu(page, "默认回复…")
    dialog = page.locator("[data-test=dialog]")
    await expect(dialog.locator("[data-test=go]")).to_be_disabled()
    await dialog.locator("textarea[name=default_reply]").fill("您好，稍后回复")
    enabled = dialog.locator("[data-field=default_reply_enabled] [role=checkbox]")
    await expect(enabled).to_have_attribute("aria-checked", "true")  # a text alone would leave the shops silent
    await expect(dialog.locator("[data-shop=shop1]")).to_contain_text("您好，稍后回复")
    assert console.door.account("shop1").default_reply == ""
    await dialog.get_by_role("button", name="应用到 3 个店铺").click()
    await expect(dialog).to_have_count(0)
    assert {console.door.account(f"shop{n}").default_reply for n in range(1, 4)} == {"您好，稍后回复"}
    await page.locator("[data-test=toast]").last.get_by_role("button", name="撤销").click()
    await until(lambda: {console.door.account(f"shop{n}").default_reply for n in range(1, 4)} == {""})


async def _keep_a_view_of_a_group(page: Page) -> None:
    await page.locator("[data-test=group]").click()
    await page.get_by_text("#phones（2）", exact=True).click()
    await expect(page.locator("[data-account]")).to_have_count(2)
    await page.locator("[data-test=views]").click()
    await page.locator("input[name=view]").fill("手机店")
    await page.locator("[data-test=save-view]").click()
    await page.keyboard.press("Escape")


async def test_a_new_colleague_is_invited_to_all_shops_by_few_clicks(open_console: OpenConsole) -> None:
    console = await _with_shops(open_console, 3)
    page = await console.page(SHOPS)
    clicks = 0

    async def click(selector: str) -> None:
        nonlocal clicks
        clicks += 1
        await page.locator(selector).click()

    await click("[aria-label=选择全部显示的店铺]")
    await click("[data-test=batch-more]")
    await click(".n-dropdown-option:has-text('邀请新同事')")
    await expect(page.locator("[data-test=shop-picker]")).to_contain_text("已选 3 个店铺")
    await click("[data-test=make-link]")
    link = await page.locator("[data-test=secret]").inner_text()
    await click("[data-test=close]")
    assert clicks <= 12
    await page.context.clear_cookies()  # the colleague's browser, which nobody has signed in
    await page.goto(link)
    await expect(page.locator("[data-test=shops]")).to_contain_text("3")
    await expect(page.get_by_text("您受邀成为员工")).to_be_visible()
    await page.locator("[name=username]").fill("lina")
    await page.locator("[name=new-password]").fill("zebra orbit lantern 7")
    await page.locator("[name=again]").fill("zebra orbit lantern 7")
    await page.locator("[data-test=join]").click()
    await until(lambda: len(console.door.server.authorization.staff_of(console.door.account("shop3"))) == 1)


async def test_shops_stand_in_groups_that_stay_collapsed_and_a_number_must_be_typed(open_console: OpenConsole) -> None:
    console = await _with_shops(open_console, 3)
    page = await console.page(SHOPS)
    shops = page.locator("[data-account]")
    phones = page.locator("[data-group=phones] button")
    await expect(shops).to_have_count(3)
    await page.locator("[data-test=grouped]").click()
    await expect(phones).to_contain_text("2 个店铺")
    assert await findings(page) == []
    await phones.click()
    await expect(phones).to_have_attribute("aria-expanded", "false")
    await expect(shops).to_have_count(1)
    await page.reload()
    await expect(phones).to_have_attribute("aria-expanded", "false")
    await phones.press("Enter")
    await expect(shops).to_have_count(3)

    await page.get_by_label("选择全部显示的店铺").click()
    await _menu(page, "其他设置…")
    dialog = page.locator("[data-test=dialog]")
    limit = dialog.locator("[data-field=buyer_replies_per_hour]")
    await limit.get_by_role("checkbox").click()
    await expect(limit).to_contain_text("请填写数字")
    await expect(dialog.locator("[data-test=go]")).to_be_disabled()
    await limit.locator("input[name=buyer_replies_per_hour]").fill("7")
    await expect(dialog).to_contain_text("3 个将修改")
    await dialog.locator("[data-test=go]").click()
    await until(lambda: {console.door.account(f"shop{n}").buyer_replies_per_hour for n in (1, 2, 3)} == {7})
