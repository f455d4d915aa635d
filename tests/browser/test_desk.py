"""The conversation as a workplace: what it is about, links, what was looked for, and threads of any length."""

from __future__ import annotations

import base64
import time

from playwright.async_api import FilePayload, Locator, expect

from browser.conftest import NAME, Console, WiredConsole, intercept, press, said, scrolled
from shoal.messages.message_log import IncomingMessage
from support.site.standins import until_told

IN_VIEW = """async log => {
  const box = log.getBoundingClientRect()
  const look = () => [...log.querySelectorAll('article')].filter(one => {
    const { top, bottom } = one.getBoundingClientRect()
    return bottom > box.top && top < box.bottom
  }).map(one => one.dataset.entry)
  for (let was = ''; ; ) { // until nothing is measured and drawn any more
    const is = look()
    if (is.length && is.join() === was) return is
    was = is.join()
    for (let frame = 0; frame < 3; frame++) await new Promise(requestAnimationFrame)
  }
}"""

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PASTE = """(box, data) => {
  const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0))
  const clipboardData = new DataTransfer()
  clipboardData.items.add(new File([bytes], 'pasted.png', { type: 'image/png' }))
  box.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }))
}"""


def _file(name: str, data: bytes, kind: str = "image/png") -> FilePayload:
    return {"name": name, "mimeType": kind, "buffer": data}


async def _many(console: Console, count: int, first: str) -> None:
    """A buyer said so many sentences, a second apart, the first one in these words."""
    start = int(time.time() * 1000) - count * 1000
    messages = [
        IncomingMessage(
            message_id=f"m{number}", chat_id="c1", item_id="7001", sender_id="221", sender_name=f"{NAME}1",
            text=first if number == 1 else f"第 {number} 句" + "，说来话长" * (number % 17),
            created_at_ms=start + number * 1000,
        )
        for number in range(1, count + 1)
    ]  # fmt: skip
    await console.door.server.message_log.store_incoming("afu", messages)


async def _in_view(log: Locator) -> list[str]:
    return list(await log.evaluate(IN_VIEW))


async def _is_short(log: Locator) -> bool:
    return await log.locator("article").count() < 100


async def test_what_was_looked_for_far_back_is_in_view_with_live_links_and_only_what_is_near_the_view_is_drawn(
    console: Console,
) -> None:
    links = "https://www.goofish.com/item?id=7001，或者 https://www.tаobao.com/x javascript:alert(1)"
    await _many(console, 400, f"蓝色的还有吗 {links}")
    page = await console.page("/console/conversations/afu/c1?q=蓝色")
    log = page.get_by_role("log")
    await expect(log.locator("mark")).to_have_text("蓝色")
    await expect(log.locator("mark")).to_be_in_viewport()
    await expect(log).not_to_contain_text("第 400 句")
    await until_told(lambda: _is_short(log), True)
    await _tell_where_they_really_lead(log.locator("article a"))
    await expect(page.locator("[data-test=item-card]")).to_contain_text("商品 7001")
    await scrolled(log, "box.scrollHeight / 2")
    await expect(log.locator("mark")).to_have_count(0)
    await expect(log.locator("article").first).to_be_attached()
    before = await _in_view(log)
    assert before
    await said(console, 401, "刚说的")
    await expect(page.get_by_role("button", name="有新消息")).to_be_visible()
    await until_told(lambda: _in_view(log), before)
    await page.get_by_role("button", name="有新消息").click()
    await expect(page.get_by_text("刚说的").last).to_be_in_viewport()
    await said(console, 402, "又说的")
    await expect(log.get_by_text("又说的")).to_be_in_viewport()
    await until_told(lambda: _is_short(log), True)


async def _tell_where_they_really_lead(links: Locator) -> None:
    await expect(links).to_have_count(2)
    await expect(links.first).to_have_attribute("href", "https://www.goofish.com/item?id=7001")
    await expect(links.first).to_have_attribute("rel", "noopener noreferrer nofollow")
    await expect(links.page.locator("[data-test=host]")).to_have_text(" (www.xn--tobao-4ve.com)")


async def test_pictures_are_chosen_pasted_and_sent_in_order_and_one_that_does_not_leave_comes_back(
    wired: WiredConsole,
) -> None:
    said = await wired.say("有实拍图吗")
    page = await wired.page(f"/console/conversations/muzi/{said['cid']}")
    box, waiting = page.get_by_label(f"回复 {NAME}"), page.locator("[data-test=pictures] li")
    files = [_file("a.png", PNG), _file("b.png", PNG), _file("c.svg", b"<svg/>", "image/svg+xml")]
    await page.locator("[data-test=add-picture]").set_input_files(files)
    await expect(page.locator("[data-test=toast].refused")).to_contain_text("“c.svg”不是可发送的图片")
    await expect(waiting.locator("img")).to_have_count(2)
    await box.evaluate(PASTE, base64.b64encode(PNG).decode())
    await expect(waiting.locator("img")).to_have_count(3)
    await page.get_by_role("button", name="移除图片 b.png").click()
    await expect(waiting).to_have_count(2)
    await box.fill("就是这个")
    await page.locator("[data-test=send]").click()
    await expect(waiting).to_have_count(0)
    await expect(box).to_be_focused()
    sent = page.get_by_role("log").locator("article", has=page.locator("[data-test=outcome]", has_text="已发送"))
    await expect(sent).to_have_count(3)
    await expect(sent.locator("img")).to_have_count(2)
    await expect(sent.last).to_contain_text("就是这个")
    refusal = '{"detail": "店铺没有连接", "code": "not_connected", "params": {}}'
    await intercept(
        page, "**/send", lambda route: route.fulfill(status=409, body=refusal, content_type="application/json")
    )
    await page.locator("[data-test=add-picture]").set_input_files([_file("a.png", PNG)])
    await box.fill("看图")
    await press(page.locator("[data-test=send]"))
    await expect(page.locator("[data-test=toast].refused", has_text="店铺没有连接")).to_be_visible()
    await expect(waiting).to_have_count(1)
    await expect(box).to_have_value("看图")
