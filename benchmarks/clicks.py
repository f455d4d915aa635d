"""How many clicks and fields the tasks of a seller's day take in the console: ``python -m benchmarks.clicks``.

Each task begins at the overview, in a real Chromium at 1280 pixels, at a phone's width where it says so, over the real
server and sandbox. ``before`` is what the first review of the console counted. What a task leads to is waited for, so
a task that no longer works fails; it fails too when it takes more than before.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, FilePayload, Locator, Page, async_playwright, expect
from playwright.async_api import Error as PlaywrightError

from benchmarks.chromium import FLAGS, chromium_path
from benchmarks.figures import keep
from benchmarks.processes import PASSWORD, SandboxProcess, ServerProcess, soon

SHOPS = 32
PATIENCE_MS = 25_000
OLD_RULES = "关键词,回复\n包邮,全国包邮\n发货,当天发货\n"
DOT = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d4944415478da63fccff0bf1e000601027f6a5b8a3c0000000049454e44ae426082"
)
PASTE = """text => {
  const clipboardData = new DataTransfer()
  clipboardData.setData('text', text)
  document.activeElement.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }))
}"""
STILL: dict[str, Any] = {"locale": "zh-CN", "reduced_motion": "reduce"}


@dataclass
class Walk:
    """A signed-in page, and what a person did in it so far."""

    page: Page
    server: ServerProcess
    sandbox: SandboxProcess
    clicks: int = 0
    fields: int = 0

    async def press(self, what: str | Locator) -> None:
        """Click, or tap."""
        self.clicks += 1
        await (self.page.locator(what) if isinstance(what, str) else what).first.click()

    async def fill(self, what: str, text: str) -> None:
        """Fill in a field."""
        self.fields += 1
        await self.page.locator(what).fill(text)

    async def choose(self, menu: str, item: str) -> None:
        """Open a menu and press a line of it."""
        await self.press(menu)
        await self.press(self.page.locator(".n-dropdown-option", has_text=item))

    async def to(self, path: str) -> None:
        """Follow a link of the side bar, or of the tab bar of a phone."""
        await self.press(f"nav a[href='/console/{path}']")

    async def shows(self, text: str) -> None:
        """Wait until a note at the edge says so."""
        await expect(self.page.locator("[data-test=toast]").last).to_contain_text(text)


async def _add_by_cookie(walk: Walk) -> None:
    seller = (await walk.sandbox.get("sellers"))["items"][-1]
    await walk.to("accounts")
    await walk.press("[data-test=add]")
    await expect(walk.page.locator("[data-test=show-code]")).to_be_visible()
    walk.fields += 1
    await walk.page.evaluate(PASTE, seller["cookie"])
    await walk.press("[data-test=save]")
    await walk.shows("已添加")


async def _add_by_code(walk: Walk) -> None:
    seller = (await walk.sandbox.get("sellers"))["items"][-2]
    await walk.to("accounts")
    await walk.press("[data-test=add]")
    await walk.press("[data-test=show-code]")
    await expect(walk.page.get_by_role("img", name="登录二维码")).to_be_visible()
    (login,) = [one for one in (await walk.server.ok("GET", "/qr-logins"))["items"] if one["content"]]
    key = login["content"].partition("lgToken=")[2].partition("&")[0]
    for status in ("SCANNED", "CONFIRMED"):
        await walk.sandbox.do("qr", ck=key, status=status, account=seller["unb"])
    await walk.shows("已添加")


async def _three_off(walk: Walk) -> None:
    await walk.to("accounts")
    for name in ("shop02", "shop03", "shop04"):
        await walk.press(walk.page.locator(f"[data-account={name}]").get_by_role("checkbox"))
    await walk.press("[data-test=batch-off]")
    await walk.press("[data-test=dialog] [data-test=go]")
    await expect(walk.page.locator("[data-test=dialog]")).to_have_count(0)
    await soon(lambda: _is_off(walk, "shop04"))
    for name in ("shop02", "shop03", "shop04"):
        await walk.server.ok("PUT", f"/cookies/{name}/status", {"enabled": True})


async def _is_off(walk: Walk, name: str) -> bool:
    return not (await walk.server.ok("GET", f"/cookies/{name}"))["enabled"]


async def _rule_with_picture(walk: Walk) -> None:
    await walk.to("accounts")
    await walk.press("[data-account=shop05] a[href^='/console/accounts/shop05']")
    await walk.press("a[href='/console/accounts/shop05/rules']")
    await walk.press("[data-test=add-rule]")
    await walk.fill("[name=words]", "包邮")
    await walk.fill("[name=part-0]", "全国包邮")
    picture: FilePayload = {"name": "a.png", "mimeType": "image/png", "buffer": DOT}
    walk.clicks += 1  # it opens the system's own choice of a file
    await walk.page.locator("[data-test=picture]").set_input_files(picture)
    await expect(walk.page.locator("[data-part='1'] img")).to_be_visible()
    await walk.press("[data-test=save-rule]")
    await expect(walk.page.locator("[data-test=dialog]")).to_have_count(0)
    await walk.fill("[name=try]", "包邮吗")
    await expect(walk.page.locator("[data-test=tried]")).to_contain_text("全国包邮")


async def _answer_a_chat(walk: Walk) -> None:
    await walk.to("conversations")
    await walk.press("[data-chat]")
    await walk.fill("[name=words]", "您好，今天发货")
    await walk.press("[data-test=send]")
    await expect(walk.page.locator("[data-outcome=sent], [data-test=bubble], .bubble").last).to_be_visible()


async def _why_silent(walk: Walk) -> None:
    await walk.press("[data-todo] a.name")
    await expect(walk.page.locator("[data-test=diagnosis], [data-finding]").first).to_be_visible()


async def _undo(walk: Walk) -> None:
    await walk.to("history")
    await walk.press("[data-rev] [data-test=undo]")
    await walk.press("[data-test=undo-go]")
    await walk.shows("已撤销")


async def _rules_from_a_table(walk: Walk) -> None:
    await walk.page.goto("/console/accounts/shop06/rules")
    await walk.choose("[data-test=lists]", "导入")
    walk.clicks += 1  # it opens the system's own choice of a file
    file: FilePayload = {"name": "rules.csv", "mimeType": "text/csv", "buffer": OLD_RULES.encode()}
    await walk.page.locator("[data-test=rules-file]").set_input_files(file)
    await walk.press("[data-test=import]")
    await expect(walk.page.locator("[data-rule]")).to_have_count(2)


async def _invite_to(walk: Walk, shops: Locator) -> None:
    await walk.to("accounts")
    await walk.press(shops)
    await walk.choose("[data-test=batch-more]", "邀请新同事")
    await walk.press("[data-test=make-link]")
    await expect(walk.page.locator("[data-test=secret]")).to_be_visible()
    await walk.press("[data-test=close]")


async def _invite_to_one(walk: Walk) -> None:
    await _invite_to(walk, walk.page.locator("[data-account=shop07]").get_by_role("checkbox"))


async def _invite_to_all(walk: Walk) -> None:
    await _invite_to(walk, walk.page.get_by_label("选择全部显示的店铺"))


async def _language(walk: Walk) -> None:
    await walk.press("[data-test=language]")
    await expect(walk.page.locator("html")).to_have_attribute("lang", re.compile("en"))


async def _find_an_order(walk: Walk) -> None:
    (order, *_) = (await walk.server.ok("GET", "/orders"))["items"]
    await walk.to("orders")
    await walk.fill("[type=search]", str(order["order_id"])[-6:])
    await expect(walk.page.locator("[data-order]")).to_have_count(1)


Task = Callable[[Walk], Awaitable[None]]
TASKS: tuple[tuple[str, Task, int, int, int], ...] = (
    ("add a shop by its cookie", _add_by_cookie, 3, 2, 1280),
    ("add a shop by a code", _add_by_code, 3, 0, 1280),
    ("switch three shops off", _three_off, 6, 0, 1280),
    ("switch three shops off, phone", _three_off, 7, 0, 390),
    ("a rule with a picture, tried", _rule_with_picture, 7, 3, 1280),
    ("answer a chat", _answer_a_chat, 3, 1, 1280),
    ("why a shop is silent", _why_silent, 1, 0, 1280),
    ("undo a change", _undo, 3, 0, 1280),
    ("rules from a table, on the page of the rules", _rules_from_a_table, 4, 0, 1280),
    ("invite a colleague to one shop", _invite_to_one, 9, 1, 1280),
    ("invite a colleague to 30 shops", _invite_to_all, 95, 1, 1280),
    ("the other language", _language, 1, 0, 1280),
    ("find an order by the end of its number", _find_an_order, 1, 1, 1280),
)
"""Each with the clicks and fields of the review, and the width."""


async def walked(browser: Browser, server: ServerProcess, sandbox: SandboxProcess, name: str) -> dict[str, Any]:
    """Walk a task in a browser of its own and return its row."""
    _, task, clicks, fields, width = next(one for one in TASKS if one[0] == name)
    context = await browser.new_context(base_url=server.url, viewport={"width": width, "height": 800}, **STILL)
    origin, body = {"Origin": server.url}, {"name": "admin", "password": PASSWORD}
    assert (await context.request.post("/console/session", data=body, headers=origin)).ok
    context.set_default_timeout(PATIENCE_MS)
    page = await context.new_page()
    await page.goto("/console/")
    await page.locator("[data-test=line].live").wait_for()
    walk = Walk(page, server, sandbox)
    await task(walk)
    await context.close()
    return {"task": name, "clicks": walk.clicks, "before": clicks, "fields": walk.fields, "fields before": fields}


async def filled(server: ServerProcess, sandbox: SandboxProcess) -> None:
    """Add the shops, one of them in trouble, a question and an order."""
    sellers = (await sandbox.get("sellers"))["items"]
    for number, seller in enumerate(sellers[: SHOPS - 2]):
        await server.add(f"shop{number:02}", seller["cookie"])
    await sandbox.do("say", account=sellers[0]["unb"], buyer="豆豆妈", text="今天发货吗")
    await sandbox.do("pay", account=sellers[0]["unb"], buyer="豆豆妈", item=sellers[0]["items"][0]["id"])
    await server.ok("PUT", "/cookies/shop08/remark", {"remark": "手机"})

    async def come() -> bool:
        chats, orders = await server.ok("GET", "/chats"), await server.ok("GET", "/orders")
        return bool(chats["items"] and orders["items"])

    await soon(come)


async def main(wanted: list[str]) -> None:
    """Walk all tasks, or those whose names have these words."""
    expect.set_options(timeout=PATIENCE_MS)
    rows, failed = [], []
    with tempfile.TemporaryDirectory() as place:
        sandbox = await SandboxProcess(Path(place) / "sandbox.log").start(shops=SHOPS)
        server = ServerProcess(Path(place) / "data", sandbox.url)
        try:
            await server.start()
            await filled(server, sandbox)
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(executable_path=chromium_path(), args=list(FLAGS))
                for name, *_ in TASKS:
                    if not wanted or any(words in name for words in wanted):
                        try:
                            rows.append(await walked(browser, server, sandbox, name))
                            print(rows[-1], flush=True)
                        except (PlaywrightError, AssertionError, TimeoutError) as failure:
                            failed.append(f"{name}: {failure}")
                await browser.close()
        finally:
            await server.close()
            await sandbox.end()
    more = [row["task"] for row in rows if row["clicks"] > row["before"] or row["fields"] > row["fields before"]]
    if not wanted and not failed:
        keep("clicks", rows, about="Clicks and fields of each task, from the overview on")
    if more or failed:
        sys.exit("\n".join([f"more than before: {', '.join(more)}", *failed]))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
