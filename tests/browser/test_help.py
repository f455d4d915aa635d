"""The built help in a browser, signed out: it complains of nothing, asks no other host, and finds Chinese words.

At the end of each test the fixture expects that no page asked another host and that the policy stopped no script.
"""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from browser.conftest import Console, OpenConsole, hangs_over
from shoal.console import help_pages

pytestmark = pytest.mark.skipif(not (help_pages.SITE / "index.html").is_file(), reason="not built; run `make docs`")
WORDS = ("店铺", "规则", "会话", "订单", "关键词", "接管", "扫码")
NOTHING = {"config": {"lang": ["en"], "separator": " ", "pipeline": [], "fields": {"title": {"boost": 1}}}, "docs": []}
"""An index to search in. To make the real one ready is half of what a page costs; two tests search in that."""


async def open_help(
    open_console: OpenConsole, path: str, *, search: bool = False, **look: object
) -> tuple[Console, Page]:
    """Open a page of the help, signed out. ``search``: with the words of all pages."""
    console = await open_console()
    context = await console.browser(**look)
    if not search:
        await context.route("**/search_index.json", lambda route: route.fulfill(json=NOTHING))
    page = await context.new_page()
    await page.goto(path)
    return console, page


async def search(page: Page, words: str) -> list[str]:
    """Search as with an input method (the words at once, then the key that ends them). Return the addresses found."""
    field = page.locator(".md-search__input")
    await field.click()
    await field.clear()
    await page.keyboard.press("Shift")
    await expect(page.locator(".md-search-result__meta")).to_have_text(
        re.compile("键入以开始搜索|Type to start searching")
    )
    await page.keyboard.insert_text(words)
    await page.keyboard.press("Shift")
    await expect(page.locator(".md-search-result__meta")).to_have_text(re.compile(r"\d+ (个|matching)"))
    await page.locator(".md-search-result__link").first.wait_for(state="attached")
    return [await link.get_attribute("href") or "" for link in await page.locator(".md-search-result__link").all()]


async def test_the_search_finds_chinese_words_of_two_characters(open_console: OpenConsole) -> None:
    _, page = await open_help(open_console, "/help/", search=True)
    index = (await (await page.request.get("/help/search/search_index.json")).json())["docs"]
    for word in WORDS:
        hits = await search(page, word)
        for hit in hits[:5]:
            path = re.sub(r"^.*/help/|[?#].*", "", hit)
            parts = [one["title"] + one["text"] for one in index if one["location"].partition("#")[0] == path]
            assert word in "".join(parts).replace("\u200b", ""), (word, hit)
    await page.goto(hits[0])
    await expect(page.locator("article")).to_contain_text(WORDS[-1])


async def test_the_english_search_finds_english_pages_alone(open_console: OpenConsole) -> None:
    _, page = await open_help(open_console, "/help/en/", search=True)
    hits = await search(page, "token")
    assert all("/help/en/" in hit for hit in hits), hits


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.long)])
async def test_no_page_complains_or_scrolls_sideways(open_console: OpenConsole, scheme: str) -> None:
    _, page = await open_help(open_console, "/help/", color_scheme=scheme)
    for path in ("/help/", "/help/quick-start/", "/help/howto/rules/", "/help/api/", "/help/en/security/"):
        await page.goto(path)
        await expect(page.get_by_role("heading", level=1)).to_have_count(1)
        for width in (1280, 390):
            await page.set_viewport_size({"width": width, "height": 844})
            assert not await hangs_over(page), (path, width)


async def test_a_page_leads_to_itself_in_the_other_language(open_console: OpenConsole) -> None:
    console, page = await open_help(open_console, "/help/states/")
    await page.locator(".md-header .md-select").hover()
    await page.locator(".md-header .md-select__link[hreflang=en]").click()
    await expect(page).to_have_url(f"{console.url}/help/en/states/")


async def test_a_page_that_is_not_there_says_so_and_leads_on(open_console: OpenConsole) -> None:
    console, page = await open_help(open_console, "/help/no/such/page/")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("404")
    await page.get_by_role("link", name="回到帮助首页").click()
    await expect(page).to_have_url(f"{console.url}/help/")


async def test_a_page_of_the_console_leads_to_its_help(open_console: OpenConsole) -> None:
    console = await open_console()
    page = await console.page("/console/conversations")
    async with page.context.expect_page() as opened:
        await page.get_by_role("link", name="本页帮助").first.click()
    help_page = await opened.value
    await expect(help_page).to_have_url(f"{console.url}/help/howto/conversations/")
    await expect(help_page.get_by_role("heading", level=1)).to_contain_text("会话与接管")
    signed_out = await (await console.browser(locale="en-US")).new_page()
    await signed_out.goto("/console/login")
    address = await signed_out.get_by_role("link", name="Help on this page").get_attribute("href")
    assert address == "/help/en/quick-start/"
