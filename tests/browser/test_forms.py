"""Forms and dialogs: what is refused stands where one looks, and what is typed is not lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect

from browser.axe import findings
from browser.conftest import PASSWORD, Console, WiredConsole, answering, intercept
from support.site.standins import until

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


PRESSED = """navigator.serviceWorker.dispatchEvent(new MessageEvent('message', {
  data: {type: 'open', page: '/console/stock'},
}))"""
"""As when a notice on the desk is pressed."""
IN_SIGHT = """([field, foot]) => {
  const box = element => element.getBoundingClientRect()
  const [told, button, at] = [
    box(foot.querySelector('[role=alert]')), box(foot.querySelector('button:last-of-type')), box(field),
  ]
  return {
    beside: told.bottom <= button.top + 1 && button.top - told.bottom < 40 && told.height > 0,
    onScreen: told.top >= 0 && button.bottom <= innerHeight,
    field: at.top >= 0 && at.top < told.top,
  }
}"""
"""Whether a sentence stands right above the buttons, all on the screen, and the field is not hidden below them."""


async def _led_to(page: Page, field: str, sentence: str) -> None:
    dialog = page.locator("dialog[open]")
    await expect(dialog.locator("footer [role=alert]")).to_contain_text(sentence)
    at = dialog.locator(f"[name={field}]")
    await expect(at).to_be_focused()
    seen = await page.evaluate(IN_SIGHT, [await at.element_handle(), await dialog.locator("footer").element_handle()])
    assert seen == {"beside": True, "onScreen": True, "field": True}, (field, sentence)


async def test_g20_what_a_form_refuses_stands_beside_its_button_and_leads_to_the_field(console: Console) -> None:
    page = await console.page(RULES, viewport={"width": 390, "height": 844})
    for width, height in ((390, 844), (1440, 900)):
        await page.set_viewport_size({"width": width, "height": height})
        await page.locator("[data-test=add-rule]").click()
        save = page.locator("[data-test=save-rule]")
        await save.click()
        await _led_to(page, "words", "关键词")
        await page.locator("[name=words]").fill("长" * 201)
        await save.click()
        await _led_to(page, "part-0", "消息 1")
        await page.locator("[name=part-0]").fill("嗯\n" * 30)
        await page.locator("dialog[open] summary").click()
        for _ in range(3):
            await page.locator("[data-test=add-text]").click()
        for place in (1, 2, 3):
            await page.locator(f"[name=part-{place}]").fill("嗯\n" * 30)
        await save.click()
        await _led_to(page, "words", "200")
        await page.locator("[name=words]").fill("(")
        await page.get_by_role("button", name="正则").click()
        await page.locator("[name=part-3]").focus()
        await save.click()
        await _led_to(page, "words", "(")
        await page.locator("[name=words]").fill("好")
        await expect(page.locator("dialog[open] footer [role=alert]")).to_have_count(0)
        assert await findings(page) == []
        await page.locator("dialog[open] footer button").first.click()

    await page.locator("aside nav a[href$='/stock']").click()
    await page.locator("[data-test=add-goods]").first.click()
    await page.locator("[data-test=save-goods]").click()
    await _led_to(page, "goods-name", "名称")


async def test_g20_what_is_half_filled_is_not_lost_by_esc_a_tap_beside_it_back_or_a_reload(console: Console) -> None:
    page = await console.page("/console/accounts/afu")
    await page.locator("[data-tab=account-rules]").click()
    dialog, question = page.locator("dialog[open]"), page.locator("[data-test=unsaved]")
    words = page.locator("[name=words]")
    ways: list[Callable[[], Awaitable[object]]] = [
        page.go_back, lambda: page.keyboard.press("Escape"), lambda: page.mouse.click(5, 5),
    ]  # fmt: skip
    for way in ways:  # nothing is typed: it closes, and nothing else happens
        await page.locator("[data-test=add-rule]").click()
        await words.wait_for()
        await way()
        await expect(dialog).to_have_count(0)
        await expect(page).to_have_url(f"{console.url}{RULES}")

    async def kept() -> None:
        await expect(question).to_be_visible()
        await expect(page.locator("[data-test=keep-on]")).to_be_focused()
        await page.locator("[data-test=keep-on]").click()
        await expect(words).to_have_value("包邮")
        await expect(page).to_have_url(f"{console.url}{RULES}")

    await page.locator("[data-test=add-rule]").click()
    await page.locator("[data-test=pick-items]").click()
    await page.locator("dialog[open] .n-base-select-menu").wait_for()
    await page.keyboard.press("Escape")  # ends the list of the chooser alone
    await expect(page.locator("dialog[open] .n-base-select-menu")).to_be_hidden()
    await words.fill("包邮")
    for way in (*ways, dialog.locator("header button").click):
        await way()
        await kept()
    await page.keyboard.press("Escape")
    assert await findings(page) == []
    await page.keyboard.press("Escape")  # a browser closes a dialog on the second one, whatever the page says
    await page.keyboard.press("Escape")
    await page.go_back()
    await kept()
    async with page.expect_event("dialog") as asked:
        await page.evaluate("() => { setTimeout(() => location.reload()) }")
    browsers_own = await asked.value
    assert browsers_own.type == "beforeunload"
    await browsers_own.dismiss()
    await expect(words).to_have_value("包邮")

    await page.go_back()
    await page.locator("[data-test=discard]").click()
    await expect(dialog).to_have_count(0)
    await expect(page).to_have_url(f"{console.url}{RULES}")
    await page.locator("[data-test=add-rule]").click()
    await words.fill("包邮")
    await page.evaluate(PRESSED)
    await kept()
    await page.evaluate(PRESSED)
    await page.locator("[data-test=discard]").click()
    await expect(page).to_have_url(f"{console.url}/console/stock")
    await page.go_back()
    await expect(page).to_have_url(f"{console.url}{RULES}")
    await page.go_back()
    await expect(page).to_have_url(f"{console.url}/console/accounts/afu")


async def test_g20_each_form_in_a_dialog_asks_before_it_is_lost(console: Console) -> None:
    page = await console.page("/console/accounts/afu/deliveries")

    async def asks(button: str, field: str) -> None:
        await page.locator(f"[data-test={button}]").first.click()
        await page.locator(f"dialog[open] [name={field}]").fill("1")
        await page.keyboard.press("Escape")
        await page.locator("[data-test=discard]").click()
        await expect(page.locator("dialog[open]")).to_have_count(0)

    await asks("add-delivery", "spec")
    await page.locator("[data-test=add-delivery]").first.click()
    await page.locator("[data-test=save-delivery]").click()
    await _led_to(page, "item", "商品")
    await page.get_by_role("button", name="全部商品").click()
    await page.locator("[name=message-0]").fill("{codes}")  # of no goods: the server refuses it
    await page.locator("[data-test=save-delivery]").click()
    await expect(page.locator("dialog[open] footer [role=alert]")).to_be_visible()
    await page.locator("dialog[open] footer button").first.click()
    await page.locator("aside nav a[href$='/stock']").click()
    await asks("add-goods", "goods-name")
    await page.locator("aside nav a[href$='/administration']").click()
    await page.locator("[data-tab=admin-users]").click()
    await asks("invite", "email")
    await page.locator("[data-test=invite]").first.click()
    await page.locator("[data-test=make-link]").click()
    await page.locator("[data-test=secret]").wait_for()
    await expect(page.locator("[data-test=only-here]")).to_contain_text("127.0.0.1")
    await page.mouse.click(5, 5)  # the link is shown this once
    await expect(page.locator("[data-test=unsaved]")).to_be_visible()
    await page.locator("[data-test=keep-on]").click()
    await expect(page.locator("[data-test=secret]")).to_be_visible()


@pytest.mark.slow
async def test_g20_a_change_without_an_answer_is_made_once_when_it_is_asked_for_again(console: Console) -> None:
    """The sentence promised a retry under the same number; the next press had a new one, and made the rule twice."""
    page = await console.page(RULES)
    keys: list[str] = []

    async def cut_off(route: Route) -> None:
        keys.append(str(await route.request.header_value("idempotency-key")))
        await route.fetch()  # it arrives; its answer does not
        await route.abort()

    await intercept(page, "**/afu/rules", cut_off)
    await page.locator("[data-test=add-rule]").click()
    await page.locator("[name=words]").fill("包邮")
    await page.locator("[name=part-0]").fill("包的")
    save, told = page.locator("[data-test=save-rule]"), page.locator("dialog[open] footer [role=alert]")
    await save.click()
    await expect(told).to_contain_text("没有回答")
    await expect(told).to_contain_text("不会重复执行")
    await page.unroute("**/afu/rules")
    async with page.expect_request("**/afu/rules") as again:
        await save.click()
    await expect(page.locator("dialog[open]")).to_have_count(0)
    assert {*keys, await (await again.value).header_value("idempotency-key")} == {keys[0]}
    assert [rule.keyword for rule in console.door.account("afu").keywords] == ["包邮"]

    async with page.expect_request("**/afu/rules") as other:  # it was answered: the next one is another
        await page.locator("[data-test=add-rule]").click()
        await page.locator("[name=words]").fill("包邮")
        await page.locator("[name=part-0]").fill("包的")
        await save.click()
    assert await (await other.value).header_value("idempotency-key") != keys[0]


async def test_g20_a_cookie_looks_right_until_the_site_has_taken_it(wired: WiredConsole) -> None:
    """A dead one was called usable, and its shop added, as if all were well."""
    dead, living = (await wired.sandbox.get("sellers"))["items"][1:3]
    await wired.sandbox.do("expire", account=dead["unb"], what="login")
    page = await wired.page("/console/accounts")
    verdict, told = page.locator("[data-test=verdict]"), page.locator("dialog[open] footer [role=alert]")
    cookie, save = page.locator("textarea[name=cookie]"), page.locator("[data-test=save]")

    async def add(seller: dict[str, Any]) -> None:
        await page.locator("[data-test=add]").click()
        await page.locator("[data-test=paste]").click()
        await cookie.fill(seller["cookie"])
        await expect(verdict).to_contain_text("看起来没有问题")
        await save.click()

    await add(dead)
    await expect(told).to_contain_text("登录已过期")
    await expect(page.locator("[data-test=toast]")).to_have_count(0)
    name = next(name for name in wired.door.server.manager.accounts if name != "muzi")
    assert wired.door.server.manager.observation(name).state == "parked"
    assert await findings(page) == []
    await expect(verdict).to_have_count(0)
    await expect(page.locator("dialog[open] h2")).to_contain_text("更换")  # the next one is for this shop
    await page.keyboard.press("Escape")
    await expect(page.locator("dialog[open]")).to_have_count(0)

    await add(living)
    await expect(page.locator("[data-test=toast]").last).to_contain_text("已添加店铺，已连接闲鱼")
    await expect(page.locator("dialog[open]")).to_contain_text("常见问题")


async def test_g20_a_session_that_ends_takes_nothing_of_a_half_filled_form_along(console: Console) -> None:
    """A session of the console ends a day after its sign-in, in the middle of whatever is written then."""
    await console.door.call("POST", "/users", json={"username": "bob", "password": PASSWORD, "role": "owner"})
    page = await console.page(RULES)
    words, sign_in = page.locator("[name=words]"), page.locator("[data-test=sign-in-again]")
    await page.locator("[data-test=add-rule]").click()
    await words.fill("包邮")
    await console.door.server.sessions.end_all(1)
    await expect(sign_in).to_be_visible()
    await expect(sign_in).to_contain_text("登录已过期")
    assert await findings(page) == []
    await page.keyboard.press("Escape")
    await page.keyboard.press("Escape")
    await expect(sign_in).to_be_visible()
    await sign_in.locator("[name=username]").fill("admin")
    await sign_in.locator("[name=password]").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(sign_in).to_have_count(0)
    await expect(words).to_have_value("包邮")
    await page.locator("[data-test=line].live").wait_for()
    await page.locator("[name=part-0]").fill("包的")
    await page.locator("[data-test=save-rule]").click()
    await until(lambda: [rule.keyword for rule in console.door.account("afu").keywords] == ["包邮"])

    await page.locator("[data-test=add-rule]").click()
    await words.fill("底价")
    await console.door.server.sessions.end_all(1)
    await sign_in.locator("[name=username]").fill("bob")  # somebody else finds nothing of it
    await sign_in.locator("[name=password]").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(f"{console.url}/console/")
    await expect(page.locator("dialog[open]")).to_have_count(0)

    await page.locator("aside nav a[href$='/stock']").click()  # nothing is written: the page of the sign-in
    await page.locator("[data-test=add-goods]").wait_for()
    await console.door.server.sessions.end_all(2)
    await expect(page).to_have_url(f"{console.url}/console/login?next=/stock")


async def test_g20_what_is_typed_in_a_row_and_refused_stands_in_the_form(console: Console) -> None:
    """The row closed before the answer came, and what was typed in it was gone."""
    await console.door.call("POST", "/cookies/afu/rules", json={"words": ["包邮"], "parts": [{"text": "包的"}]})
    page = await console.page(RULES)
    await page.locator("[data-rule]").get_by_role("button", name="修改回复").click()
    await page.locator("[data-rule] textarea").fill("好" * 4_001)
    await expect(page.locator("[data-rule] [data-test=limit]")).to_contain_text("超出 1 个字")
    await page.keyboard.press("Control+Enter")
    box = page.locator("dialog[open] [name=part-0]")
    await expect(box).to_have_value("好" * 4_001)
    await box.fill("好的")
    await page.locator("[data-test=save-rule]").click()
    await until(lambda: [rule.reply for rule in console.door.account("afu").keywords] == ["好的"])
