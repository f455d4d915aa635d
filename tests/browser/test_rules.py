"""The rules of a shop: made, edited in place and in the form, moved, tried, merged with what others change."""

from __future__ import annotations

import asyncio
from typing import Any

from playwright.async_api import FilePayload, Page, Route, expect

from browser.conftest import Console, intercept
from support.files.picture_files import a_png
from support.site.standins import until

RULES = "/cookies/afu/rules"


async def _add(console: Console, word: str, reply: str = "嗯", **values: Any) -> str:
    body = {"words": [word], "parts": [{"text": reply}], **values}
    return str((await console.door.call("POST", RULES, json=body))["rule"]["id"])


def _words(console: Console) -> list[str]:
    return [rule.keyword for rule in console.door.account("afu").keywords]


def _row(page: Page, rule: str) -> Any:
    return page.locator(f"[data-rule='{rule}']")


async def test_a_rule_is_made_in_the_form_with_picture_and_variable_and_then_tried(console: Console) -> None:
    page = await console.page("/console/accounts/afu/rules")
    await expect(page.get_by_text("还没有规则")).to_be_visible()
    await page.locator("[data-test=add-rule]").click()
    await page.locator("[name=words]").fill("包邮\n邮费")
    await page.locator("[name=part-0]").fill("全国包邮，")
    await page.locator("[data-part='0']").get_by_role("button", name="买家昵称").click()
    picture: FilePayload = {"name": "a.png", "mimeType": "image/png", "buffer": a_png(30, 20)}
    lost: list[int] = []

    async def lose_the_first(route: Route) -> None:
        if lost:
            await route.continue_()
            return
        lost.append((await route.fetch()).status)  # it arrived; its answer did not
        await route.abort()

    await intercept(page, "**/pictures", lose_the_first)
    await page.locator("[data-test=picture]").set_input_files(picture)
    await expect(page.locator("[data-part='1'] img")).to_be_visible()
    assert lost == [200]
    await page.set_viewport_size({"width": 1280, "height": 300})
    await page.locator("[data-test=save-rule]").click()
    await until(lambda: _words(console) == ["包邮"])
    await expect(page.locator("[data-rule]")).to_be_in_viewport()
    await page.set_viewport_size({"width": 1280, "height": 800})
    (rule,) = console.door.account("afu").keywords
    assert rule.words == ("包邮", "邮费")
    assert [(part.text, part.width) for part in rule.parts] == [("全国包邮，{send_user_name}", 0), ("", 30)]
    await expect(page.locator("[data-test=dialog]")).to_have_count(0)  # what lies behind it takes no words
    await page.locator("[name=try]").fill("有邮费吗")
    tried = page.locator("[data-test=tried]")
    await expect(tried).to_contain_text("由通用规则回复")
    await expect(tried.locator("[data-why=fires]")).to_contain_text("包邮")
    await page.locator("[name=try]").fill("今天天气")
    await expect(tried).to_contain_text("不会回复")


async def test_words_and_reply_are_edited_in_place_and_each_change_taken_back(console: Console) -> None:
    rule = await _add(console, "在吗", "在的")
    page = await console.page("/console/accounts/afu/rules")
    await _row(page, rule).get_by_role("button", name="修改回复").click()
    await page.keyboard.type("在的，请说")
    await page.keyboard.press("Control+Enter")
    await until(lambda: console.door.account("afu").keywords[0].reply == "在的，请说")
    read = asyncio.Event()

    async def late(route: Route) -> None:
        await read.wait()
        await route.continue_()

    await intercept(page, "**/afu/rules?*", late)
    await page.get_by_role("button", name="撤销").click()
    await until(lambda: console.door.account("afu").keywords[0].reply == "在的")
    await _row(page, rule).locator("[data-test=active]").click()  # before the page has read what the undo made
    read.set()
    await until(lambda: not console.door.account("afu").keywords[0].active)
    await expect(_row(page, rule)).not_to_contain_text("请说")
    await expect(page.locator("[data-test=rule-merge]")).to_have_count(0)
    await _row(page, rule).get_by_role("button", name="修改关键词").click()
    await page.keyboard.type("在么")
    await page.keyboard.press("Escape")
    await expect(_row(page, rule)).to_contain_text("在吗")


async def test_rules_are_moved_by_keyboard_and_by_drag_also_past_a_priority(console: Console) -> None:
    a = await _add(console, "a")
    b = await _add(console, "b")
    high = await _add(console, "high", priority=5)
    page = await console.page("/console/accounts/afu/rules")
    await _row(page, b).locator("[data-handle]").focus()
    for key in ("Space", "ArrowUp", "Space"):
        await page.keyboard.press(key)
    await until(lambda: _words(console) == ["high", "b", "a"])
    await expect(page.locator("[data-test=said]")).to_contain_text("第 2 条")
    await expect(_row(page, b).locator("[data-handle]")).to_be_focused()
    await expect(page.locator("[data-rule]").nth(1)).to_have_attribute("data-rule", b)
    start = await _row(page, a).locator("[data-handle]").bounding_box()
    goal = await _row(page, high).bounding_box()
    assert start is not None
    assert goal is not None
    await page.mouse.move(start["x"] + 10, start["y"] + 10)
    await page.mouse.down()
    await page.mouse.move(start["x"] + 10, goal["y"] + 40, steps=8)
    await page.mouse.move(start["x"] + 10, goal["y"] + 2, steps=8)
    await page.mouse.up()
    await until(lambda: _words(console) == ["a", "high", "b"])
    assert console.door.account("afu").keywords[0].priority == 5
    await expect(page.locator("[data-test=toast]").last).to_contain_text("优先级改为 5")


async def test_a_rule_that_can_never_fire_is_warned_about(console: Console) -> None:
    await _add(console, "邮")
    late = await _add(console, "包邮吗")
    page = await console.page("/console/accounts/afu/rules")
    await expect(_row(page, late).locator("[data-test=warning]")).to_contain_text("永远不会生效")


async def test_what_another_changed_meanwhile_is_shown_beside_mine_before_anything_is_saved(console: Console) -> None:
    rule = await _add(console, "在吗", "在的")
    page = await console.page("/console/accounts/afu/rules")
    await _row(page, rule).locator("[data-test=edit]").click()
    await page.locator("[name=part-0]").fill("mine")
    await console.door.call("PATCH", f"{RULES}/{rule}", json={"parts": [{"text": "theirs"}]})
    merge = page.locator("[data-test=merge]")
    await expect(merge).to_contain_text("“admin”也改了这一项")
    await expect(merge).to_contain_text("theirs")
    await page.locator("[data-test=save-rule]").click()
    assert console.door.account("afu").keywords[0].reply == "theirs"
    await merge.locator("[data-test=keep]").click()
    await page.locator("[data-test=save-rule]").click()
    await until(lambda: console.door.account("afu").keywords[0].reply == "mine")


async def test_a_refused_rule_says_why_and_keeps_what_was_typed(console: Console) -> None:
    rule = await _add(console, "在吗")
    page = await console.page("/console/accounts/afu/rules")
    await _row(page, rule).locator("[data-test=edit]").click()
    await page.locator("[name=words]").fill("(")
    await page.get_by_role("button", name="正则").click()
    await page.locator("[data-test=save-rule]").click()
    await expect(page.get_by_role("alert")).to_contain_text("正则")
    await expect(page.locator("[name=words]")).to_have_value("(")
    assert _words(console) == ["在吗"]
