"""The history: who changed what, found by filters that stay in the address, live, and taken back after a preview."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from browser.axe import findings
from browser.conftest import Console, hangs_over, press
from shoal.api.routes import history
from support.site.standins import until


async def _remark(console: Console, text: str, shop: str = "afu") -> int:
    rev: int = (await console.door.call("PUT", f"/cookies/{shop}/remark", json={"remark": text}))["rev"]
    return rev


def _row(page: Page, rev: int) -> str:
    return f"[data-rev='{rev}']"


async def test_a_change_appears_at_once_with_old_new_who_and_from_where(console: Console) -> None:
    page = await console.page("/console/history")
    rows = page.locator("[data-rev]")
    await expect(rows).to_have_count(3)
    await expect(rows.first).to_contain_text("添加了店铺")
    await expect(rows.first.locator("[data-test=undo]")).to_have_count(0)
    rev = await _remark(console, "<b>阿福</b>")
    await expect(rows.first).to_have_attribute("data-rev", str(rev))
    await expect(rows.first).to_contain_text("备注")
    await expect(rows.first.locator(".turn")).to_have_text("修改前（空）修改后<b>阿福</b>")
    await expect(rows.first.locator("[data-test=by]")).to_have_text("adminAPI 127.0.0.1")
    rule = {"words": ["包邮", "邮费"], "parts": [{"text": "包邮的"}], "priority": 5}
    await console.door.call("POST", "/cookies/afu/rules", json=rule)
    await expect(rows.first).to_contain_text("新增包邮 / 邮费包邮的 · 优先级 5")
    await page.locator("[data-test=language]").click()
    await expect(rows.first).to_contain_text("Added")
    await console.door.call("DELETE", "/cookies/afu")
    await expect(rows.first).to_contain_text("shop removed")
    await expect(page.locator("[data-rev] [data-test=undo]")).to_have_count(0)  # what is gone cannot be undone


async def test_filters_stay_in_the_address_and_older_changes_are_a_press_away(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(60):
        await _remark(console, f"第 {number} 次")
    await console.door.call("PUT", "/cookies/muzi/status?wait=0", json={"enabled": False})
    page = await console.page("/console/history?cid=afu")
    rows = page.locator("[data-rev]")
    await expect(rows).to_have_count(50)
    await page.locator("[data-test=older]").click()
    await expect(rows).to_have_count(61)
    await expect(page.locator("[data-test=older]")).to_have_count(0)
    newest = await _remark(console, "最新")
    await expect(rows).to_have_count(62)
    await expect(rows.first).to_have_attribute("data-rev", str(newest))
    await page.goto("/console/history?field=enabled&actor=user:admin&time=today")
    await expect(rows).to_have_count(4)
    await expect(rows.first).to_contain_text("店铺开关")
    await page.locator("[data-test=time]").click()
    await page.locator(".n-base-select-option", has_text="指定日期").click()
    await page.locator("[data-test=to]").fill("2020-01-01")
    await expect(page.get_by_text("没有符合条件的变更")).to_be_visible()
    await expect(page).to_have_url(re.compile("time=days"))
    await expect(page).to_have_url(re.compile("to=2020-01-01"))
    await page.reload()
    await expect(page.locator("[data-test=to]")).to_have_value("2020-01-01")
    await page.locator(".empty").get_by_role("button", name="清除筛选").click()
    await expect(rows).to_have_count(50)
    await expect(page).to_have_url(f"{console.url}/console/history")
    monkeypatch.setattr(history, "_PAGE", 10)
    monkeypatch.setattr(history, "_MOST_PAGES", 1)
    await page.goto("/console/history?cid=afu&field=cookie")
    await expect(page.get_by_text("最近的变更中没有找到")).to_be_visible()
    await page.locator("[data-test=older]").click()
    await expect(rows).to_have_count(1)
    await expect(rows).to_contain_text("添加了店铺")


async def test_an_undo_is_previewed_made_and_undone(console: Console) -> None:
    await _remark(console, "旧名")
    rev = await _remark(console, "新名")
    page = await console.page("/console/accounts/afu")
    await page.locator("[data-tab=history]").click()
    await press(page.locator(f"{_row(page, rev)} [data-test=undo]"))
    dialog = page.locator("[data-test=dialog]")
    await expect(dialog.locator("[data-test=preview] .turn")).to_have_text("修改前新名修改后旧名")
    assert console.door.account("afu").remark == "新名", "a preview changes nothing"
    # Somebody changes something else of the shop between the preview and the press.
    await console.door.call("PUT", "/cookies/afu/pause-duration", json={"pause_duration": 3})
    await dialog.locator("[data-test=undo-go]").click()
    await expect(dialog.locator("[data-test=moved]")).to_be_visible()
    await expect(dialog.locator("[data-test=preview] .turn")).to_have_text("修改前新名修改后旧名")
    assert console.door.account("afu").remark == "新名"
    await dialog.locator("[data-test=undo-go]").click()
    await expect(dialog).to_have_count(0)
    await expect(page.locator("[data-rev]").first).to_contain_text("旧名")
    await until(lambda: console.door.account("afu").remark == "旧名")
    assert console.door.account("afu").pause_duration == 3
    await page.locator(f"{_row(page, rev)} [data-test=undo]").click()
    await expect(dialog.locator("[data-test=needless]")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.locator("[data-test=toast]", has_text="已撤销对").get_by_role("button", name="撤销").click()
    await expect(page.locator("[data-rev]").first.locator(".turn")).to_have_text("修改前旧名修改后新名")


async def test_what_one_press_changed_in_several_shops_is_undone_at_once(console: Console) -> None:
    body = {"accounts": ["afu", "muzi"], "settings": {"pause_duration": 33}}
    await console.door.call("PUT", "/cookies/batch", json=body)
    await _remark(console, "单独")
    page = await console.page("/console/history")
    await expect(page.locator("[data-rev]").first.locator("[data-test=undo-batch]")).to_have_count(0)
    await page.locator("[data-test=undo-batch]").first.click()
    dialog = page.locator("[data-test=dialog]")
    await expect(dialog.locator("[data-outcome=would_change]")).to_have_count(2)
    assert console.door.account("afu").pause_duration == 33, "a preview changes nothing"
    await dialog.locator("[data-test=batch-undo-go]").click()
    await expect(dialog).to_have_count(0)
    await until(lambda: {console.door.account(shop).pause_duration for shop in ("afu", "muzi")} == {10})


async def test_a_batch_that_goes_on_below_the_page_is_undone_whole(console: Console) -> None:
    shops = ["afu", "muzi", "xiaoyu"]
    await console.door.call("PUT", "/cookies/batch", json={"accounts": shops, "settings": {"pause_duration": 33}})
    for number in range(48):  # so that the first page of 50 has two of the three
        await _remark(console, f"{number}")
    page = await console.page("/console/history")
    await page.locator("[data-test=undo-batch]").first.click()
    dialog = page.locator("[data-test=dialog]")
    await expect(dialog.locator("[data-outcome=would_change]")).to_have_count(3)
    await dialog.locator("[data-test=batch-undo-go]").click()
    await expect(dialog).to_have_count(0)
    await until(lambda: {console.door.account(shop).pause_duration for shop in shops} == {10})


async def test_what_was_changed_again_since_is_told_plainly_with_the_way_on(console: Console) -> None:
    body = {"words": ["包邮"], "parts": [{"text": "包"}]}
    rule = await console.door.call("POST", "/cookies/afu/rules", json=body)
    rev, identity = rule["rev"], rule["rule"]["id"]
    await console.door.call("PATCH", f"/cookies/afu/rules/{identity}", json={"parts": [{"text": "不包"}]})
    page = await console.page("/console/history")
    await page.locator(f"{_row(page, rev)} [data-test=undo]").click()
    dialog = page.locator("[data-test=dialog]")
    await expect(dialog.locator("[data-test=undo-conflict]")).to_contain_text("规则 “包邮”")
    await dialog.locator("[data-test=later]").click()
    await expect(page).to_have_url(f"{console.url}/console/history?cid=afu&field=keywords")
    await expect(page.locator("[data-rev]")).to_have_count(2)
    await expect(page.locator("[data-rev]").first).to_contain_text("修改包邮回复修改前包修改后不包")
    await page.locator(f"{_row(page, rev)} [data-test=undo]").click()
    await dialog.locator("[data-test=by-hand]").click()
    await expect(page).to_have_url(f"{console.url}/console/accounts/afu/rules")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), pytest.param(390, "dark", marks=pytest.mark.long)])
async def test_axe_finds_nothing_in_the_history(console: Console, width: int, scheme: str) -> None:
    await _remark(console, "很长的备注" * 40)
    rev = await _remark(console, "短")
    rules = [{"words": [f"词{number}"], "parts": [{"text": "好"}]} for number in range(6)]
    await console.door.call("PUT", "/cookies/afu/rules", json={"rules": rules})
    look = {"viewport": {"width": width, "height": 844}, "color_scheme": scheme, "reduced_motion": "reduce"}
    page = await console.page("/console/history?time=days", **look)
    await page.get_by_role("button", name="显示全部 6 项").click()
    await expect(page.locator("[data-rev]").first.locator(".mark")).to_have_count(6)
    assert await findings(page) == []
    await page.locator(f"{_row(page, rev)} [data-test=undo]").click()
    await expect(page.locator("[data-test=preview]")).to_be_visible()
    assert await findings(page) == []
    assert not await hangs_over(page)
