"""Hours, hand-off and output filter on the page of a shop's settings: tried before they are saved."""

from __future__ import annotations

from playwright.async_api import expect

from browser.conftest import Console, hangs_over
from support.site.standins import until


async def test_hours_and_filter_are_tried_before_they_are_saved_and_saved_as_one_change(console: Console) -> None:
    page = await console.page("/console/accounts/afu/settings")
    hours, card = page.locator("[data-test=hours]"), page.locator("[data-test=filter]")
    await hours.locator("[name=opening_hours]").fill("1-5 9:00-18:00")
    await hours.locator("[name=handoff_words]").fill("真人")
    await card.locator("[name=filter_patterns]").fill("刷单")
    await card.locator("[name=price_floor_fen]").fill("20")
    await card.locator("[name=try-filter]").fill("帮您刷单，15元")
    await expect(card.locator("[data-test=filter-found]")).to_contain_text("会被拦下：刷单 / 15元")
    assert console.door.account("afu").filter_patterns == "", "nothing is saved yet"
    await page.locator("[data-test=save-settings]").click()
    await until(lambda: console.door.account("afu").price_floor_fen == 2_000)
    saved = console.door.account("afu")
    assert (saved.opening_hours, saved.handoff_words, saved.filter_patterns) == ("1-5 09:00-18:00", "真人", "刷单")
    await expect(page.locator("[data-test=save-bar]")).to_have_count(0)
    assert not await hangs_over(page)
    read = page.locator("[data-test=contents] [aria-current=location]")
    await page.locator("main").evaluate("main => main.scrollTo(0, 1)")
    await expect(read).to_have_text("基本")
    await page.locator("main").evaluate("main => main.scrollTo(0, main.scrollHeight)")
    await expect(read).to_have_text("删除店铺")
    await page.locator("[data-test=contents] button", has_text="自动回复").click()
    await expect(read).to_have_text("自动回复")
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.locator("[data-test=contents] button", has_text="删除店铺").click()
    await expect(read).to_have_text("删除店铺")
    await expect(read).to_be_in_viewport(ratio=1)
    assert not await hangs_over(page)
