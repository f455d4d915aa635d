"""Whole lists of rules in the console: out of files and into them, to other shops, and merged with what others do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from playwright.async_api import FilePayload, Page, expect

from browser.axe import findings
from browser.conftest import Console, intercept
from shoal.sheets.xlsx import XLSX
from support.files.table_files import a_table, texts_of
from support.site.standins import until

RULES = "/cookies/afu/rules"


async def _put(console: Console, account: str, *words: str, **more: Any) -> None:
    rules = [{"words": [word], "parts": [{"text": f"答 {word}"}], **more} for word in words]
    await console.door.call("PUT", f"/cookies/{account}/rules", json={"rules": rules})


def _words(console: Console, account: str = "afu") -> list[str]:
    return [rule.keyword for rule in console.door.account(account).keywords]


async def _menu(page: Page, what: str) -> None:
    await page.locator("[data-test=lists]").click()
    await page.get_by_text(what).click()


def _file(name: str, data: bytes) -> FilePayload:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": data}


async def test_a_file_is_looked_at_mended_merged_and_taken_back(console: Console) -> None:
    await _put(console, "afu", "在吗", "包邮")
    page = await console.page("/console/accounts/afu/rules")
    await _menu(page, "从文件导入")
    chooser = page.locator("[data-test=rules-file]")
    heads = ["关键词", "商品ID", "关键词内容"]
    await chooser.set_input_files(_file("旧.xlsx", a_table([heads, ["在吗", "", "在呢"], ["新", "", "=1+1"]])))
    rows = page.locator("[data-test=bad-rows]")
    await expect(rows).to_contain_text("单元格是公式")
    assert await findings(page) == []
    await chooser.set_input_files(_file("旧.xlsx", a_table([heads, ["在吗", "", "在呢"], ["新", "", "来了"]])))
    preview = page.locator("[data-test=preview]")
    await expect(preview).to_contain_text("新增 1")
    await expect(preview.locator("[data-edit=edited]")).to_contain_text("回复: 答 在吗 → 在呢")
    await expect(rows).to_have_count(0)
    assert await findings(page) == []
    await page.get_by_role("button", name="全部替换").click()
    await expect(preview.locator("[data-edit=removed]")).to_contain_text("包邮")
    await page.get_by_role("button", name="合并", exact=True).click()
    await expect(preview.locator("[data-edit=removed]")).to_have_count(0)
    await console.door.call("POST", RULES, json={"words": ["别人"]})
    await page.locator("[data-test=import]").click()
    await expect(page.locator("[data-test=stale]")).to_contain_text("“admin”刚刚修改了规则")
    assert "新" not in _words(console)
    await page.locator("[data-test=import]").click()
    await until(lambda: _words(console) == ["在吗", "包邮", "别人", "新"])
    assert console.door.account("afu").keywords[0].reply == "在呢"
    await page.locator("[data-test=toast]").last.get_by_role("button", name="撤销").click()
    await until(lambda: _words(console) == ["在吗", "包邮", "别人"])


async def test_rules_are_saved_as_files(console: Console, tmp_path: Path) -> None:
    await _put(console, "afu", "在吗", cooldown_seconds=60)
    page = await console.page("/console/accounts/afu/rules")
    for what, kind in (("导出为 JSON", "json"), ("导出为 Excel", "xlsx"), ("导出为 CSV", "csv")):
        async with page.expect_download() as saving:
            await _menu(page, what)
        saved = await saving.value
        assert saved.suggested_filename.startswith("rules_afu_")
        await saved.save_as(tmp_path / f"rules.{kind}")
    (rule,) = json.loads((tmp_path / "rules.json").read_text())["rules"]
    assert (rule["words"], rule["cooldown_seconds"]) == (["在吗"], 60)
    assert texts_of((tmp_path / "rules.xlsx").read_bytes())[1][1][0] == "在吗"
    await console.door.call("PUT", RULES, json={"rules": []})
    await page.get_by_role("button", name="从文件导入").click()
    await page.locator("[data-test=rules-file]").set_input_files(tmp_path / "rules.csv")
    await expect(page.locator("[data-test=preview]")).to_contain_text("新增 1")
    await page.locator("[data-test=import]").click()
    await until(lambda: _words(console) == ["在吗"])
    assert console.door.account("afu").keywords[0].cooldown_seconds == 60
    assert XLSX


async def test_chosen_rules_are_copied_to_other_shops_with_a_preview_for_each_and_undone(console: Console) -> None:
    await _put(console, "afu", "在吗", "包邮", "不复制")
    await _put(console, "muzi", "在吗", cooldown_seconds=5)
    page = await console.page("/console/accounts/afu/rules")
    for word in ("在吗", "包邮"):
        await page.get_by_label(f"选择规则“{word}”").click()
    await page.locator("[data-test=batch-copy]").click()
    await page.get_by_role("checkbox", name="全选").click()
    assert await findings(page) == []
    await page.locator("[data-test=copy-preview]").click()
    muzi, xiaoyu = (page.locator(f"[data-copy={name}]") for name in ("muzi", "xiaoyu"))
    await expect(muzi).to_contain_text("新增 1 · 修改 1 · 删除 0")
    await expect(xiaoyu).to_contain_text("新增 2")
    await muzi.get_by_role("button", name="查看").click()
    await expect(muzi.locator("[data-edit=edited]")).to_contain_text("冷却: 5 → 0")
    await console.door.call("POST", "/cookies/xiaoyu/rules", json={"words": ["抢先"]})
    await page.locator("[data-test=copy-go]").click()
    await expect(muzi).to_contain_text("已复制：新增 1、修改 1")
    await expect(xiaoyu).to_contain_text("规则刚刚被修改")
    assert _words(console, "xiaoyu") == ["抢先"]
    await page.locator("[data-test=copy-again]").click()
    await until(lambda: _words(console, "xiaoyu") == ["抢先", "在吗", "包邮"])
    assert _words(console, "muzi") == ["在吗", "包邮"]
    await expect(page.locator("[data-test=copy-rows]")).to_have_count(0)
    await page.locator("[data-test=toast]").last.get_by_role("button", name="撤销").click()
    await until(lambda: _words(console, "xiaoyu") == ["抢先"])


async def test_a_move_and_a_batch_that_others_forestalled_show_theirs_and_mine(console: Console) -> None:
    await _put(console, "afu", "a", "b", "c", "d")
    page = await console.page("/console/accounts/afu/rules")
    ids = {rule.keyword: rule.id for rule in console.door.account("afu").keywords}
    row = page.locator(f"[data-rule='{ids['d']}']")
    await row.locator("[data-handle]").focus()
    await page.keyboard.press("Space")
    await page.keyboard.press("Home")
    merge = page.locator("[data-test=rule-merge]")

    async def ahead(route: Any) -> None:  # another is faster: after the page looked, before its change arrives
        order = [ids[word] for word in "badc"]
        await console.door.call("PUT", f"{RULES}/order", json={"ids": order})
        await console.door.call("POST", RULES, json={"words": ["e"]})
        await route.continue_()

    await intercept(page, "**/rules/order", ahead, times=1)
    await page.keyboard.press("Space")
    await expect(merge).to_contain_text("新增“e”")
    await expect(merge).to_contain_text("把“d”移到第 1 条")
    await expect(merge).to_contain_text("admin")
    assert await findings(page) == []
    assert _words(console) == ["b", "a", "d", "c", "e"]
    await merge.locator("[data-test=keep]").click()
    await until(lambda: _words(console) == ["d", "b", "a", "c", "e"])

    await page.get_by_label("选择全部规则").click()

    async def removed(route: Any) -> None:
        await console.door.call("DELETE", f"{RULES}/{ids['a']}")
        await route.continue_()

    await intercept(page, "**/afu/rules", removed, times=1)
    await page.locator("[data-test=batch-off]").click()
    await expect(merge).to_contain_text("删除“a”")
    await expect(merge).to_contain_text("停用 5 条规则")
    assert all(rule.active for rule in console.door.account("afu").keywords)
    await merge.locator("[data-test=keep]").click()
    await until(lambda: not any(rule.active for rule in console.door.account("afu").keywords))
    assert _words(console) == ["d", "b", "c", "e"]


async def test_of_many_rules_a_part_is_drawn_and_every_one_is_found_moved_and_chosen(console: Console) -> None:
    await _put(console, "afu", *(f"词{number}" for number in range(400)))
    page = await console.page("/console/accounts/afu/rules")
    rows = page.locator("[data-rule]")
    await expect(rows).to_have_count(150)
    await page.locator("[data-test=later]").click()
    await expect(page.locator("[data-test=earlier]")).to_contain_text("140")
    await expect(rows.first).to_contain_text("词140")
    last = console.door.account("afu").keywords[-1].id
    await rows.first.locator("[data-handle]").focus()
    for key in ("Space", "End", "Space"):
        await page.keyboard.press(key)
    await until(lambda: _words(console)[-1] == "词140")
    await expect(rows.last).to_contain_text("词140")
    await expect(rows.last.locator("[data-handle]")).to_be_focused()
    await page.get_by_label("选择全部规则").click()
    await expect(page.locator("[data-test=rule-batch]")).to_contain_text("已选 400 条")
    await page.locator("[data-test=batch-off]").click()
    await until(lambda: not any(rule.active for rule in console.door.account("afu").keywords))
    await page.get_by_role("searchbox").fill("词399")
    await expect(rows).to_have_count(1)
    await expect(rows).to_have_attribute("data-rule", last)
