"""The work on conversations: done, put off, assigned, noted, seen, and answered with quick replies."""

from __future__ import annotations

from typing import Any

from playwright.async_api import expect

from browser.conftest import NAME, Console, WiredConsole, said
from support.site.standins import until_told


async def _work(console: Console, chat: str = "c1") -> dict[str, Any]:
    told = await console.door.call("GET", f"/cookies/afu/chats/{chat}/work")
    return {name: told[name] for name in ("status", "assignee")}


async def test_a_chat_is_done_by_a_key_undone_opened_by_the_next_message_assigned_and_put_off(
    console: Console,
) -> None:
    await said(console, 1, "在吗")
    await said(console, 2, "多少钱", chat="c2")
    page = await console.page("/console/conversations")
    await expect(page.locator("[data-chat]")).to_have_count(2)
    await page.keyboard.press("j")
    await expect(page.locator("[data-chat='afu/c2']")).to_have_attribute("aria-current", "true")
    await page.keyboard.press("j")
    await expect(page.locator("[data-chat='afu/c1']")).to_have_attribute("aria-current", "true")
    await page.locator("[data-test=done]").wait_for()
    await page.keyboard.press("e")
    await expect(page.locator("[data-chat='afu/c1'] [data-test=is-done]")).to_be_visible()
    await until_told(lambda: _work(console), {"status": "done", "assignee": None})
    await page.locator("[data-test=toast]").get_by_role("button", name="撤销").click()
    await until_told(lambda: _work(console), {"status": "open", "assignee": None})
    await page.locator("[data-test=done]").click()
    await expect(page.locator("[data-test=reopen]")).to_be_visible()
    await until_told(lambda: _work(console), {"status": "done", "assignee": None})
    await said(console, 3, "还有一个问题")
    await expect(page.locator("[data-test=done]")).to_be_visible()
    await page.locator("[data-test=assign]").click()
    await page.get_by_text("指派给我").click()
    await expect(page.locator("[data-test=assign]")).to_contain_text("admin")
    await page.get_by_label("筛选会话").get_by_role("button", name="我的").click()
    await expect(page.locator("[data-chat]")).to_have_count(1)
    await page.keyboard.press("s")
    await page.get_by_text("明早").click()
    await until_told(lambda: _work(console), {"status": "snoozed", "assignee": "admin"})
    await page.goto("/console/conversations?filter=snoozed")
    await expect(page.locator("[data-chat] [data-test=is-snoozed]")).to_have_count(1)


async def test_of_two_pages_both_show_what_is_not_seen_and_the_notes(console: Console) -> None:
    await said(console, 1, "在吗")
    await said(console, 2, "有人吗")
    page, other = await console.page("/console/conversations"), await console.page("/console/conversations")
    await expect(page.locator("[data-test=unread]")).to_have_text("2")
    await page.locator("[data-chat='afu/c1']").click()
    await expect(page.locator("[data-test=unread]")).to_have_count(0)
    await expect(other.locator("[data-test=unread]")).to_have_count(0)
    await other.locator("[data-chat='afu/c1']").click()
    await page.locator("[data-test=note-mode]").click()
    await page.locator("textarea:focus").wait_for()
    await page.keyboard.type("老客户，改过一次地址")
    await page.keyboard.press("Enter")
    await expect(other.locator("[data-test=note]")).to_contain_text("老客户，改过一次地址")
    await expect(other.locator("[data-test=note]")).to_contain_text("仅团队可见")
    assert (await console.door.call("GET", "/sendings"))["items"] == []
    await other.get_by_role("button", name="删除备注").click()
    await expect(page.locator("[data-test=note]")).to_have_count(0)


async def test_a_quick_reply_is_kept_found_by_its_shortcut_filled_and_sent(wired: WiredConsole) -> None:
    said = await wired.say("什么时候发货")
    page = await wired.page(f"/console/conversations/muzi/{said['cid']}")
    box = page.get_by_label(f"回复 {NAME}")
    await page.locator("[data-test=quick]").click()
    await page.locator("[data-test=quick-manage]").click()
    await page.locator("[data-test=quick-add]").click()
    await page.locator("[name=shortcut]").fill("fh")
    await page.locator("[name=quick-text]").fill("{buyer}您好，今天就发货")
    await page.locator("[data-test=quick-keep]").click()
    await expect(page.locator("[data-quick]")).to_have_count(1)
    await page.keyboard.press("Escape")
    await expect(page.locator("[data-test=dialog]")).to_have_count(0)
    await box.fill("/f")
    await expect(page.get_by_role("option")).to_contain_text(f"{NAME}您好，今天就发货")
    await box.press("Enter")
    await expect(box).to_have_value(f"{NAME}您好，今天就发货")
    await box.press("Enter")
    await expect(page.get_by_role("log").locator("[data-test=outcome]").last).to_have_text("已发送")
    await until_told(lambda: wired.sandbox.seen(wired.unb, NAME), [f"{NAME}您好，今天就发货"])


async def test_what_was_done_with_a_chat_stands_among_its_messages_and_a_phone_offers_it_in_a_sheet(
    console: Console,
) -> None:
    await said(console, 1, "在吗")
    page = await console.page("/console/conversations/afu/c1", viewport={"width": 390, "height": 800})
    await expect(page.locator("[data-test=item-card]")).to_be_visible()
    thread = page.get_by_role("log")
    await until_told(lambda: thread.evaluate("log => log.clientHeight >= 0.6 * innerHeight"), True)
    await page.locator("[data-test=more-work]").click()
    sheet = page.locator("[data-test=dialog]")
    await expect(sheet.get_by_role("button", name="明早")).to_be_visible()
    await sheet.get_by_role("button", name="指派给我").click()
    await expect(sheet).to_have_count(0)
    await expect(page.locator("[data-test=work-line]")).to_contain_text("指派给 admin")
    await page.locator("[data-test=done]").click()
    await expect(page.locator("[data-test=work-line]")).to_have_count(2)
    await expect(page.locator("[data-test=work-line]").last).to_contain_text("标记为已完成")
