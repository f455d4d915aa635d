"""When the console's own files or its first answer do not come: a word and a way on, never a blank or a dead page."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import Page, Route, WebSocketRoute, expect

from browser.axe import findings
from browser.conftest import Console, hangs_over, intercept, said
from browser.other_console import rebuilt
from shoal.console import routes
from support.site.standins import until, until_told


def _upgrade(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The server has another build from now on; the files of the one before are gone."""
    monkeypatch.setattr(routes, "STATIC", rebuilt(routes.STATIC, tmp_path / "newer"))


PHONE = {"width": 390, "height": 844}


class _Lines:
    """The sockets of a page, which a test may end as a server does that starts anew."""

    def __init__(self) -> None:
        self._open: list[WebSocketRoute] = []

    async def watch(self, page: Page) -> None:
        """From the next load of the page on."""
        await page.route_web_socket("**/console/live*", self._opened)

    def _opened(self, line: WebSocketRoute) -> None:
        line.connect_to_server()
        self._open.append(line)

    async def end(self, page: Page) -> None:
        """End the one that is up; the page opens another."""
        lines = len(self._open)
        await self._open[-1].close(code=1012)
        await until(lambda: len(self._open) > lines)
        await page.locator("[data-test=line].live").wait_for()


async def test_f16_a_page_that_is_gone_after_an_upgrade_says_so_and_opens_after_a_reload(
    console: Console, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    await said(console, 1, "在吗")
    page = await console.fresh_page("/console/conversations/afu/c1")
    await page.locator("[name=words]").fill("写到一半的话")
    _upgrade(monkeypatch, tmp_path)
    notice = page.locator("[data-test=version]")
    await page.get_by_role("link", name="变更记录").click()
    await expect(notice).to_contain_text("刷新后才能打开这一页")
    await expect(page.locator("[name=words]")).to_have_value("写到一半的话")
    assert await findings(page) == []
    await notice.locator("[data-test=reload]").click()
    await page.wait_for_url("**/console/history")
    await page.locator("[data-test=line].live").wait_for()
    await expect(page.get_by_role("heading", name="变更记录")).to_be_visible()
    await expect(notice).to_have_count(0)
    await page.go_back()
    await expect(page.locator("[name=words]")).to_have_value("写到一半的话")


async def test_f16_a_tab_that_meets_an_upgraded_server_is_told_before_anything_is_missing(
    console: Console, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    page = await console.fresh_page("/console/accounts", locale="en-US")
    notice = page.locator("[data-test=version]")
    lines = _Lines()
    await lines.watch(page)
    await page.reload()
    await page.locator("[data-test=line].live").wait_for()
    await lines.end(page)
    await expect(page.locator("[data-account=afu]")).to_be_visible()
    assert await notice.count() == 0, "the same server is no news"
    _upgrade(monkeypatch, tmp_path)
    await lines.end(page)
    await expect(notice).to_contain_text("Shoal was updated")
    assert not await hangs_over(page)
    await notice.get_by_role("button", name="Later").click()
    await expect(notice).to_have_count(0)


async def test_f16_a_page_that_does_not_come_from_the_same_version_is_asked_for_again(console: Console) -> None:
    page = await console.fresh_page("/console/accounts")
    await intercept(page, "**/assets/History-*", lambda route: route.abort())
    notice = page.locator("[data-test=version]")
    await page.get_by_role("link", name="变更记录").click()
    await expect(notice).to_contain_text("页面加载失败")
    await page.context.set_offline(True)
    await notice.locator("[data-test=reload]").click()
    await expect(page.locator("[data-account=afu]")).to_be_visible()  # it is not left for a page of the browser's
    await page.context.set_offline(False)
    await page.unroute("**/assets/History-*")
    await expect(notice.locator("[data-test=reload]")).to_be_enabled()
    await page.get_by_role("link", name="变更记录").click()
    await expect(page.get_by_role("heading", name="变更记录")).to_be_visible()


async def test_f16_a_first_load_without_the_server_says_why_and_tries_again(console: Console) -> None:
    page = await (await console.fresh_page(locale="en-US")).context.new_page()
    await page.clock.install()
    await page.route("**/verify", lambda route: route.abort())
    await page.goto("/console/accounts")
    card = page.locator("[data-test=not-loaded]")

    async def told_after_its_repeats() -> int:
        await page.clock.fast_forward(3_000)
        return await card.count()

    await until_told(told_after_its_repeats, 1)
    await expect(card).to_contain_text("The server can’t be reached")
    await until_told(lambda: findings(page), [])  # its button is pale while it asks, which it does again and again
    body = '{"detail": "The database cannot be read.", "code": "store_error"}'
    # Before the other answer is taken away: the page asks by itself too.
    await page.route("**/verify", lambda route: route.fulfill(status=503, body=body, content_type="application/json"))
    await card.locator("[data-test=try-again]").click()
    await expect(card).to_contain_text("The database cannot be read.")
    await page.unroute("**/verify")
    await page.clock.fast_forward(5_000)  # by itself
    await page.locator("[data-test=line].live").wait_for()
    await expect(page.locator("[data-account=afu]")).to_be_visible()


async def test_f16_a_first_page_whose_part_is_missing_offers_another_try(console: Console) -> None:
    page = await (await console.fresh_page()).context.new_page()
    await page.route("**/assets/History-*", lambda route: route.fulfill(status=404))
    await page.goto("/console/history")
    card = page.locator("[data-test=not-loaded]")
    await expect(card).to_contain_text("部分页面加载失败")
    await page.unroute("**/assets/History-*")
    await card.locator("[data-test=try-again]").click()
    await expect(page.get_by_role("heading", name="变更记录")).to_be_visible()


async def test_f16_before_any_script_there_is_a_skeleton_and_without_them_a_word(console: Console) -> None:
    held: asyncio.Queue[Route] = asyncio.Queue()

    async def hold(route: Route) -> None:
        await held.put(route)

    for look, ground, word, button in (
        ({"color_scheme": "light"}, "rgb(245, 246, 248)", "页面加载失败", "重新加载"),
        ({"color_scheme": "dark", "locale": "en-US", "viewport": PHONE}, "rgb(15, 18, 24)", "not be loaded", "Reload"),
    ):
        page = await (await console.browser(**look)).new_page()
        await page.route("**/assets/index-*.js", hold)
        await page.goto("/console/", wait_until="commit")
        await expect(page.locator("#boot .form")).to_be_visible()  # no user is signed in here
        assert await page.evaluate("getComputedStyle(document.getElementById('boot')).backgroundColor") == ground
        assert not await page.evaluate("document.documentElement.scrollWidth > innerWidth")
        await (await held.get()).abort()
        await expect(page.locator("#boot-failed")).to_contain_text(word)
        assert await findings(page) == []
        await page.unroute("**/assets/index-*.js")
        await page.locator("#boot-failed").get_by_role("button", name=button).click()
        await expect(page.locator("[name=password]")).to_be_visible()


async def test_f16_the_skeleton_has_the_chosen_look_and_the_frame_of_who_is_signed_in(console: Console) -> None:
    page = await console.fresh_page(color_scheme="light")
    await page.evaluate("localStorage.setItem('shoal.appearance', 'dark')")
    await page.route("**/assets/index-*.js", lambda route: route.abort())
    await page.reload()
    await expect(page.locator("#boot-failed")).to_be_visible()
    assert await page.evaluate("getComputedStyle(document.getElementById('boot')).backgroundColor") == "rgb(15, 18, 24)"
    assert await page.evaluate("document.documentElement.dataset.first") == "pages"
