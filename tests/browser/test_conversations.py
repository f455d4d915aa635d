"""The chats: found, read with the outcome of each reply and its rule, taken over, handed back and answered by hand."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, Route, expect

from browser.axe import findings
from browser.conftest import NAME, Console, WiredConsole, hangs_over, intercept, press, said, scrolled
from shoal.messages.outbox_rows import OutboxRow, SendOutcome
from support.site.standins import until_told

HOSTILE = "<img src=x onerror=alert(1)> 在吗"


async def _answered(console: Console, number: int, outcome: SendOutcome, reason: str = "", rule: str = "") -> None:
    sendings = console.door.server.message_log.outbox
    row = OutboxRow(
        account_id="afu", chat_id="c1", uuid=f"u{number}", message_id=f"m{number}", text=f"回复 {number}",
        rule_id=rule or None,
    )  # fmt: skip
    (sending,) = (await sendings.queue([row], answers=[f"m{number}"])).ids
    await sendings.settle(sending, outcome, reason=reason)


def _entry(page: Page, text: str) -> str:
    return f"article:has-text('{text}')"


async def test_each_reply_says_what_became_of_it_and_which_rule_gave_it(console: Console) -> None:
    body = {"words": ["在吗", "有货"], "parts": [{"text": "在的"}]}
    rule = (await console.door.call("POST", "/cookies/afu/rules", json=body))["rule"]["id"]
    for number, text in enumerate((HOSTILE, "多少钱", "包邮吗", "好的"), 1):
        await said(console, number, text)
    await _answered(console, 1, SendOutcome.SENT, rule=rule)
    await _answered(console, 2, SendOutcome.REFUSED, "含有联系方式", rule="default_reply")
    await _answered(console, 3, SendOutcome.UNCERTAIN, rule="0123456789abcdef")
    page = await console.page("/console/conversations")
    await page.locator("[data-test=open-first]").click()
    log = page.get_by_role("log")
    await expect(log.locator("article")).to_have_count(7)
    await expect(log).to_contain_text(HOSTILE)
    assert await log.locator("img").count() == 0, "what buyers write is text"
    for text, giver, outcome in (
        ("回复 1", "规则“在吗 / 有货”", "已发送"),
        ("回复 2", "默认回复", "被拒绝：含有联系方式"),
        ("回复 3", "规则已删除", "不确定"),
    ):
        entry = log.locator(_entry(page, text))
        await expect(entry.locator("[data-test=giver]")).to_have_text(giver)
        await expect(entry.locator("[data-test=outcome]")).to_have_text(outcome)
    await expect(log.locator(_entry(page, "好的")).locator("[data-test=remark]")).to_have_text("处理中")
    await _answered(console, 4, SendOutcome.SENT, rule=rule)
    await expect(log.locator("article")).to_have_count(8)
    await console.door.call("PATCH", f"/cookies/afu/rules/{rule}", json={"words": ["还在"]})
    await expect(log.locator(_entry(page, "回复 1")).locator("[data-test=giver]")).to_have_text("规则“还在”")


async def test_chats_are_found_by_words_shop_and_whose_turn_it_is(console: Console) -> None:
    await said(console, 1, "蓝色有货吗", chat="c1")
    await said(console, 2, "红色有货吗", chat="c2")
    await said(console, 3, "在吗", shop="muzi", chat="c3")
    page = await console.page("/console/conversations")
    rows = page.locator("[data-chat]")
    await expect(rows).to_have_count(3)
    await page.get_by_role("searchbox").fill("有货")
    await expect(rows).to_have_count(2)
    await expect(rows.first.locator("mark")).to_have_text("有货")
    await page.get_by_role("searchbox").fill("没有人说过")
    await expect(page.get_by_text("没有符合条件的会话")).to_be_visible()
    await page.get_by_role("button", name="清除筛选").click()
    await expect(rows).to_have_count(3)
    await console.door.call("PUT", "/cookies/afu/chats/c2/pause", json={"minutes": 30})
    await page.get_by_role("button", name="人工接管中").click()
    await expect(rows).to_have_count(1)
    await expect(rows).to_have_attribute("data-chat", "afu/c2")
    await page.reload()
    await expect(rows).to_have_count(1)
    await page.goto("/console/conversations?cid=muzi")
    await expect(rows).to_have_count(1)
    await expect(rows).to_have_attribute("data-chat", "muzi/c3")


async def _paused(console: Console) -> list[str]:
    return [one["chat_id"] for one in (await console.door.call("GET", "/cookies/afu/pauses"))["items"]]


async def test_a_chat_is_taken_over_and_handed_back_and_both_can_be_undone(console: Console) -> None:
    await said(console, 1, "在吗")
    page, other = await console.page("/console/conversations/afu/c1"), await console.page("/console/conversations")
    await page.locator("[data-test=take]").click()
    await page.get_by_text("1 天", exact=True).or_(page.get_by_text("24 小时", exact=True)).click()
    await expect(page.locator("[data-test=held]")).to_contain_text("admin 已接管")
    await expect(other.locator("[data-chat='afu/c1']")).to_contain_text("人工接管中")
    (pause,) = (await console.door.call("GET", "/cookies/afu/pauses"))["items"]
    assert pause["reason"] == "taken_over"
    await page.locator("[data-test=give-back]").click()
    await expect(page.locator("[data-test=held]")).to_have_count(0)
    await expect(other.locator("[data-chat='afu/c1']")).not_to_contain_text("人工接管中")
    await until_told(lambda: _paused(console), [])
    await page.locator("[data-test=toast]", has_text="已恢复").get_by_role("button", name="撤销").click()
    await until_told(lambda: _paused(console), ["c1"])
    await page.locator("[data-test=toast]", has_text="已接管与").last.get_by_role("button", name="撤销").click()
    await until_told(lambda: _paused(console), [])
    await expect(page.locator("[data-test=held]")).to_have_count(0)


async def test_a_take_over_that_fails_is_taken_back_with_its_reason(console: Console) -> None:
    await said(console, 1, "在吗")
    page = await console.page("/console/conversations/afu/c1")
    refusal = '{"detail": "数据库暂时不可用", "code": "store_error", "params": {}}'
    await intercept(
        page, "**/pause", lambda route: route.fulfill(status=503, body=refusal, content_type="application/json")
    )
    await page.locator("[data-test=take]").click()
    await page.get_by_text("60 分钟", exact=True).click()
    await expect(page.locator("[data-test=toast].refused")).to_contain_text("数据库暂时不可用")
    await expect(page.locator("[data-test=held]")).to_have_count(0)


async def test_words_are_sent_by_hand_by_keyboard_and_the_chat_is_taken_over(wired: WiredConsole) -> None:
    said = await wired.say("可以便宜吗")
    page = await wired.page(f"/console/conversations/muzi/{said['cid']}")
    box = page.get_by_label(f"回复 {NAME}")
    await box.focus()
    await page.keyboard.type("可以的")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("九折")
    await page.keyboard.press("Enter")
    entry = page.locator(_entry(page, "九折"))
    await expect(entry.locator("[data-test=outcome]")).to_have_text("已发送")
    await expect(entry.locator("[data-test=giver]")).to_have_text("admin（手动）")
    await expect(entry).to_have_count(1)
    await expect(page.locator("[data-test=held]")).to_be_visible()
    await until_told(lambda: wired.sandbox.seen(wired.unb, NAME), ["可以的\n九折"])
    await expect(box).to_have_value("")


async def test_a_refused_message_says_so_and_one_that_did_not_leave_stays_in_the_box(wired: WiredConsole) -> None:
    said = await wired.say("可以便宜吗")
    page = await wired.page(f"/console/conversations/muzi/{said['cid']}")
    await wired.sandbox.do("fault", kind="send_refused", account=wired.unb, times=1)
    box = page.get_by_label(f"回复 {NAME}")
    await box.fill("加我的号")
    await press(page.locator("[data-test=send]"))
    await expect(page.locator("[data-test=toast].refused")).to_contain_text("闲鱼拒绝了这条消息")
    await expect(page.locator(_entry(page, "加我的号")).locator("[data-test=outcome]")).to_contain_text("被拒绝")
    refusal = '{"detail": "店铺没有连接", "code": "not_connected", "params": {}}'
    await intercept(
        page, "**/send", lambda route: route.fulfill(status=409, body=refusal, content_type="application/json")
    )
    await box.fill("还在吗")
    await press(page.locator("[data-test=send]"))
    await expect(page.locator("[data-test=toast]", has_text="店铺没有连接")).to_be_visible()
    await expect(box).to_have_value("还在吗")
    await expect(page.locator(_entry(page, "还在吗"))).to_have_count(0)


async def test_a_text_that_the_output_filter_holds_back_is_warned_of_and_sent_all_the_same(wired: WiredConsole) -> None:
    said = await wired.say("怎么联系您")
    page = await wired.page(f"/console/conversations/muzi/{said['cid']}")
    box, warning = page.get_by_label(f"回复 {NAME}"), page.locator("[data-test=toast].refused")
    await box.fill("打 13800138000")
    await press(page.locator("[data-test=send]"))
    await expect(warning).to_contain_text("13800138000")
    await expect(box).to_have_value("打 13800138000")
    assert await wired.sandbox.seen(wired.unb, NAME) == []
    await press(warning.get_by_role("button", name="仍然发送"))
    entry = page.locator(_entry(page, "打 13800138000"))
    await expect(entry.locator("[data-test=outcome]")).to_have_text("已发送")
    await expect(entry).to_have_count(1)
    await expect(box).to_have_value("")
    await until_told(lambda: wired.sandbox.seen(wired.unb, NAME), ["打 13800138000"])
    await box.fill("打 13900139000")
    await press(page.locator("[data-test=send]"))
    await expect(warning).to_contain_text("13900139000")
    await box.fill("在这里聊")
    await press(page.locator("[data-test=send]"))
    await expect(warning).to_have_count(0)  # it would send what these words replaced


async def test_f18_drafts_are_kept_per_chat_over_reloads_and_go_at_sign_out(console: Console) -> None:
    await said(console, 1, "在吗", chat="c1")
    await said(console, 2, "多少钱", chat="c2")
    page = await console.page("/console/conversations/afu/c1")
    box = page.locator("[name=words]")
    await box.fill("九折可以，")
    await page.locator("[data-chat='afu/c2']").click()
    await expect(box).to_have_value("")
    await box.fill("五十")
    await page.locator("[data-chat='afu/c1']").click()
    await expect(box).to_have_value("九折可以，")
    await page.reload()
    await expect(box).to_have_value("九折可以，")
    await expect(page.locator("[data-chat='afu/c2'] .last")).to_have_text("[草稿] 五十")
    await console.door.server.sessions.end_all(1)
    await expect(page.locator("[name=password]")).to_be_visible()
    assert "五十" in await page.evaluate("JSON.stringify(localStorage)"), "who signs in again goes on"
    again = await console.page("/console/conversations/afu/c1")
    await again.locator("[name=words]").fill("最后一句")
    for step in ("me", "sign-out", "leave"):
        await again.locator(f"[data-test={step}]").click()
    await expect(again.locator("[name=password]")).to_be_visible()
    await until_told(lambda: again.evaluate("JSON.stringify(localStorage).includes('draft')"), False)


async def test_what_is_older_comes_to_who_scrolls_there_and_nothing_throws_them_to_the_end(console: Console) -> None:
    for number in range(1, 121):
        await said(console, number, f"第 {number} 句")
    page = await console.page("/console/conversations/afu/c1")
    log = page.get_by_role("log")
    await expect(log.locator("article")).to_have_count(50)
    await expect(log).to_contain_text("第 120 句")
    older = page.get_by_role("button", name="更早的消息")
    asked: list[str] = []

    async def refuse_the_first(route: Route) -> None:
        asked.append(route.request.url)
        await (route.fulfill(status=500, json={"detail": "later"}) if len(asked) == 1 else route.continue_())

    await intercept(page, "**/messages?*cursor=*", refuse_the_first)
    await scrolled(log, "0")
    await expect(page.locator("[data-test=toast].refused")).to_be_visible()
    await scrolled(log, "40")
    assert len(asked) == 1, "what was refused waits until somebody asks for it"
    await older.click()

    async def is_at_the_beginning() -> bool:
        await scrolled(log, "0")
        return await log.get_by_text("第 1 句", exact=True).is_visible()

    await until_told(is_at_the_beginning, True)
    await expect(older).to_have_count(0)
    assert len(asked) == len(set(asked)) + 1, "each page once, but for the refused one"
    await scrolled(log, "0")
    await said(console, 121, "刚说的")
    await expect(page.get_by_role("button", name="有新消息")).to_be_visible()
    await until_told(lambda: log.evaluate("element => element.scrollTop"), 0)
    await page.get_by_role("button", name="有新消息").click()
    await expect(page.get_by_text("刚说的").last).to_be_in_viewport()


async def test_the_arrow_keys_go_along_the_list_and_a_phone_comes_back_to_where_it_was(console: Console) -> None:
    await said(console, 1, "在吗", chat="c1")
    await said(console, 2, "在吗", chat="c2")
    page = await console.page("/console/conversations", viewport={"width": 390, "height": 844})
    first, second = page.locator("[data-chat='afu/c2']"), page.locator("[data-chat='afu/c1']")
    await first.focus()
    await page.keyboard.press("ArrowDown")
    await expect(second).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name=f"{NAME}1")).to_be_focused()
    await expect(second).not_to_be_visible()
    await page.get_by_role("button", name="返回").click()
    await expect(second).to_be_focused()


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), pytest.param(1280, "light", marks=pytest.mark.long)])
async def test_axe_finds_nothing_in_a_chat(console: Console, width: int, scheme: str) -> None:
    for number, outcome in enumerate((SendOutcome.SENT, SendOutcome.REFUSED, SendOutcome.UNCERTAIN), 1):
        await said(console, number, "在吗")
        await _answered(console, number, outcome, rule="default_reply")
    await said(console, 4, "在吗")
    await console.door.call("PUT", "/cookies/afu/chats/c1/pause", json={"minutes": 30})
    look = {"viewport": {"width": width, "height": 844}, "color_scheme": scheme, "reduced_motion": "reduce"}
    page = await console.page("/console/conversations/afu/c1?q=在吗", **look)
    await expect(page.get_by_role("log").locator("article")).to_have_count(7)
    await expect(page.locator("[data-test=held]")).to_be_visible()
    assert await findings(page) == []
    assert not await hangs_over(page)
