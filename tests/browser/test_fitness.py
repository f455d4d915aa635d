"""What holds for every page: axe finds nothing, nothing scrolls sideways, and a lost server is told and caught up."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, ViewportSize, expect

from benchmarks.processes import PASSWORD, SandboxProcess, ServerProcess
from browser.axe import faint, findings
from browser.conftest import Console, hangs_over
from browser.in_need import put_in_need, stocked
from browser.kept_contexts import new_context
from standins import cookie_of, until_told

PAGES = (
    "/console/", "/console/accounts", "/console/accounts/afu", "/console/accounts/afu/settings",
    "/console/accounts/afu/rules", "/console/accounts/muzi", "/console/conversations/afu/c1", "/console/conversations",
    "/console/history", "/console/stock", "/console/stock/1", "/console/settings",
    "/console/incidents", "/console/settings/notices", "/console/settings/me", "/console/settings/tokens",
    "/console/administration/users", "/console/administration/audit-log", "/console/settings/moving",
    "/console/administration", "/console/administration/backups",
    "/console/accounts/afu/runs", "/console/settings/models", "/console/accounts/afu/model",
    "/console/servers",
)  # fmt: skip
LONG = pytest.mark.long
LOOKS = (("wide", "light", "zh-CN"), ("narrow", "dark", "en-US"))
_WIDTHS: dict[str, ViewportSize] = {"wide": {"width": 1280, "height": 800}, "narrow": {"width": 390, "height": 844}}


@pytest.mark.parametrize(
    ("width", "scheme", "locale", "pages"),
    [
        # Each page in one look, the next one in the other; what is not axe's is looked at in both.
        pytest.param(*LOOKS[0], PAGES[::2], id="wide"),
        pytest.param(*LOOKS[1], PAGES[1::2], id="narrow"),
        pytest.param(*LOOKS[0], PAGES[1::2], id="wide-too", marks=LONG),
        pytest.param(*LOOKS[1], PAGES[::2], id="narrow-too", marks=LONG),
    ],
)
async def test_f17_axe_finds_nothing_on_shops_in_need_and_nothing_scrolls_sideways(
    console: Console, width: str, scheme: str, locale: str, pages: tuple[str, ...]
) -> None:
    await put_in_need(console)
    await stocked(console)
    page = await console.page(viewport=_WIDTHS[width], color_scheme=scheme, locale=locale, reduced_motion="reduce")
    for path in pages:
        await page.goto(path)
        await page.locator("[data-test=line].live").wait_for()
        await page.wait_for_load_state("networkidle")
        assert await findings(page) == [], path
        assert not await hangs_over(page), path
        await _look_otherwise(page, width, scheme)
        await until_told(lambda: faint(page), [])
        assert not await hangs_over(page), path
        await _look_as(page, width, scheme)


async def _look_otherwise(page: Page, width: str, scheme: str) -> None:
    await _look_as(page, *{("wide", "light"): ("narrow", "dark"), ("narrow", "dark"): ("wide", "light")}[width, scheme])


async def _look_as(page: Page, width: str, scheme: str) -> None:
    await page.set_viewport_size(_WIDTHS[width])
    await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    await page.locator(f":root[data-theme={scheme}]").wait_for()


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
    await page.locator("[data-test=add]").click()
    await page.locator("[data-test=scan]").click()
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
    await page.locator("[data-test=add-text]").click()
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
