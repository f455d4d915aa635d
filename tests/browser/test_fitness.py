"""What holds for every page: axe finds nothing, nothing scrolls sideways, and a lost server is told and caught up."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, Request, ViewportSize, expect

from benchmarks.processes import PASSWORD, SandboxProcess, ServerProcess
from browser.axe import faint, findings
from browser.conftest import Console, hangs_over
from browser.in_need import put_in_need, stocked
from browser.kept_contexts import new_context
from support.site.standins import cookie_of, until

PAGES = (
    "/console/", "/console/accounts", "/console/accounts/afu", "/console/accounts/afu/settings",
    "/console/accounts/afu/rules", "/console/accounts/muzi", "/console/conversations/afu/c1", "/console/conversations",
    "/console/history", "/console/stock", "/console/stock/1", "/console/settings",
    "/console/incidents", "/console/settings/notices", "/console/settings/me", "/console/settings/tokens",
    "/console/administration/users", "/console/administration/audit-log", "/console/settings/moving",
    "/console/administration", "/console/administration/backups",
    "/console/accounts/afu/runs", "/console/settings/models", "/console/accounts/afu/model",
    "/console/servers", "/console/orders", "/console/accounts/muzi/deliveries", "/console/nothing/here",
)  # fmt: skip
LONG = pytest.mark.long
_WIDTHS: dict[str, ViewportSize] = {"wide": {"width": 1280, "height": 800}, "narrow": {"width": 390, "height": 844}}


@pytest.mark.parametrize("pages", [pytest.param(PAGES[n::2], id=f"part{n + 1}") for n in range(2)])
async def test_f17_axe_finds_nothing_on_shops_in_need_and_nothing_scrolls_sideways(
    console: Console, pages: tuple[str, ...]
) -> None:
    """Each page at both widths, in both appearances and both languages, and each check in the looks that change it.

    Contrast depends on the appearance and the width, and what fits on the width and the words. What axe finds beside
    depends on the width: a name that is missing is missing in both languages.
    """
    await put_in_need(console)
    await stocked(console)
    walk = Walk(await console.page(viewport=_WIDTHS["narrow"], color_scheme="light", locale="zh-CN"))
    for path in pages:
        await walk.to(path)
        for number in range(2):
            await walk.note(findings)
            await walk.note(_sideways)
            await walk.appear()
            await walk.note(faint)
            if number == 0:
                await walk.resize()
        await walk.speak()  # which a narrow page does in its menu
        await walk.note(_sideways)
        await walk.resize()
        await walk.note(_sideways)
    assert walk.told == []


async def test_the_walk_leaves_no_page_out(console: Console) -> None:
    page = await console.page()
    routes: set[str] = set(await page.evaluate(f"{ROUTER}.getRoutes().flatMap(route => route.name ?? [])"))
    resolve = f"paths => paths.map(path => {ROUTER}.resolve(path.replace('/console', '') || '/').name)"
    walked: set[str] = set(await page.evaluate(resolve, list(PAGES)))
    assert len(routes) > 20
    # A signed-in user sees neither of the first two; an administrator is led to the server's audit log.
    assert routes - walked == {"login", "join", "settings-security"}


ROUTER = "document.querySelector('#app').__vue_app__.config.globalProperties.$router"


class Walk:
    """One page of the console in all its looks, which it changes without being loaded again, and what it has amiss."""

    def __init__(self, page: Page) -> None:
        """``page``: narrow, light and Chinese."""
        self.told: list[str] = []
        self._page = page
        self._quiet = Quiet(page)
        self._path = ""
        self._width, self._scheme, self._language = "narrow", "light", "zh-CN"

    async def to(self, path: str) -> None:
        """Go to another page without loading it."""
        self._path = path
        await self._page.evaluate(f"path => {ROUTER}.push(path)", path.removeprefix("/console"))
        await self._quiet.wait()

    async def resize(self) -> None:
        """Take the other width."""
        self._width = "narrow" if self._width == "wide" else "wide"
        await self._page.set_viewport_size(_WIDTHS[self._width])
        await self._quiet.wait()

    async def appear(self) -> None:
        """Take the other appearance."""
        self._scheme = "dark" if self._scheme == "light" else "light"
        await self._page.emulate_media(color_scheme="dark" if self._scheme == "dark" else "light")
        await self._page.locator(f":root[data-theme={self._scheme}]").wait_for()

    async def speak(self) -> None:
        """Take the other language."""
        self._language = "en" if self._language == "zh-CN" else "zh-CN"
        await self._page.locator("[data-test=language]").click()
        await expect(self._page.locator("html")).to_have_attribute("lang", self._language)
        await self._quiet.wait()

    async def note(self, ask: Callable[[Page], Awaitable[list[str]]]) -> None:
        """Note what is still found some seconds later: colours change by and by after another appearance was chosen."""
        late = time.monotonic() + 10
        while (told := await ask(self._page)) and time.monotonic() < late:
            await self._page.wait_for_timeout(100)
        self.told += [f"{self._path} {self._width} {self._scheme} {self._language}: {one}" for one in told]


async def _sideways(page: Page) -> list[str]:
    return ["scrolls sideways"] * await hangs_over(page)


class Quiet:
    """Waits until a page has all that it asked its server for, and shows it."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._open: set[Request] = set()
        page.on("request", self._asked)
        page.on("requestfinished", self._answered)
        page.on("requestfailed", self._answered)

    def _asked(self, request: Request) -> None:
        self._open.add(request)

    def _answered(self, request: Request) -> None:
        self._open.discard(request)

    async def wait(self) -> None:
        """A page that is drawn again asks in the frame after, so it must be quiet twice."""
        for _ in range(2):
            await self._page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
            await until(lambda: not self._open)
        await expect(self._page.locator(".n-skeleton, [aria-busy=true]")).to_have_count(0)


@pytest.mark.parametrize("scheme", [pytest.param("light", marks=LONG), "dark"])
async def test_axe_finds_nothing_in_the_form_and_the_dialogs(console: Console, scheme: str) -> None:
    look = {"color_scheme": scheme, "reduced_motion": "reduce"}
    form = await (await console.browser(**look)).new_page()
    await form.goto("/console/login")
    await form.get_by_role("heading", level=1).wait_for()
    assert await findings(form) == []
    page = await console.page("/console/accounts", **look)
    await page.locator("[data-test=add]").click()
    await page.locator("[data-test=paste]").click()
    await page.locator("textarea[name=cookie]").fill("unb=1")
    await page.locator("[data-test=verdict]").wait_for()
    assert await findings(page) == []
    await page.keyboard.press("Escape")
    await page.locator("[data-test=discard]").click()
    await page.get_by_label("选择全部显示的店铺").click()
    await page.locator("[data-test=batch-off]").click()
    await page.locator("[data-outcome]").first.wait_for()
    assert await findings(page) == []
    await page.keyboard.press("Escape")
    await page.locator("[data-test=batch-more]").click()
    await page.get_by_text("添加标签…").click()
    await page.locator("[name=tag]").fill("主力")
    await page.locator("[data-outcome]").first.wait_for()
    assert await findings(page) == []
    await page.keyboard.press("Escape")
    await page.locator("[data-test=discard]").click()
    await page.locator("[data-test=add]").click()
    await page.locator("[data-test=show-code]").wait_for()
    assert await findings(page) == []
    await page.keyboard.press("Escape")
    await page.locator("[data-account=afu] [data-test=menu]").click()
    await page.get_by_text("备注、暂停与代理").click()
    await page.locator("[name=proxy]").wait_for()
    assert await findings(page) == []
    await page.keyboard.press("Escape")
    await page.keyboard.press("?")
    await page.get_by_role("heading", name="键盘快捷键").wait_for()
    assert await findings(page) == []
    await page.goto("/console/accounts/afu/rules")
    await page.locator("[data-test=add-rule]").click()
    await page.locator("[data-test=rule-form] summary").click()
    await page.locator("[data-test=add-span]").click()
    assert await findings(page) == []


async def test_a_killed_server_is_told_and_what_changed_meanwhile_is_caught_up(
    chromium: Browser, tmp_path: Path
) -> None:
    sandbox = await SandboxProcess(tmp_path / "sandbox.log").start()
    server = await ServerProcess(tmp_path / "data", sandbox.url).start()
    context = await new_context(chromium, server.url, locale="en-US")
    try:
        page = await context.new_page()
        await page.goto("/console/accounts")
        await page.get_by_label("User name").fill("admin")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.keyboard.press("Enter")
        line = page.locator("[data-test=line]")
        await expect(line).to_have_text("Live")
        await server.add("shop", cookie_of(1), wait=0)
        await page.locator("[data-account=shop]").wait_for()
        await server.end(signal.SIGKILL)
        await expect(line).to_contain_text("Disconnected")
        await server.start()
        await server.ok("PUT", "/cookies/shop/remark", {"remark": "changed meanwhile"})
        await expect(line).to_have_text("Live")
        await expect(page.locator("[data-account=shop]")).to_contain_text("changed meanwhile")
    finally:
        await context.close()
        await asyncio.gather(server.close(), sandbox.end())
