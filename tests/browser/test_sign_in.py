"""Signing in by the form, the language of the browser, and what happens when a session ends."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from browser.conftest import PASSWORD, Console
from support.site.standins import until, until_told


@pytest.mark.parametrize(
    ("locale", "language", "title"),
    [("zh-CN", "zh-CN", "登录 Shoal"), ("en-GB", "en", "Sign in to Shoal"), ("fr-FR", "zh-CN", "登录 Shoal")],
)
async def test_the_language_follows_the_browser(console: Console, locale: str, language: str, title: str) -> None:
    page = await (await console.browser(locale=locale)).new_page()
    await page.goto("/")
    await expect(page.get_by_role("heading", level=1)).to_have_text(title)
    await expect(page.locator("html")).to_have_attribute("lang", language)


async def test_a_chosen_language_is_kept(console: Console) -> None:
    page = await console.page("/console/accounts")
    await page.locator("[data-test=language]").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Shops")
    await page.reload()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Shops")


async def test_signing_in_leads_where_one_wanted_to_go_and_out_again(console: Console) -> None:
    page = await (await console.browser()).new_page()
    await page.goto("/console/accounts?filter=off")
    await page.get_by_label("用户名或邮箱").fill("admin")
    await page.get_by_label("密码").fill("not the password")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("用户名或密码不正确")
    await page.get_by_label("密码").fill(PASSWORD)
    await page.get_by_role("button", name="登录").click()
    await page.wait_for_url("**/console/accounts?filter=off")
    await expect(page.locator("[data-test=line]")).to_have_text("实时连接")
    await page.evaluate("window.known = 'what the page knew'")
    await page.set_viewport_size({"width": 360, "height": 740})
    await page.locator("[data-test=more-pages]").click()
    await page.locator("[data-test=sign-out]").click()
    await page.get_by_role("dialog", name="退出登录").get_by_role("button", name="取消").click()
    await expect(page.locator("[data-test=line]")).to_have_text("实时连接")
    await page.locator("[data-test=more-pages]").click()
    await page.locator("[data-test=sign-out]").click()
    # The live line may hear of the end first and lead to the form, before the page is loaded again.
    async with page.expect_event("load"):
        await page.locator("[data-test=leave]").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("登录 Shoal")
    assert await page.evaluate("window.known === undefined")
    assert [cookie.get("name") for cookie in await page.context.cookies()] == ["shoal_device"], "it opens nothing"
    await expect(page.get_by_text("登录已过期")).to_have_count(0)
    await until(lambda: not console.door.server.events._subscriptions)


async def test_no_script_of_the_page_can_read_the_token(console: Console) -> None:
    page = await console.page()
    assert await page.evaluate("document.cookie") == ""
    # What is kept says that somebody is signed in, for the first look of the next load, and that the first steps were
    # shown; not the token.
    stored = "JSON.stringify([Object.entries(localStorage).sort(), {...sessionStorage}])"
    await until_told(lambda: page.evaluate(stored), '[[["shoal.first-steps","shown"],["shoal.signed-in","1"]],{}]')


async def test_a_session_that_is_over_leads_back_to_the_form_with_a_word(console: Console) -> None:
    page = await console.page("/console/accounts")
    for session in await console.door.server.sessions.of_user(1):
        if session.kind == "console":
            await console.door.server.sessions.end_one(1, session.id)
    await expect(page.get_by_text("登录已过期")).to_be_visible()  # at once: the socket ends with the sign-in


async def test_a_page_that_came_in_clear_from_another_machine_says_so_and_one_of_this_machine_does_not(
    console: Console,
) -> None:
    """The browser itself tells which is which; here it is made to say so."""
    at_home = await console.page()
    assert await at_home.locator("[data-test=plain-http]").count() == 0
    context = await console.browser(locale="en-GB")
    await context.add_init_script("Object.defineProperty(window, 'isSecureContext', { value: false })")
    page = await context.new_page()
    await page.goto("/console/login")
    await expect(page.get_by_role("alert")).to_contain_text("Not encrypted")
    await page.locator("[name=username]").fill("admin")
    await page.locator("[name=password]").fill(PASSWORD)
    await page.locator("button[type=submit]").click()
    await page.locator("[data-test=line].live").wait_for()
    await expect(page.locator("[data-test=plain-http]")).to_contain_text("Open this console over HTTPS")
