"""A seller's number that another's shop holds: what the owner and the administrator see, and who frees it."""

from __future__ import annotations

from playwright.async_api import expect

from browser.axe import findings
from browser.conftest import Console, hangs_over
from shoal.accounts.account import Account
from shoal.accounts.account_task import Link
from support.servers.doors import another_person
from support.site.standins import FakeSite, cookie_of, unb_of, until

PHONE = {"width": 390, "height": 844}


async def _let_in(account: Account, link: Link) -> None:
    await link.hold_number()
    await FakeSite().connect(account, link)


async def test_f8_a_taken_number_is_explained_and_an_administrator_frees_it_at_the_shop(console: Console) -> None:
    door = console.door
    door.site.behave = _let_in
    async with another_person(door) as bob:
        await bob.call("POST", "/cookies", json={"id": "theirs", "value": cookie_of(7)})
    await door.call("POST", "/cookies", json={"id": "mine", "value": cookie_of(7)})
    await until(lambda: door.server.manager.observation("mine").reason == "number_taken")

    phone = await console.page("/console/", locale="en-US", viewport=PHONE, color_scheme="dark")
    todo = phone.locator("[data-test=todo]")
    await expect(todo).to_contain_text("Another shop already uses this seller")
    assert not await hangs_over(phone)
    assert await findings(phone) == []
    await phone.goto("/console/accounts/mine")
    await phone.locator("[data-account] [data-test=free]").click()
    await expect(phone.locator("[data-test=holder]")).to_contain_text("theirs")
    assert not await hangs_over(phone)
    assert await findings(phone) == []

    page = await console.page("/console/accounts")
    row = page.locator("[data-account=mine]")
    await expect(row).to_contain_text("闲鱼号已被另一个店铺使用")
    await page.goto("/console/accounts/mine")
    await page.locator("[data-account] [data-test=free]").click()
    dialog = page.locator("[data-test=dialog]")
    await expect(dialog).to_contain_text(unb_of(7))
    await expect(page.locator("[data-test=holder]")).to_contain_text("bob")
    assert await findings(page) == []
    await page.locator("[data-test=free-number]").click()
    await expect(page.locator("[data-test=toast]")).to_contain_text("theirs")
    await until(lambda: door.server.manager.observation("mine").state == "running")
    await expect(page.locator("[data-test=free]")).to_have_count(0)
    assert not door.account("theirs").enabled
