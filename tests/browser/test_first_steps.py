"""The first ten minutes: an empty server leads from the first shop to its first reply, and a second answers alike."""

from __future__ import annotations

from playwright.async_api import Page, expect

from benchmarks.clicks import PASTE
from browser.conftest import OpenConsole
from support.site.standins import cookie_of


async def _add(page: Page, number: int, name: str) -> None:
    """Paste a cookie while a code is offered, and choose a name in place of the one that its check proposes."""
    await page.evaluate(PASTE, cookie_of(number))
    await expect(page.locator("textarea[name=cookie]")).to_have_value(cookie_of(number))
    await expect(page.locator("input[name=shop]")).not_to_have_value("")
    await page.locator("[data-test=scan-more]").click()
    await page.locator("input[name=shop]").fill(name)
    await page.locator("[data-test=save]").click()


async def test_four_steps_lead_from_an_empty_server_to_a_shop_that_answers(open_console: OpenConsole) -> None:
    console = await open_console()
    page = await console.page()
    steps = page.locator("[data-test=first-steps]")
    await expect(steps.locator("[data-done=false]")).to_have_count(4)
    await expect(page.locator("[data-test=todo]")).to_have_count(0)
    await steps.locator("[data-test=next-step]").click()
    await expect(page.locator("[data-test=qr]")).to_be_visible()  # "scan to add" asks for a code at once
    await _add(page, 1, "afu")
    dialog = page.get_by_role("dialog", name="设置自动回复")
    await dialog.locator("[data-template=bargain]").get_by_role("checkbox").click()
    await dialog.locator("[data-template=postage] textarea").fill("全场包邮")
    await dialog.locator("[data-test=save-answers]").click()
    await expect(page.locator("[data-test=toast]").last).to_contain_text("已保存 3 条规则")
    rules = (await console.door.call("GET", "/cookies/afu/rules"))["items"]
    assert [rule["parts"][0]["text"] for rule in rules if "邮费" in rule["words"]] == ["全场包邮"]
    assert not [rule for rule in rules if "便宜" in rule["words"]]

    await page.goto("/console/")
    await expect(steps.locator("[data-done=true]")).to_have_count(3)
    await steps.locator("[data-test=next-step]").click()
    await page.locator("textarea[name=try]").fill("包邮吗")
    await expect(page.locator("[data-test=tried]")).to_contain_text("全场包邮")
    await page.goto("/console/")
    await expect(page.locator("[data-test=todo]")).to_be_visible()
    await expect(steps).to_have_count(0)
    over = page.locator("[data-test=steps-over]")
    await expect(over.get_by_role("link", name="手机接收通知")).to_have_attribute("href", "/console/settings/notices")
    await expect(over.get_by_role("link", name="付款后自动发货")).to_be_visible()
    await over.locator("[data-test=hide-steps]").click()
    await expect(over).to_have_count(0)
    await page.reload()
    await expect(page.locator("[data-test=todo]")).to_be_visible()
    await expect(over).to_have_count(0)


async def test_who_puts_the_steps_away_adds_a_second_shop_that_answers_as_the_first_after_a_look_at_the_changes(
    open_console: OpenConsole,
) -> None:
    console = await open_console()
    await console.door.add("afu", 1)
    page = await console.page()
    await page.locator("[data-test=hide-steps]").click()
    await expect(page.locator("[data-test=first-steps]")).to_have_count(0)
    await page.reload()
    await expect(page.locator("[data-todo=afu]")).to_be_visible()
    await expect(page.locator("[data-test=first-steps]")).to_have_count(0)

    await console.door.call("PATCH", "/cookies/afu/settings", json={"name": "阿福的闲置"})
    for word in ("在吗", "包邮"):
        await console.door.call("POST", "/cookies/afu/rules", json={"words": [word], "parts": [{"text": f"答{word}"}]})
    await page.goto("/console/accounts")
    await page.locator("[data-test=add]").click()
    await _add(page, 2, "muzi")
    dialog = page.get_by_role("dialog", name="设置自动回复")
    await dialog.locator("[data-test=as-shop]").click()
    await dialog.locator("[data-test=from-shop]").click()
    await dialog.locator(".n-base-select-option", has_text="阿福的闲置").click()
    await expect(dialog.locator("[data-edit=added]")).to_have_count(2)
    assert (await console.door.call("GET", "/cookies/muzi/rules"))["items"] == []
    await dialog.locator("[data-test=save-answers]").click()
    await expect(page.locator("[data-test=toast]").last).to_contain_text("已保存 2 条规则")
    rules = (await console.door.call("GET", "/cookies/muzi/rules"))["items"]
    assert [rule["words"] for rule in rules] == [["在吗"], ["包邮"]]
