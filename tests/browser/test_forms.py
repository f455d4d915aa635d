"""Forms and dialogs: what is refused stands where one looks, and what is typed is not lost."""

from __future__ import annotations

from playwright.async_api import expect

from browser.conftest import Console, answering
from standins import until

RULES = "/console/accounts/afu/rules"


async def test_g20_a_text_above_its_length_is_told_while_it_is_typed(console: Console) -> None:
    """And is not cut off in silence. The server counts an emoji as one character, and so does the form."""
    await answering(console, "afu")
    page = await console.page(RULES)
    await page.locator("[data-test=add-rule]").click()
    await page.locator("[name=words]").fill("包邮")
    box, told = page.locator("[name=part-0]"), page.locator("dialog[open] [data-test=limit]")
    await box.fill("好" * 3_000)
    await expect(told).to_have_text("")
    await box.fill("🐟" * 3_999)
    await expect(told).to_have_text("3,999 / 4,000 字")
    await box.fill("🐟" * 4_002)
    await expect(told).to_have_text("超出 2 个字，最多 4,000 个字。")
    await expect(box).to_have_attribute("aria-invalid", "true")
    await page.locator("[data-test=save-rule]").click()
    await expect(box).to_be_focused()
    assert console.door.account("afu").keywords == ()
    await box.fill("🐟" * 4_000)
    await expect(box).not_to_have_attribute("aria-invalid", "true")
    await page.locator("[data-test=save-rule]").click()
    await until(lambda: [len(rule.reply) for rule in console.door.account("afu").keywords] == [4_000])
