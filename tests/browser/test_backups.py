"""The card of the daily backups: off, one made now, one that failed, and what is in the directory."""

from __future__ import annotations

import asyncio
from pathlib import Path

from playwright.async_api import Route, expect

from browser.axe import findings
from browser.conftest import Console, OpenConsole, hangs_over, intercept
from shoal.maintenance.backup.locks import new_key_pair


async def test_without_the_settings_the_card_names_both_and_links_to_the_help(console: Console) -> None:
    page = await console.page("/console/administration/backups")
    card = page.locator("[data-test=backups]")
    await expect(card).to_contain_text("SHOAL_BACKUP_DIR")
    await expect(card).to_contain_text("SHOAL_BACKUP_KEY")
    await expect(card.locator("[data-test=help]")).to_have_attribute("href", "/help/howto/backup/")
    await expect(card.locator("[data-test=make-backup]")).to_have_count(0)
    assert await findings(page) == []


async def test_one_is_made_at_once_and_a_failure_says_what_to_do(open_console: OpenConsole, tmp_path: Path) -> None:
    _, public = new_key_pair()
    directory = tmp_path / "backups"
    directory.mkdir()
    console = await open_console(backup_dir=directory, backup_key=public)
    page = await console.page(
        "/console/administration/backups", viewport={"width": 390, "height": 844}, color_scheme="dark"
    )
    card = page.locator("[data-test=backups]")
    seen = asyncio.Event()

    async def once_it_was_seen(route: Route) -> None:
        await seen.wait()
        await route.continue_()

    await intercept(page, "**/system/backups", once_it_was_seen)  # a backup may be quicker than a look at the page
    await card.locator("[data-test=make-backup]").click()
    await expect(card.locator("[data-test=making]")).to_be_visible()
    seen.set()
    await expect(card.locator("[data-test=backup]")).to_have_count(1, timeout=60_000)
    await expect(card.locator("[data-test=backup]")).to_contain_text("现在的私钥可以打开")
    await expect(card.locator("[data-test=making]")).to_have_count(0)
    assert await findings(page) == []
    assert not await hangs_over(page)
    (made,) = directory.iterdir()
    made.rename(tmp_path / made.name)
    directory.rmdir()
    directory.write_text("no directory any more")
    await card.locator("[data-test=make-backup]").click()
    failed = card.locator("[data-test=backup-failed]")
    await expect(failed).to_contain_text("备份目录不存在", timeout=60_000)
    await expect(card.locator("[data-test=backup]")).to_have_count(0)
    assert await findings(page) == []
    assert not await hangs_over(page)
