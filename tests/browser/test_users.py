"""People: invited by a link, signed in, seen where they signed in, let out again; and what the security log tells."""

from __future__ import annotations

import re

from playwright.async_api import Page, expect

from browser.conftest import Console

THEIRS = "zebra orbit lantern 7"
NEXT = "violet anchor teapot 4"


async def choose_password(page: Page, password: str) -> None:
    await page.locator("[name=new-password]").fill(password)
    await page.locator("[name=again]").fill(password)


async def sign_in(page: Page, name: str, password: str) -> None:
    await page.locator("[name=username]").fill(name)
    await page.locator("[name=password]").fill(password)
    await page.keyboard.press("Enter")
    await page.locator("[data-test=line].live").wait_for()


async def test_a_person_comes_in_by_a_link_and_goes_again(console: Console) -> None:
    page = await console.page("/console/administration/users")
    await page.locator("[data-test=invite]").click()
    await page.get_by_role("button", name="员工", exact=True).click()
    await page.locator("[data-test=make-link]").click()
    link = await page.locator("[data-test=secret]").inner_text()
    await page.locator("[data-test=close]").click()
    await expect(page.locator("[data-test=secret]")).to_have_count(0)
    assert link not in await page.content()

    theirs = await (await console.browser()).new_page()
    await theirs.goto(link)
    await expect(theirs.get_by_text("您受邀成为员工")).to_be_visible()
    await expect(theirs).to_have_url(f"{console.url}/console/join")  # the token leaves the address at once
    await theirs.locator("[name=username]").fill("lina")
    await choose_password(theirs, "password1")
    await theirs.locator("[data-test=join]").click()
    await expect(theirs.get_by_role("alert")).to_contain_text("容易被猜到")
    await choose_password(theirs, THEIRS)
    await theirs.locator("[data-test=join]").click()
    await theirs.locator("[data-test=line].live").wait_for()  # who chose a password is in
    await theirs.goto("/console/settings/me")
    await expect(theirs.locator("[data-test=who]")).to_contain_text("员工")
    await expect(theirs.get_by_role("link", name="管理", exact=True)).to_have_count(0)
    await theirs.goto("/console/administration")
    await expect(theirs).to_have_url(re.compile("/console/settings$"))
    await expect(theirs.locator("[data-tab=settings-security]")).to_be_visible()
    await theirs.goto("/console/settings/me")

    again = await (await console.browser()).new_page()
    await again.goto(link)
    await expect(again.get_by_role("alert")).to_be_visible()
    await again.goto("/console/login")
    await sign_in(again, "lina", THEIRS)
    await theirs.reload()
    await theirs.locator("[data-test=end]").click()
    await expect(again.get_by_text("登录已过期")).to_be_visible()
    await theirs.locator("[name=current-password]").fill(THEIRS)
    await expect(theirs.locator("[data-test=password] button[aria-pressed]")).to_have_count(3)  # each can be shown
    await choose_password(theirs, NEXT)
    await theirs.locator("[data-test=password] [type=submit]").click()
    await expect(theirs.get_by_text("密码已修改")).to_be_visible()

    await page.reload()
    await expect(page.locator("[data-user=lina] [data-test=role]")).to_contain_text("员工")
    await page.locator("[data-user=lina] [data-test=menu]").click()
    await page.get_by_text("停用", exact=True).click()
    await expect(page.locator("[data-user=lina]")).to_contain_text("已停用")
    await expect(theirs.get_by_text("登录已过期")).to_be_visible()
    lina = await console.door.server.users.by_name("lina")
    assert lina is not None
    assert not lina.active
    assert not await console.door.server.sessions.of_user(lina.id)

    await _remove_lina(page)
    assert await console.door.server.users.by_name("lina") is None

    await _look_into_the_audit_log(page)


async def _look_into_the_audit_log(page: Page) -> None:
    await page.locator("[data-tab=admin-audit-log]").click()
    await page.locator("[data-test=user] input").fill("adm")
    await expect(page.locator(".n-base-select-option", has_text="admin")).to_be_visible()  # a name is chosen, not known
    await page.locator("[data-test=user] input").fill("lina")
    await page.keyboard.press("Enter")
    await expect(page.locator("[data-kind=sign_in]")).to_contain_text("lina")
    async with page.expect_download() as downloading:
        await page.locator("[data-test=export]").click()
    assert '"kind":"sign_in"' in (await (await downloading.value).path()).read_text()


async def _remove_lina(page: Page) -> None:
    await page.locator("[data-user=lina] [data-test=menu]").click()
    await page.get_by_text("删除…", exact=True).click()
    await expect(page.locator("[data-test=goes]")).to_contain_text("没有店铺")
    await expect(page.locator("[data-test=remove-user]")).to_be_disabled()
    await page.locator("[name=confirm]").fill("lina")
    await page.keyboard.press("Enter")
    await expect(page.locator("[data-user=lina]")).to_have_count(0)
