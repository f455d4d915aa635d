"""The second factor: set up by an app, asked for at the door, replaced by a recovery code when the phone is gone."""

from __future__ import annotations

import pyotp
from playwright.async_api import Page, expect

from browser.axe import findings
from browser.conftest import PASSWORD, Console


async def at_the_door(console: Console) -> Page:
    page = await (await console.browser()).new_page()
    await page.goto("/console/login")
    await page.locator("[name=username]").fill("admin")
    await page.locator("[name=password]").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await page.locator("[name=totp]").wait_for()
    return page


async def test_a_code_is_asked_for_once_the_app_is_set_up_and_a_recovery_code_stands_for_it(console: Console) -> None:
    page = await console.page("/console/settings/me")
    await page.locator("[data-test=totp-on]").click()
    await page.locator("[name=proof]").fill(PASSWORD)
    await page.locator("[data-test=totp-go]").click()
    await expect(page.get_by_alt_text("供验证器应用扫描的二维码")).to_be_visible()
    await page.get_by_text("无法扫描？").click()
    app = pyotp.TOTP(await page.locator("[data-test=secret]").inner_text())
    assert await findings(page) == []
    await page.locator("[name=code]").fill("nonsense")
    await page.locator("[data-test=totp-go]").click()
    await expect(page.locator("[data-test=dialog]").get_by_role("alert")).to_contain_text("验证码不正确")
    await page.locator("[name=code]").fill(app.now())
    await page.locator("[data-test=totp-go]").click()
    await page.locator("[data-test=download]").wait_for()
    codes = (await page.locator("[data-test=secret]").inner_text()).split()
    assert len(codes) >= 8
    async with page.expect_download() as downloading:
        await page.locator("[data-test=download]").click()
    assert (await (await downloading.value).path()).read_text().split() == codes
    await page.locator("[data-test=close]").click()
    await expect(page.locator("[data-test=totp]")).to_contain_text(f"还剩 {len(codes)} 个恢复码")

    door = await at_the_door(console)
    assert await findings(door) == []
    await door.locator("[name=totp]").fill("not one of them")
    await door.keyboard.press("Enter")
    await expect(door.get_by_role("alert")).to_contain_text("验证码不正确")
    await door.locator("[name=totp]").fill(codes[0])
    await door.keyboard.press("Enter")
    await door.locator("[data-test=line].live").wait_for()
    await door.goto("/console/settings/me")
    await expect(door.locator("[data-test=totp]")).to_contain_text(f"还剩 {len(codes) - 1} 个恢复码")
    await door.locator("[data-test=totp-off]").click()
    await door.locator("[name=proof]").fill(PASSWORD)
    await door.locator("[name=code]").fill(codes[1])
    await door.locator("[data-test=totp-go]").click()
    await expect(door.locator("[data-test=totp-on]")).to_be_visible()
