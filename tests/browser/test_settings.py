"""The settings: this browser's own, and how the server fares."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from browser.conftest import Console
from shoal import __version__
from shoal.storage.database import Database


async def test_the_settings_open_on_what_is_a_sellers_own(console: Console) -> None:
    page = await console.page("/console/settings")
    await expect(page.locator("[data-test=about]")).to_contain_text(__version__)
    await expect(page.locator("main")).not_to_contain_text("SHOAL_")
    for told in ("通知渠道", "语言模型", "供货接口"):  # all that a server calls beside the site
        await expect(page.locator("[data-test=about]")).to_contain_text(told)
    await page.locator("[data-test=about] summary").click()
    await expect(page.locator("[data-test=about] pre")).to_contain_text("MIT")
    await page.get_by_role("button", name="深色", exact=True).click()
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    await page.get_by_role("button", name="English", exact=True).click()
    await expect(page.locator("[data-test=about] h2")).to_have_text("About")
    await page.reload()
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    await expect(page.locator("[data-test=about] h2")).to_have_text("About")


async def test_the_server_and_its_store_stand_in_the_administration(console: Console) -> None:
    page = await console.page("/console/settings")
    await page.get_by_role("link", name="管理", exact=True).click()
    await expect(page.locator("[data-test=server]")).to_contain_text(__version__)
    await expect(page.locator("[data-test=server]")).to_contain_text("运行中 3")
    await expect(page.locator("[data-test=health]")).to_contain_text("有 1 项需要留意")
    await expect(page.locator("[data-test=health]")).to_contain_text("数据库正常")
    await expect(page.locator("[data-test=health] a")).to_have_text("没有自动备份")
    await expect(page.locator("[data-test=store]")).to_contain_text("SQLite 3.")
    await expect(page.locator("[data-test=kept]")).to_contain_text("90 天")
    hold = await console.door.server.manager.locks.acquire("afu", "update_keywords")
    await expect(page.locator("[data-test=locks]")).to_contain_text("正在占用：afu")
    hold.release()
    await expect(page.locator("[data-test=locks]")).to_contain_text("没有正在进行的修改")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "checking", True)
        await expect(page.locator("[data-test=checking]")).to_contain_text("正在检查数据库")
        await expect(page.locator("[data-test=store]")).to_contain_text("正在检查")
    await expect(page.locator("[data-test=checking]")).to_have_count(0)


async def test_older_addresses_lead_into_the_administration(console: Console) -> None:
    page = await console.page("/console/settings/users")
    await expect(page).to_have_url(re.compile("/console/administration/users$"))
    await page.goto("/console/settings/security?kind=sign_in")
    await expect(page).to_have_url(re.compile(r"/console/administration/audit-log\?kind=sign_in$"))
