"""The settings: this browser's own, and how the server fares."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from browser.conftest import Console
from shoal import __version__
from shoal.storage.database import Database


async def test_the_server_its_store_and_its_licences_are_shown_and_the_look_is_chosen(console: Console) -> None:
    page = await console.page("/console/settings")
    await expect(page.locator("[data-test=server]")).to_contain_text(__version__)
    await expect(page.locator("[data-test=server]")).to_contain_text("运行中 3")
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
    await page.locator("[data-test=about] summary").click()
    await expect(page.locator("[data-test=about] pre")).to_contain_text("MIT")
    await page.get_by_role("button", name="深色", exact=True).click()
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    await page.get_by_role("button", name="English", exact=True).click()
    await expect(page.locator("[data-test=store] h2")).to_have_text("Database")
    await page.reload()
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    await expect(page.locator("[data-test=store] h2")).to_have_text("Database")
